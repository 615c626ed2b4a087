//! The plain case of a JSON object: one level, nothing escaped. Most structured log lines are of this
//! kind, so they are read in one pass over their bytes. Whatever else a line holds is left to
//! [`json`](super::json), which this agrees with.

use smallvec::SmallVec;

use super::hits::{Hits, QUOTED};
use super::json::{NAMED, is_link};
use super::names::{Kind, kind};
use super::text;

/// Members of one object that may tell of a trace, at most.
const MAX_TELLING: usize = 8;

/// Longest number read here, in bytes: no such integer leaves 64 bits.
const MAX_NUMBER: usize = 18;

/// A member that may tell of a trace.
struct Member<'t> {
    /// Its name, if an id can stand there; otherwise its value mentions something like an id.
    name: Option<(&'t str, Kind)>,
    value: &'t str,
}

/// Finds ids in the object at the start of `text` and returns where it ends; `None`, with nothing
/// found, if it is not of the plain kind.
pub(super) fn scan(text: &str, hits: &mut Hits) -> Option<usize> {
    let mut telling = SmallVec::<[Member<'_>; MAX_TELLING]>::new();
    let mut from = Cursor { text, at: 0 };
    from.token(b'{')?;
    loop {
        from.token(b'"')?;
        let key = from.string()?;
        from.token(b':')?;
        if let Some(member) = from.member(key)? {
            if telling.len() == MAX_TELLING {
                return None;
            }
            telling.push(member);
        }
        match from.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    for Member { name, value } in telling {
        match name {
            Some((name, kind)) => hits.add(NAMED, name, value, kind.read(value)),
            None => text::scan(value, QUOTED, hits),
        }
    }
    Some(from.at)
}

/// A place in a text.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    /// The next byte that is no white space (RFC 8259 §2).
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }

    fn token(&mut self, token: u8) -> Option<()> {
        (self.next()? == token).then_some(())
    }

    /// The value of a member; `Some(None)` if it can't tell of a trace.
    fn member(&mut self, key: &'t str) -> Option<Option<Member<'t>>> {
        let first = self.next()?;
        if first == b'"' {
            let value = self.string()?;
            if is_link(key) {
                return Some(None);
            }
            let name = kind(key).map(|kind| (key, kind));
            let tells = name.is_some() || text::may_have_id(value);
            return Some(tells.then_some(Member { name, value }));
        }
        self.at -= 1;
        match first {
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            // Ids that are numbers need the whole grammar.
            _ if kind(key).is_some() => return None,
            _ => self.number()?,
        }
        Some(None)
    }

    /// The string whose opening quote was read.
    fn string(&mut self) -> Option<&'t str> {
        let start = self.at;
        let end = start + plain(&self.text.as_bytes()[start..]);
        self.at = end + 1;
        match self.text.as_bytes().get(end)? {
            b'"' => self.text.get(start..end),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word).then_some(())
    }

    /// A number without an exponent (RFC 8259 §6).
    fn number(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = |from: usize| {
            let digits = rest.get(from..).unwrap_or_default().iter();
            digits.take_while(|byte| byte.is_ascii_digit()).count()
        };
        let start = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(start);
        if whole == 0 || (whole > 1 && rest[start] == b'0') {
            return None;
        }
        let mut end = start + whole;
        if rest.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return None;
            }
            end += 1 + fraction;
        }
        let exponent = matches!(rest.get(end), Some(b'e' | b'E'));
        self.at += end;
        (end <= MAX_NUMBER && !exponent).then_some(())
    }
}

/// How many bytes of a string stand before its end, an escape, or what must be escaped.
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let odd = odd(u64::from_le_bytes(*word));
        if odd != 0 {
            return index * size_of::<u64>() + odd.trailing_zeros() as usize / 8;
        }
    }
    let odd = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    let plain = rest.iter().position(odd).unwrap_or(rest.len());
    text.len() - rest.len() + plain
}

/// The highest bit of each of eight bytes that is a quote, a backslash or a control character; of others, too, but
/// only above one of these.
fn odd(bytes: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Borrows where the byte is smaller than the bound, unless it has its highest bit set.
    let below = |bytes: u64, bound: u8| bytes.wrapping_sub(ONES * u64::from(bound)) & !bytes;
    let is = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
    (below(bytes, b' ') | is(b'"') | is(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::line::json;

    fn found(text: &str) -> Option<(usize, Hits)> {
        let mut hits = Hits::default();
        scan(text, &mut hits).map(|end| (end, hits))
    }

    #[test]
    fn plain_objects_are_read_here() {
        for text in [
            r#"{"time":"2026-01-01T00:00:00Z","level":"info","trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
            "{ \"a\" : -1.5 , \"b\":true,\"c\":null , \"d\" : 0 }\n",
        ] {
            assert!(found(text).is_some(), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left() {
        for text in [
            "{}",
            r#"{"a":"b"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":{}}"#,
            r#"{"a":[1]}"#,
            r#"{"a":01}"#,
            r#"{"a":1e9}"#,
            r#"{"a":1.}"#,
            r#"{"a":truth}"#,
            r#"{"a":1,}"#,
            r#"{"trace_id":17}"#,
            "{\"a\":\"b\tc\"}",
        ] {
            assert!(found(text).is_none(), "{text}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "\"[ -~]{0,12}\"",
            "\"(trace_id=|id [a-c]*, )?[0-9a-f]{32}\"",
            "\"00-[0-9a-f]{32}-[0-9a-f]{16}-01\"",
            "-?[0-9]{1,20}(\\.[0-9]{0,3})?(e[0-9])?",
            "true|false|null|nul|\\{\\}|\\[1\\]|\"\\\\u0041\"",
        ]
    }

    proptest! {
        /// What is read here is what `serde_json` reads.
        #[test]
        fn agrees_with_the_whole_grammar(
            members in proptest::collection::vec(("trace_id|traceId|TID|links?|trace|msg|a\\.b|dd\\.trace_id|[ -~]{0,6}", value()), 1..12),
            space in "[ \n\t]{0,2}",
            rest in "[ }a]{0,2}",
        ) {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\"{space}:{value}")).collect();
            let text = format!("{{{}{space}}}{rest}", members.join(","));
            if let Some((end, hits)) = found(&text) {
                let mut expected = Hits::default();
                prop_assert_eq!(json::scan_any(&text, &mut expected), Ok(end));
                prop_assert_eq!(hits.finish(), expected.finish());
            }
        }

        #[test]
        fn nothing_panics(text in "[{}\":,a-e0-9.\\\\é\\[-]{0,40}") {
            found(&text);
        }
    }
}
