//! Recognises what a connection carries if it is not HTTP/1.x.

use super::{Protocol, fastcgi};
use crate::record::Direction;

/// Changes of direction without a message head after which a connection is given up. A connection
/// met amid an exchange shows its next head after one or two.
const HOPELESS_TURNS: u8 = 16;
/// Bytes without a message head after which a connection is given up: room for the rest of a long
/// body when watching begins.
const HOPELESS_BYTES: u64 = 16 << 20;

/// How much of a connection went by without a message head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dark {
    last: Option<Direction>,
    turns: u8,
    bytes: u64,
}

impl Dark {
    /// A chunk went by; whether the direction changed with it.
    pub fn chunk(&mut self, direction: Direction, len: u32) -> bool {
        let turn = self.last != Some(direction);
        self.last = Some(direction);
        self.turns = self.turns.saturating_add(u8::from(turn));
        self.bytes = self.bytes.saturating_add(u64::from(len));
        turn
    }

    /// There is no HTTP to be found.
    pub fn is_hopeless(&self) -> bool {
        self.turns > HOPELESS_TURNS || self.bytes > HOPELESS_BYTES
    }
}

/// What the first bytes of a turn say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    No,
    /// Believed when the same is seen twice.
    Perhaps,
    Sure,
}

type Recogniser = fn(&[u8], usize) -> Look;

/// Protocols and what recognises them: from the bytes at the start of a turn, and the length of
/// the whole system call.
const TABLE: [(Protocol, Recogniser); 6] = [
    (Protocol::Tls, tls),
    (Protocol::Http2, http2),
    (Protocol::FastCgi, fast_cgi),
    (Protocol::Redis, redis),
    (Protocol::Postgres, postgres),
    (Protocol::Mysql, mysql),
];

/// Looks at the starts of turns until one protocol is certain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sniffer {
    guess: Option<Protocol>,
}

impl Sniffer {
    /// Looks at the first bytes of a turn, moved by a call that moved `len` bytes.
    pub fn look(&mut self, bytes: &[u8], len: u32) -> Option<Protocol> {
        for (protocol, recognise) in TABLE {
            match recognise(bytes, len as usize) {
                Look::No => {}
                Look::Sure => return Some(protocol),
                Look::Perhaps if self.guess == Some(protocol) => return Some(protocol),
                Look::Perhaps => {
                    self.guess = Some(protocol);
                    return None;
                }
            }
        }
        None
    }
}

fn perhaps(yes: bool) -> Look {
    if yes { Look::Perhaps } else { Look::No }
}

fn sure(yes: bool) -> Look {
    if yes { Look::Sure } else { Look::No }
}

/// A record header (RFC 8446 §5.1): type, version 3.x, length; sure with a hello message in it.
fn tls(bytes: &[u8], _: usize) -> Look {
    let &[kind @ 20..=24, 3, 0..=4, high, low, ref rest @ ..] = bytes else {
        return Look::No;
    };
    let length = u16::from_be_bytes([high, low]);
    if length == 0 || length > (1 << 14) + 2048 {
        return Look::No;
    }
    match (kind, rest) {
        (22, [1 | 2, 0, ..]) => Look::Sure,
        _ => Look::Perhaps,
    }
}

/// The client's preface (RFC 9113 §3.4), or whole frames (§4.1).
fn http2(bytes: &[u8], len: usize) -> Look {
    if bytes.starts_with(b"PRI * HTTP/2.0") {
        return Look::Sure;
    }
    let mut at = 0;
    while at < len {
        let Some(&[a, b, c, kind, _, stream, _, _, _]) = bytes.get(at..at + 9) else {
            return Look::No;
        };
        if kind > 9 || stream & 0x80 != 0 {
            return Look::No;
        }
        at += 9 + u32::from_be_bytes([0, a, b, c]) as usize;
    }
    perhaps(at == len && len > 0)
}

fn fast_cgi(bytes: &[u8], len: usize) -> Look {
    sure(fastcgi::begins(bytes, len))
}

/// An array of bulk strings, as clients send commands (RESP).
fn redis(bytes: &[u8], _: usize) -> Look {
    let Some(rest) = bytes.strip_prefix(b"*") else {
        return Look::No;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    sure((1..=7).contains(&digits) && rest[digits..].starts_with(b"\r\n$"))
}

/// A start-up message, a query, or an answer that ends with `ReadyForQuery`
/// (PostgreSQL documentation, "Message Formats").
fn postgres(bytes: &[u8], len: usize) -> Look {
    let start = bytes.first_chunk::<8>().is_some_and(|head| {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let code = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        length == len && matches!(code, 0x0003_0000 | 0x0003_0002 | 80_877_102..=80_877_104)
    });
    let ready = bytes.len() == len
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && matches!(
            bytes.last_chunk(),
            Some([b'Z', 0, 0, 0, 5, b'I' | b'T' | b'E'])
        );
    if start || ready {
        return Look::Sure;
    }
    perhaps(matches!(bytes, [b'Q', a, b, c, d, ..]
        if u32::from_be_bytes([*a, *b, *c, *d]) as usize + 1 == len))
}

/// The server's greeting (protocol version 10) or a client's command (MySQL internals, "Packets").
fn mysql(bytes: &[u8], len: usize) -> Look {
    let &[a, b, c, 0, kind, ref rest @ ..] = bytes else {
        return Look::No;
    };
    if u32::from_le_bytes([a, b, c, 0]) as usize + 4 != len {
        return Look::No;
    }
    match (kind, rest) {
        (10, [b'0'..=b'9', ..]) => Look::Sure,
        (1..=0x1f, _) => Look::Perhaps,
        _ => Look::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(bytes: &[u8]) -> Option<Protocol> {
        Sniffer::default().look(bytes, u32::try_from(bytes.len()).unwrap())
    }

    #[test]
    fn first_messages_are_recognised() {
        for (bytes, protocol) in [
            (
                &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
                Protocol::Tls,
            ),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
            (
                b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00",
                Protocol::FastCgi,
            ),
            (b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", Protocol::Redis),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Protocol::Postgres),
            (
                b"\x00\x00\x00\x0d\x00\x03\x00\x00user\x00",
                Protocol::Postgres,
            ),
            (b"C\0\0\0\x0bSELECT\0Z\0\0\0\x05I", Protocol::Postgres),
            (b"\x08\x00\x00\x00\x0a8.0.36\x00", Protocol::Mysql),
        ] {
            assert_eq!(look(bytes), Some(protocol), "{bytes:?}");
        }
    }

    #[test]
    fn what_might_be_chance_must_be_seen_twice() {
        let data = b"\x17\x03\x03\x00\x20................................";
        let frames =
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x00abcd\x00\x00\x00\x01\x05\x00\x00\x00\x03";
        let query = b"Q\x00\x00\x00\x0dSELECT 1\x00";
        let command = b"\x09\x00\x00\x00\x03SELECT 1";
        for (bytes, protocol) in [
            (&data[..], Protocol::Tls),
            (frames, Protocol::Http2),
            (query, Protocol::Postgres),
            (command, Protocol::Mysql),
        ] {
            let len = u32::try_from(bytes.len()).unwrap();
            let mut sniffer = Sniffer::default();
            assert_eq!(sniffer.look(bytes, len), None, "{protocol:?}");
            assert_eq!(sniffer.look(bytes, len), Some(protocol));
        }
    }

    #[test]
    fn text_is_nothing() {
        for bytes in [
            &b""[..],
            b"hello world",
            b"HTTP/1.1 200 OK\r\n",
            b"{\"a\": 1}",
            b"*abc",
        ] {
            assert_eq!(look(bytes), None);
        }
    }

    #[test]
    fn patience_is_bounded_by_turns_and_by_bytes() {
        let mut dark = Dark::default();
        for _ in 0..8 {
            assert!(dark.chunk(Direction::Read, 10));
            assert!(!dark.chunk(Direction::Read, 10));
            assert!(dark.chunk(Direction::Write, 10));
        }
        assert!(!dark.is_hopeless());
        dark.chunk(Direction::Read, 10);
        assert!(dark.is_hopeless());

        let mut dark = Dark::default();
        dark.chunk(Direction::Read, 1 << 24);
        assert!(!dark.is_hopeless());
        dark.chunk(Direction::Read, 1);
        assert!(dark.is_hopeless());
    }
}
