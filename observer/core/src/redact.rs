//! Hides the values of a target's query: they may hold secrets.

use smol_str::SmolStrBuilder;

use crate::text::Text;

/// What stands for a hidden value.
const HIDDEN: &str = "…";

/// `target` with its query's values hidden, unless `show`.
#[must_use]
pub fn redact(target: Text, show: bool) -> Text {
    let Some((path, query)) = target.split_once('?').filter(|_| !show) else {
        return target;
    };
    let mut out = SmolStrBuilder::new();
    out.push_str(path);
    for (i, pair) in query.split('&').enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((key, _)) => {
                out.push_str(key);
                out.push('=');
                out.push_str(HIDDEN);
            }
            // A query without names may be a secret as a whole.
            None if !pair.is_empty() => out.push_str(HIDDEN),
            None => {}
        }
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn hides_values_and_keeps_names() {
        assert_eq!(
            redact("/a?user=1&token=x%20y&&flag".into(), false),
            "/a?user=…&token=…&&…"
        );
        assert_eq!(redact("/a?user=1".into(), true), "/a?user=1");
        assert_eq!(redact("/a".into(), false), "/a");
    }
}
