//! Whether the confidences that the observer states are right: of links given 0.9, nine in ten.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use super::told::Attribution;

/// Links of one tier and one confidence, or of a range of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bucket {
    /// How many links.
    pub links: usize,
    /// To the right request.
    pub right: usize,
    /// Sum of the confidences stated; divided by `links` it is the share that should be right.
    pub stated: f64,
}

impl Bucket {
    /// Share of links that are right; 1 of none.
    #[must_use]
    pub fn share_right(self) -> f64 {
        self.share(self.right as f64)
    }

    /// Mean of the confidences stated; 1 of none.
    #[must_use]
    pub fn mean_stated(self) -> f64 {
        self.share(self.stated)
    }

    fn share(self, part: f64) -> f64 {
        if self.links == 0 {
            1.0
        } else {
            part / self.links as f64
        }
    }
}

impl AddAssign for Bucket {
    fn add_assign(&mut self, other: Self) {
        self.links += other.links;
        self.right += other.right;
        self.stated += other.stated;
    }
}

/// Links by the tier that carries them and the bits of the confidence stated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration(BTreeMap<(String, u64), Bucket>);

/// Lower bounds of the ranges of [`Calibration::by_confidence`], highest first.
const RANGES: [f64; 7] = [0.999, 0.995, 0.99, 0.95, 0.9, 0.5, 0.0];

impl Calibration {
    /// Counts a link, right or wrong. What states no confidence or tier is counted with 0 or no name.
    pub fn count(&mut self, attribution: Option<&Attribution>, right: bool) {
        let tier = attribution.and_then(|a| a.tier.clone()).unwrap_or_default();
        let stated = attribution.and_then(|a| a.confidence).unwrap_or_default();
        *self.0.entry((tier, stated.to_bits())).or_default() += Bucket {
            links: 1,
            right: usize::from(right),
            stated,
        };
    }

    /// Adds the links of another run.
    pub fn add(&mut self, other: &Self) {
        for (key, bucket) in &other.0 {
            *self.0.entry(key.clone()).or_default() += *bucket;
        }
    }

    /// Links by tier.
    #[must_use]
    pub fn by_tier(&self) -> BTreeMap<&str, Bucket> {
        let mut tiers: BTreeMap<&str, Bucket> = BTreeMap::new();
        for ((tier, _), bucket) in &self.0 {
            *tiers.entry(tier).or_default() += *bucket;
        }
        tiers
    }

    /// Links by range of confidence: the lower bound, and the links from there to the next; highest first.
    #[must_use]
    pub fn by_confidence(&self) -> Vec<(f64, Bucket)> {
        let mut ranges = RANGES.map(|low| (low, Bucket::default()));
        for ((_, stated), bucket) in &self.0 {
            let stated = f64::from_bits(*stated);
            if let Some(at) = RANGES.iter().position(|low| stated >= *low) {
                ranges[at].1 += *bucket;
            }
        }
        ranges.into_iter().filter(|(_, b)| b.links > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(tier: &str, confidence: f64) -> Attribution {
        Attribution {
            tier: Some(tier.to_owned()),
            confidence: Some(confidence),
            reason: None,
        }
    }

    #[test]
    fn links_are_counted_by_tier_and_by_range() {
        let mut links = Calibration::default();
        for right in [true, true, true, false] {
            links.count(Some(&stated("exclusive", 0.95)), right);
        }
        links.count(Some(&stated("context", 0.999)), true);
        let tiers = links.by_tier();
        assert_eq!((tiers["exclusive"].links, tiers["exclusive"].right), (4, 3));
        assert!((tiers["exclusive"].mean_stated() - 0.95).abs() < 1e-9);
        let ranges: Vec<f64> = links.by_confidence().iter().map(|(low, _)| *low).collect();
        assert_eq!(ranges, [0.999, 0.95]);
    }

    #[test]
    fn a_link_without_a_confidence_is_in_the_lowest_range() {
        let mut links = Calibration::default();
        links.count(None, true);
        assert_eq!(links.by_confidence()[0].0, 0.0);
    }

    #[test]
    fn runs_add_up() {
        let mut one = Calibration::default();
        one.count(Some(&stated("context", 0.999)), true);
        let mut both = one.clone();
        both.add(&one);
        assert_eq!(both.by_tier()["context"].links, 2);
    }
}
