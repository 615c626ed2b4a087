//! The carrier fields of one message head, as they came.

use smallvec::SmallVec;

use super::escape::{RAW_LIMIT, escape_onto, escape_text};
use super::rule::{Broken, Rule, declare_rules};
use crate::text::Text;

declare_rules! {
    DUPLICATE = "duplicate-header",
        "The header came more than once with different values, so no reader can know which counts.",
        "RFC 9110 §5.3";
}

/// Values kept of a header that may come once: enough to see whether they differ.
const SINGLE_LIMIT: usize = 2;
/// Values kept of a header whose values form one list.
const LIST_LIMIT: usize = 64;

/// Carrier fields in the order in which they came. Names are those of the table of formats.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a> {
    seen: SmallVec<[(&'static str, &'a [u8]); 4]>,
}

impl<'a> Fields<'a> {
    /// Keeps a value, without white space around it; false if its header came too often.
    pub fn push(&mut self, name: &'static str, list: bool, value: &'a [u8]) -> bool {
        let limit = if list { LIST_LIMIT } else { SINGLE_LIMIT };
        let kept = self.all(name).count() < limit;
        if kept {
            self.seen.push((name, trim(value)));
        }
        kept
    }

    /// The values of a header.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + Clone {
        // Names are constants, so that mostly where they stand tells that they are the same.
        let same = move |seen: &'static str| std::ptr::eq(seen, name) || seen == name;
        let named = self.seen.iter().filter(move |(seen, _)| same(seen));
        named.map(|(_, value)| *value)
    }

    /// How often a header came (counted up to what is kept).
    pub fn count(&self, name: &'static str) -> usize {
        self.all(name).count()
    }

    /// The value of a header that may repeat with the same value.
    ///
    /// # Errors
    /// The values differ.
    pub fn one(&self, name: &'static str) -> Result<Option<&'a [u8]>, Broken> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(second) if Some(second) != first => Err(Broken::whole(&DUPLICATE, name)),
            _ => Ok(first),
        }
    }

    /// The value of a header that must not repeat at all, by `rule`.
    ///
    /// # Errors
    /// It repeats.
    pub fn only(
        &self,
        name: &'static str,
        rule: &'static Rule,
    ) -> Result<Option<&'a [u8]>, Broken> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Broken::whole(rule, name)),
            None => Ok(first),
        }
    }

    /// What came under these names, escaped: values of one header joined by commas, of several
    /// headers each with its name.
    pub fn raw(&self, names: &[&'static str]) -> Text {
        let mut values = names.iter().flat_map(|name| self.all(name));
        if let (Some(only), None) = (values.next(), values.next()) {
            return escape_text(only, RAW_LIMIT);
        }
        let mut out = String::new();
        let several = names.iter().filter(|name| self.count(name) > 0).count() > 1;
        for name in names {
            for value in self.all(name) {
                if !out.is_empty() {
                    escape_onto(&mut out, b", ", RAW_LIMIT);
                }
                if several {
                    escape_onto(&mut out, name.as_bytes(), RAW_LIMIT);
                    escape_onto(&mut out, b": ", RAW_LIMIT);
                }
                escape_onto(&mut out, value, RAW_LIMIT);
            }
        }
        out.into()
    }
}

/// `value` without optional white space (RFC 9110 §5.6.3) around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(|byte| !blank(byte)) else {
        return &value[..0];
    };
    let end = value.iter().rposition(|byte| !blank(byte)).unwrap_or(start);
    &value[start..=end]
}

/// Where `part`, cut out of `whole`, begins in it.
pub(super) fn offset(whole: &[u8], part: &[u8]) -> usize {
    let distance = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    distance.min(whole.len())
}
