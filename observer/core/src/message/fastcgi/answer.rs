//! The head of an answer: CGI header fields before the content (RFC 3875 §6.3).

/// A head longer than this is not followed, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// The head of an answer while it comes in.
#[derive(Debug, Default)]
pub(super) enum Answer {
    /// No byte of it was seen.
    #[default]
    Nothing,
    /// The bytes so far.
    Partial(Vec<u8>),
    /// It was seen, or never will be.
    Over,
}

impl Answer {
    /// Takes bytes of the answer; returns its status when they complete the head.
    pub fn push(&mut self, bytes: &[u8]) -> Option<u16> {
        let mut buffer = match std::mem::take(self) {
            Self::Nothing => Vec::new(),
            Self::Partial(buffer) => buffer,
            Self::Over => {
                *self = Self::Over;
                return None;
            }
        };
        let seen = buffer.len();
        let room = MAX_HEAD - seen;
        buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(head) = complete(&buffer, seen) else {
            *self = if buffer.len() == MAX_HEAD {
                Self::Over
            } else {
                Self::Partial(buffer)
            };
            return None;
        };
        *self = Self::Over;
        status(head)
    }

    /// Bytes of the answer were not seen: if they belonged to the head, its status is not known.
    pub fn missed(&mut self) {
        *self = Self::Over;
    }
}

/// The fields, if the empty line after them has come; the bytes before `seen` were searched already.
fn complete(buffer: &[u8], seen: usize) -> Option<&[u8]> {
    let mut from = seen;
    loop {
        let at = from + memchr::memchr(b'\n', &buffer[from..])?;
        if matches!(
            &buffer[..at],
            [] | [b'\r'] | [.., b'\n'] | [.., b'\n', b'\r']
        ) {
            return Some(&buffer[..at]);
        }
        from = at + 1;
    }
}

/// The status that the fields of a head name: a redirection's without one is 302 (RFC 3875 §6.2.3),
/// any other's 200. `None` if what they name is none.
fn status(head: &[u8]) -> Option<u16> {
    let mut location = false;
    for line in head.split(|&b| b == b'\n') {
        let mut parts = line.splitn(2, |&b| b == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"status") {
            let digits = value.trim_ascii().get(..3)?;
            let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            return (100..=999).contains(&code).then_some(code);
        }
        location |= name.eq_ignore_ascii_case(b"location");
    }
    Some(if location { 302 } else { 200 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parts: &[&str]) -> Vec<Option<u16>> {
        let mut answer = Answer::default();
        parts.iter().map(|p| answer.push(p.as_bytes())).collect()
    }

    #[test]
    fn the_status_is_known_with_the_empty_line() {
        assert_eq!(said(&["Content-type: text/html\r\n\r\nhello"]), [Some(200)]);
        assert_eq!(
            said(&["Status: 404 Not Found\r\nX: y\r\n\r\n"]),
            [Some(404)]
        );
        assert_eq!(said(&["STATUS:500\n\n"]), [Some(500)]);
        assert_eq!(said(&["Location: /a\r\n\r\n"]), [Some(302)]);
        assert_eq!(
            said(&["Location: /a\r\nStatus: 201 Created\r\n\r\n"]),
            [Some(201)]
        );
        assert_eq!(said(&["\r\nbody"]), [Some(200)]);
        assert_eq!(said(&["Status: ok\r\n\r\n"]), [None]);
    }

    #[test]
    fn it_may_come_byte_by_byte() {
        let head = "X: 1\r\nStatus: 204 x\r\n\r\n";
        let mut answer = Answer::default();
        let told: Vec<_> = head.bytes().filter_map(|b| answer.push(&[b])).collect();
        assert_eq!(told, [204]);
        assert_eq!(answer.push(b"Status: 500\r\n\r\n"), None);
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut answer = Answer::default();
        for _ in 0..20 {
            assert_eq!(answer.push(&[b'x'; 1024]), None);
        }
        assert!(matches!(answer, Answer::Over));
        assert_eq!(answer.push(b"\r\n\r\n"), None);
    }

    #[test]
    fn a_head_with_a_hole_has_no_status() {
        let mut answer = Answer::default();
        answer.push(b"Status: 5");
        answer.missed();
        assert_eq!(answer.push(b"\r\n\r\n"), None);
    }
}
