//! Keeps secrets out of recordings: the values of header fields that are known to hold them are
//! overwritten, byte for byte, so that everything else keeps its place and a replay says the same.

use std::mem::offset_of;

use observer_abi::{self as abi, class, kind};

use crate::record::payload_at;

/// Header fields whose values are secrets.
const SECRET: [&str; 13] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-vault-token",
    "x-xsrf-token",
];

/// What a secret byte becomes.
const MASK: u8 = b'*';

/// Overwrites secrets in a record as the kernel wrote it, if it holds bytes of a TCP connection.
pub(super) fn scrub(record: &mut [u8]) {
    let version = record.get(offset_of!(abi::Header, abi));
    let payload_at = payload_at(version.copied().unwrap_or(abi::ABI_VERSION));
    let of_tcp = record.get(offset_of!(abi::Header, kind)) == Some(&kind::DATA)
        && matches!(
            record.get(offset_of!(abi::Data, class)),
            Some(&(class::TCP4 | class::TCP6))
        );
    if let Some(payload) = record.get_mut(payload_at..).filter(|_| of_tcp) {
        payload.split_mut(|b| *b == b'\n').for_each(scrub_line);
    }
}

fn scrub_line(line: &mut [u8]) {
    let Some(colon) = line.iter().take(64).position(|b| *b == b':') else {
        return;
    };
    let (name, value) = line.split_at_mut(colon);
    if SECRET
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret.as_bytes()))
    {
        let end = value.strip_suffix(b"\r").map_or(value.len(), <[u8]>::len);
        for byte in value[1..end].iter_mut().filter(|b| **b != b' ') {
            *byte = MASK;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scrub;
    use observer_abi::{Data, class, kind};

    fn scrubbed(class: u8, payload: &[u8]) -> Vec<u8> {
        let mut raw = vec![0; size_of::<Data>()];
        raw[0] = kind::DATA;
        raw[std::mem::offset_of!(Data, class)] = class;
        raw.extend_from_slice(payload);
        scrub(&mut raw);
        raw.split_off(size_of::<Data>())
    }

    #[test]
    fn secrets_are_masked_in_place() {
        let head = b"GET / HTTP/1.1\r\nAUTHORIZATION: Bearer abc\r\ntraceparent: 00-x\r\nCookie: a=b; c\r\n\r\n";
        let masked = scrubbed(class::TCP4, head);
        assert_eq!(
            String::from_utf8(masked).unwrap(),
            "GET / HTTP/1.1\r\nAUTHORIZATION: ****** ***\r\ntraceparent: 00-x\r\nCookie: **** *\r\n\r\n"
        );
    }

    #[test]
    fn messages_in_pipes_stay_as_they_are() {
        let bytes = b"Cookie: a=b\n";
        assert_eq!(scrubbed(class::PIPE, bytes), bytes);
    }
}
