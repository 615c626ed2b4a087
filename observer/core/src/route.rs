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
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut route = SmolStrBuilder::new();
    let mut length = 0;
    for (i, segment) in path.split('/').enumerate() {
        let shown = if is_value(segment) { VALUE } else { segment };
        if length + shown.len() >= LENGTH {
            break;
        }
        if i > 0 {
            route.push('/');
            length += 1;
        }
        route.push_str(shown);
        length += shown.len();
    }
    route.finish()
}

/// Whether a segment is a number, a UUID, a hash or the like. Versions (`v2`) are not.
fn is_value(segment: &str) -> bool {
    let version = segment
        .strip_prefix(['v', 'V'])
        .is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    !version && segment.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn values_become_placeholders() {
        assert_eq!(route("/v1/users/42/orders?x=1"), "/v1/users/{id}/orders");
        assert_eq!(route("/a1b2c3/pay"), "/{id}/pay");
        assert_eq!(route("*"), "*");
        assert!(route(&"/segment".repeat(1_000)).len() <= 128);
    }
}
