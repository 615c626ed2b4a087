//! Who is watched, and who no longer.

use std::collections::BTreeSet;

use observer_core::ids::Tgid;

use super::select::{self, SelectError};
use crate::cli::select::Selection;
use crate::facts::{Proc, Process};

/// What has changed in who is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be watched from now on; those that are already stay so.
    pub watch: BTreeSet<Tgid>,
    /// To be watched no longer.
    pub leave: BTreeSet<Tgid>,
}

/// Decides who is watched. Children inherit it from their parents in the kernel.
pub trait Chooser {
    /// Whether a process is to be watched; asked when it has executed a program.
    fn wants(&mut self, process: &Process) -> bool;

    /// Whether a process is watched with the children that it has, whatever they execute. If not, a
    /// watched process that executes what is not wanted is left.
    fn takes_children(&self) -> bool;

    /// Whether programs of processes that are not watched are to be judged.
    fn has_rules(&self) -> bool;

    /// Whether processes that start later may belong to it.
    fn is_open(&self) -> bool;

    /// Looks at all processes there are, in the beginning.
    fn look(&mut self, proc: &Proc) -> Changes;

    /// Looks for what has changed without a program being executed; called some times a second.
    fn look_again(&mut self, proc: &Proc) -> Changes;
}

/// Chooses as the command line's selection says.
#[derive(Debug)]
pub struct BySelection(Selection);

impl BySelection {
    /// Chooses what `selection` names by rules; processes that it names by number are not its business.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        Self(selection)
    }

    /// Whether what it needs can be read.
    ///
    /// # Errors
    ///
    /// If processes can't be found by their ports.
    pub fn check(&self) -> Result<(), SelectError> {
        select::listening(&self.0).map(drop)
    }

    fn listening(&self) -> BTreeSet<Tgid> {
        select::listening(&self.0).unwrap_or_default()
    }
}

impl Chooser for BySelection {
    fn wants(&mut self, process: &Process) -> bool {
        select::matches(process, &self.0)
    }

    fn takes_children(&self) -> bool {
        true
    }

    fn has_rules(&self) -> bool {
        self.0.has_rules()
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn look(&mut self, proc: &Proc) -> Changes {
        let mut watch = self.listening();
        if self.0.has_rules() {
            let found = proc.processes().filter(|p| select::matches(p, &self.0));
            watch.extend(found.map(|process| Tgid(process.pid)));
        }
        Changes {
            watch,
            leave: BTreeSet::new(),
        }
    }

    /// A process that begins to listen executes nothing by which it would be noticed.
    fn look_again(&mut self, _proc: &Proc) -> Changes {
        Changes {
            watch: self.listening(),
            leave: BTreeSet::new(),
        }
    }
}
