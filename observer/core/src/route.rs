//! Routes: paths without the parts that look like values, so that calls of one kind count together.

use smol_str::SmolStrBuilder;

use crate::text::Text;

/// Longest route, in bytes; what is beyond is left out.
const LENGTH: usize = 128;

/// What stands for a segment that looks like a value.
const VALUE: &str = "{id}";

/// A target's path with `{id}` for the segments that look like values.
#[must_use]
pub fn route(target: &str) -> Text {
    let mut route = SmolStrBuilder::new();
    each_piece(target, |piece| route.push_str(piece));
    route.finish()
}

/// Hands over what a target's [`route`] is made of, one after another: segments, and the slashes between them.
pub(crate) fn each_piece<'t>(target: &'t str, mut take: impl FnMut(&'t str)) {
    let end = target.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    let mut rest = Some(&target[..end.unwrap_or(target.len())]);
    let (mut length, mut slash) = (0, "");
    while let Some(path) = rest {
        // Segments are too short for a search to pay.
        let end = path.bytes().position(|byte| byte == b'/');
        let segment = &path[..end.unwrap_or(path.len())];
        rest = end.map(|slash| &path[slash + 1..]);
        let shown = if is_value(segment) { VALUE } else { segment };
        if length + shown.len() >= LENGTH {
            return;
        }
        take(slash);
        take(shown);
        length += slash.len() + shown.len();
        slash = "/";
    }
}

/// Whether a segment is a number, a UUID, a hash or the like. Versions (`v2`) are not.
fn is_value(segment: &str) -> bool {
    segment.bytes().any(|byte| byte.is_ascii_digit()) && !is_version(segment)
}

fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix(['v', 'V'])
        .is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LENGTH, VALUE, is_value, route};

    #[test]
    fn values_become_placeholders() {
        assert_eq!(route("/v1/users/42/orders?x=1"), "/v1/users/{id}/orders");
        assert_eq!(route("/a1b2c3/pay"), "/{id}/pay");
        assert_eq!(route("*"), "*");
        assert!(route(&"/segment".repeat(1_000)).len() <= 128);
    }

    proptest! {
        #[test]
        fn is_the_segments_with_slashes(target in "([/a-c1?#é]|/[a-z]{60}/){0,12}") {
            let path = target.split(['?', '#']).next().unwrap_or_default();
            let mut expected = String::new();
            for (i, segment) in path.split('/').enumerate() {
                let shown = if is_value(segment) { VALUE } else { segment };
                if expected.len() + shown.len() >= LENGTH {
                    break;
                }
                expected.push_str(if i > 0 { "/" } else { "" });
                expected.push_str(shown);
            }
            prop_assert_eq!(route(&target), expected);
        }
    }
}
