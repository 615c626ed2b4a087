//! Tells what was lost.

use hashbrown::HashMap;

use crate::judged::{Judged, Loss, LossKind};

/// Losses of one kind and process that are told apart before they are told.
const MAX_LOSSES: usize = 1_024;

/// What was lost: what of it was not told yet, and all of it by kind.
#[derive(Debug, Default)]
pub(super) struct Losses {
    untold: Vec<Loss>,
    totals: HashMap<LossKind, Loss>,
}

impl Losses {
    pub(super) fn add(&mut self, loss: Loss) {
        let total = self.totals.entry(loss.what).or_insert_with(|| Loss {
            count: 0,
            pid: None,
            service: None,
            ..loss.clone()
        });
        total.count += loss.count;
        total.until = loss.until;
        let same = |l: &&mut Loss| l.what == loss.what && l.pid == loss.pid;
        if let Some(told) = self.untold.iter_mut().find(same) {
            told.count += loss.count;
            told.until = loss.until;
        } else if self.untold.len() < MAX_LOSSES {
            self.untold.push(loss);
        }
    }

    pub(super) fn tell(&mut self, out: &mut Vec<Judged>) {
        out.extend(self.untold.drain(..).map(Judged::Loss));
    }

    /// All that was lost, one of each kind.
    pub(super) fn totals(&self) -> Vec<Loss> {
        let mut totals: Vec<Loss> = self.totals.values().cloned().collect();
        totals.sort_by_key(|l| l.what);
        totals
    }
}
