//! Rules of the formats: each has a stable name for machines, a sentence and a source for people.

use serde::Serialize;

use super::formats;

/// One rule that a propagation header can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Name in kebab-case; stable, so that alerts and reports may rely on it.
    pub name: &'static str,
    /// What is wrong when it is broken, in one sentence.
    pub explanation: &'static str,
    /// Where it is written down.
    pub spec: &'static str,
}

/// The rule of that name, if there is one.
#[must_use]
pub fn find_rule(name: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.name == name)
}

/// All rules of all formats.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let shared = super::fields::RULES.iter();
    shared.chain(formats::RULES.iter().flat_map(|rules| rules.iter()))
}

/// A rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub rule: &'static Rule,
    /// Lower-case name of the header that breaks it.
    pub header: &'static str,
    /// Byte of the header's value (without white space around it) at which it breaks, from 0.
    pub at: Option<usize>,
}

impl Broken {
    /// The header as a whole breaks the rule.
    pub fn whole(rule: &'static Rule, header: &'static str) -> Self {
        let at = None;
        Self { rule, header, at }
    }

    /// The header breaks the rule at byte `at` of its value.
    pub fn at(rule: &'static Rule, header: &'static str, at: usize) -> Self {
        let at = Some(at);
        Self { rule, header, at }
    }
}

/// Declares the rules of one file: a constant each, and `RULES` with all of them.
macro_rules! declare_rules {
    ($($id:ident = $name:literal, $explanation:literal, $spec:literal;)+) => {
        $(const $id: $crate::context::rule::Rule = $crate::context::rule::Rule {
            name: $name,
            explanation: $explanation,
            spec: $spec,
        };)+
        /// The rules that this file knows.
        pub(in crate::context) const RULES: &[$crate::context::rule::Rule] = &[$($id),+];
    };
}
pub(super) use declare_rules;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_explained() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in rules() {
            assert!(seen.insert(rule.name), "{} is declared twice", rule.name);
            assert!(
                rule.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{} is not kebab-case",
                rule.name
            );
            assert!(rule.explanation.ends_with('.'), "{}", rule.name);
            assert!(!rule.spec.is_empty(), "{}", rule.name);
            assert_eq!(find_rule(rule.name), Some(rule));
        }
        assert_eq!(find_rule("no-such-rule"), None);
    }
}
