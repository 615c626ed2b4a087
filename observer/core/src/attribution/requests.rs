//! Requests that share an id.

use std::collections::BTreeSet;

use crate::ids::Seq;

/// The requests that came in with one id. Nearly always it is only one, which takes no memory of
/// its own.
#[derive(Debug)]
pub(super) enum Requests {
    One(Seq),
    Several(BTreeSet<Seq>),
}

impl Requests {
    pub(super) fn insert(&mut self, request: Seq) {
        match self {
            Self::One(only) if *only == request => {}
            Self::One(only) => *self = Self::Several([*only, request].into()),
            Self::Several(requests) => {
                requests.insert(request);
            }
        }
    }

    /// Removes one; whether none is left.
    pub(super) fn remove(&mut self, request: Seq) -> bool {
        match self {
            Self::One(only) => *only == request,
            Self::Several(requests) => {
                requests.remove(&request);
                requests.is_empty()
            }
        }
    }

    /// The requests, the latest first.
    pub(super) fn latest_first(&self) -> impl Iterator<Item = Seq> {
        let (one, several) = match self {
            Self::One(only) => (Some(*only), None),
            Self::Several(requests) => (None, Some(requests)),
        };
        one.into_iter()
            .chain(several.into_iter().flatten().rev().copied())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps: Vec<(bool, u8)>) {
            let mut model = BTreeSet::from([Seq(0)]);
            let mut requests = Requests::One(Seq(0));
            for (insert, n) in steps {
                let request = Seq(u64::from(n % 4));
                if insert {
                    model.insert(request);
                    requests.insert(request);
                } else {
                    model.remove(&request);
                    prop_assert_eq!(requests.remove(request), model.is_empty());
                    if model.is_empty() {
                        break;
                    }
                }
                let latest: Vec<Seq> = requests.latest_first().collect();
                prop_assert!(latest.iter().eq(model.iter().rev()));
            }
        }
    }
}
