//! The latest examples of each verdict.

use std::collections::BTreeMap;

use crate::judged::counts::Sample;
use crate::text::Text;

/// Examples that are kept of each verdict.
const KEPT: usize = 3;

/// The latest examples of each verdict, oldest first: of the same examples always the same, in whatever
/// order they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Samples(BTreeMap<Text, Vec<Sample>>);

impl Samples {
    pub(super) fn add(&mut self, sample: Sample) {
        let kept = self.0.entry(sample.verdict.clone()).or_default();
        let at = match kept.binary_search(&sample) {
            Ok(_) => return,
            Err(at) => at,
        };
        if kept.len() < KEPT {
            kept.insert(at, sample);
        } else if at > 0 {
            kept.insert(at, sample);
            kept.remove(0);
        }
    }

    pub(super) fn of(&self, verdict: &str) -> &[Sample] {
        self.0.get(verdict).map_or(&[], Vec::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.values().flatten()
    }
}
