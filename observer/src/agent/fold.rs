//! Bounds how many edges have series of their own.

use std::collections::{BTreeMap, BTreeSet};

use observer_core::judged::counts::{Counted, Series};
use observer_core::summary::OTHER;
use observer_core::text::Text;

use super::metrics::Folded;

/// Labels that name an edge.
const EDGE: [&str; 4] = [
    "service_name",
    "service_namespace",
    "peer_name",
    "peer_namespace",
];

/// The edges that came first have series of their own, for good: a series that came and went with its rank
/// would be a counter that decreases.
#[derive(Debug)]
pub struct Edges {
    limit: usize,
    admitted: BTreeSet<[Text; 4]>,
    folded: BTreeSet<[Text; 4]>,
}

impl Edges {
    /// At most `limit` edges.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            admitted: BTreeSet::new(),
            folded: BTreeSet::new(),
        }
    }

    /// Puts the edges beyond the limit together, each with the peer `other` of its service.
    pub fn fold(&mut self, counted: &Counted) -> (Counted, Folded) {
        let mut sums: BTreeMap<(Text, BTreeMap<Text, Text>), u64> = BTreeMap::new();
        for series in &counted.series {
            let labels = self.labels(series);
            *sums.entry((series.metric.clone(), labels)).or_default() += series.count;
        }
        let series = sums.into_iter().map(|((metric, labels), count)| Series {
            metric,
            labels: labels.into_iter().collect(),
            count,
        });
        let folded = Counted {
            series: series.collect(),
            samples: counted.samples.clone(),
        };
        let sizes = Folded {
            edges: self.admitted.len(),
            folded: self.folded.len(),
        };
        (folded, sizes)
    }

    fn labels(&mut self, series: &Series) -> BTreeMap<Text, Text> {
        let mut labels: BTreeMap<Text, Text> = series
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let is_edge = labels.contains_key("peer_name");
        let edge = EDGE.map(|name| labels.get(name).cloned().unwrap_or_default());
        if is_edge && !self.admits(edge) {
            labels.insert("peer_name".into(), OTHER.into());
            labels.remove("peer_namespace");
        }
        labels
    }

    fn admits(&mut self, edge: [Text; 4]) -> bool {
        if self.admitted.contains(&edge) {
            return true;
        }
        // What is counted as `other` already needs no room of an edge.
        if edge[2] == OTHER && edge[3].is_empty() {
            return true;
        }
        if self.admitted.len() < self.limit {
            self.admitted.insert(edge);
            return true;
        }
        self.folded.insert(edge);
        false
    }
}

#[cfg(test)]
mod tests {
    use observer_core::judged::Verdict;
    use observer_core::judged::counts::{Cell, How, Name};
    use proptest::prelude::*;

    use super::*;

    fn counted(peers: &[(u8, u64)]) -> Counted {
        let series = peers.iter().map(|(peer, n)| {
            let cell = Cell::Calls {
                service: Name::plain("cart"),
                peer: Name::plain(format!("p{peer}")),
                verdict: Verdict::Dropped,
                how: How::SameExecution,
            };
            Series::new(&cell, *n)
        });
        Counted {
            series: series.collect(),
            samples: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_series_decreases(
            peers in prop::collection::btree_map(0_u8..20, 1_u64..9, 0..20),
            later in prop::collection::btree_map(0_u8..30, 1_u64..9, 0..20),
            limit in 1_usize..10,
        ) {
            let mut edges = Edges::new(limit);
            let first: Vec<_> = peers.iter().map(|(p, n)| (*p, *n)).collect();
            let mut all = peers.clone();
            for (peer, n) in later {
                *all.entry(peer).or_default() += n;
            }
            let second: Vec<_> = all.into_iter().collect();
            let (before, _) = edges.fold(&counted(&first));
            let (after, sizes) = edges.fold(&counted(&second));
            let sum = |c: &Counted| c.series.iter().map(|s| s.count).sum::<u64>();
            prop_assert_eq!(sum(&before), first.iter().map(|(_, n)| n).sum::<u64>());
            prop_assert_eq!(sum(&after), second.iter().map(|(_, n)| n).sum::<u64>());
            prop_assert!(after.series.len() <= limit + 1 && sizes.edges <= limit);
            for series in &before.series {
                let now = after.series.iter().find(|s| s.labels == series.labels);
                prop_assert!(now.is_some_and(|s| s.count >= series.count));
            }
        }
    }
}
