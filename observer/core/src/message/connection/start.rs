//! What the start of a message looks like, for finding one in a stream of unknown state.

/// Methods that a search for a message believes. None ends in another one, so that a method whose
/// start was lost is not taken for another; that is also why a method of which nobody knows whether
/// it is whole is not believed, and why some registered methods are missing (`LOCK`, as there is `UNLOCK`). Where messages
/// follow each other without a loss, any method goes.
const METHODS: [&[u8]; 18] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"REPORT",
    b"SEARCH",
    b"QUERY",
    b"MKCALENDAR",
    b"PURGE",
];

/// Bytes from the start of a head that decide what it looks like.
pub(super) const ENOUGH: usize = 32;

/// `bytes` without empty lines at the start.
pub(super) fn after_blank(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    &bytes[blank.count()..]
}

/// Whether `bytes` may be the first bytes of a request head.
pub(super) fn may_be_request(bytes: &[u8]) -> bool {
    match bytes.iter().position(|&b| b == b' ') {
        None => METHODS.iter().any(|m| m.starts_with(bytes)),
        Some(end) => {
            METHODS.contains(&&bytes[..end])
                && bytes
                    .get(end + 1)
                    .is_none_or(|&b| matches!(b, b'/' | b'*' | b'[') || b.is_ascii_alphanumeric())
        }
    }
}

/// Whether `bytes` may be the first bytes of a response head.
pub(super) fn may_be_response(bytes: &[u8]) -> bool {
    const PATTERN: &[u8] = b"HTTP/1.? ???";
    bytes.iter().zip(PATTERN).all(|(&b, &p)| match p {
        b'?' => b.is_ascii_digit(),
        p => b == p,
    })
}

/// Whether a head certainly begins here: used where a wrong yes would break a body in progress.
pub(super) fn is_response(bytes: &[u8]) -> bool {
    bytes.len() >= 12 && may_be_response(bytes)
}

/// Where the head ends that is being gathered in `buffer`, of which the bytes before `seen` were
/// searched already: the first empty line, as `httparse` understands it.
pub(super) fn head_end(buffer: &[u8], seen: usize) -> Option<usize> {
    let mut from = seen.saturating_sub(3);
    while let Some(at) = memchr::memchr(b'\n', &buffer[from..]) {
        let next = from + at + 1;
        match &buffer[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognised_by_any_prefix() {
        for n in 1..15 {
            assert!(may_be_request(&b"GET /a HTTP/1.1"[..n]));
        }
        assert!(may_be_request(b"CONNECT host:443 "));
        assert!(may_be_request(b"OPTIONS * HTTP"));
        assert!(!may_be_request(b"BREW /pot HTTP/1.1\r\n"));
        assert!(!may_be_request(b"ET / HTTP/1.1\r\n"));
        assert!(!may_be_request(b" / HTTP/1.1\r\n"));
        assert!(!may_be_request(b"GETX"));
        assert!(!may_be_request(b"GET \x01"));
    }

    #[test]
    fn no_method_ends_in_another_one() {
        for long in METHODS {
            for cut in 1..long.len() {
                assert!(!METHODS.contains(&&long[cut..]));
            }
        }
    }

    #[test]
    fn responses_are_recognised_by_any_prefix() {
        for n in 1..15 {
            assert!(may_be_response(&b"HTTP/1.1 200 OK"[..n]));
        }
        assert!(!may_be_response(b"HTTP/2.0 200"));
        assert!(!may_be_response(b"HTTP/1.1 OK"));
        assert!(!is_response(b"HTTP/1.1 2"));
        assert!(is_response(b"HTTP/1.1 204"));
    }

    #[test]
    fn the_empty_line_is_found_wherever_the_search_was_interrupted() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        let end = head.len() - 4;
        for seen in 0..end {
            assert_eq!(head_end(&head[..seen], 0), None, "{seen}");
            assert_eq!(head_end(head, seen), Some(end), "{seen}");
        }
        assert_eq!(head_end(b"a\n\nb", 0), Some(3));
        assert_eq!(head_end(b"a\n\r\n", 3), Some(4));
    }
}
