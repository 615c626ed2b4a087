//! Hides the values of a target's query: they may hold secrets.

use memchr::memchr;
use smol_str::SmolStrBuilder;

use crate::text::Text;

/// What stands for a hidden value.
const HIDDEN: &str = "…";

/// `target` with its query's values hidden, unless `show`.
#[must_use]
pub fn redact(target: Text, show: bool) -> Text {
    let bytes = target.as_bytes();
    let Some(query) = memchr(b'?', bytes).filter(|_| !show) else {
        return target;
    };
    let mut out = SmolStrBuilder::new();
    // What is kept up to here: the path, then of each pair what stands before its value.
    let mut start = 0;
    let mut at = query + 1;
    loop {
        let end = memchr(b'&', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        match memchr(b'=', &bytes[at..end]) {
            Some(length) => {
                out.push_str(&target[start..=at + length]);
                out.push_str(HIDDEN);
            }
            None => {
                out.push_str(&target[start..at]);
                // A query without names may be a secret as a whole.
                if at < end {
                    out.push_str(HIDDEN);
                }
            }
        }
        if end == bytes.len() {
            return out.finish();
        }
        (start, at) = (end, end + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HIDDEN, redact};

    #[test]
    fn hides_values_and_keeps_names() {
        assert_eq!(
            redact("/a?user=1&token=x%20y&&flag".into(), false),
            "/a?user=…&token=…&&…"
        );
        assert_eq!(redact("/a?user=1".into(), true), "/a?user=1");
        assert_eq!(redact("/a".into(), false), "/a");
    }

    proptest! {
        #[test]
        fn only_values_are_replaced(target in "[ab/?&=é]{0,20}") {
            let expected = match target.split_once('?') {
                None => target.clone(),
                Some((path, query)) => {
                    let hidden = |pair: &str| match pair.split_once('=') {
                        Some((key, _)) => format!("{key}={HIDDEN}"),
                        None if pair.is_empty() => String::new(),
                        None => HIDDEN.to_owned(),
                    };
                    let pairs: Vec<String> = query.split('&').map(hidden).collect();
                    format!("{path}?{}", pairs.join("&"))
                }
            };
            prop_assert_eq!(redact(target.as_str().into(), false), expected);
        }
    }
}
