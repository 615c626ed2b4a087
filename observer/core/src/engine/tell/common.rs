//! What is told of exchanges and of lines alike.

use super::names::Names;
use crate::attribution::{Decision, Served};
use crate::context::{Carrier, TraceId};
use crate::engine::Config;
use crate::ids::{KernelNanos, Tgid, Tid};
use crate::judged::counts::Name;
use crate::judged::{Reason, WallTime};
use crate::summary::{Circumstances, Counter};
use crate::text::Text;

/// Settings, names and counts.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) names: Names,
    pub(super) counter: Counter,
}

/// Who did something, and when.
#[derive(Clone, Copy)]
pub(super) struct By {
    pub(super) tgid: Tgid,
    pub(super) tid: Tid,
    pub(super) time: KernelNanos,
}

impl Common {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            names: Names::new(),
            counter: Counter::default(),
        }
    }

    pub(super) fn wall(&self, time: KernelNanos) -> WallTime {
        self.config.anchor.wall(time)
    }

    /// The service of a process, and what of its exchanges and lines is the same for all.
    pub(super) fn circumstances(&self, tgid: Tgid) -> (Text, Circumstances) {
        let (Name { namespace, name }, runtime) = self.names.who(tgid);
        let circumstances = Circumstances {
            namespace,
            runtime,
            ..Circumstances::default()
        };
        (name, circumstances)
    }
}

/// Why an id can't be called unknown: what was not seen may not have been lost.
pub(super) fn doubted(doubt: Option<Reason>, decision: &Decision) -> Option<Reason> {
    match doubt {
        Some(Reason::RecordsLost) => decision.ids_doubt.clone().or(Some(Reason::RecordsLost)),
        doubt => doubt,
    }
}

pub(super) fn trace_of(carrier: &Carrier) -> Option<TraceId> {
    carrier.context().map(|c| c.trace_id.clone())
}

pub(super) fn inbound(served: &Served) -> &Carrier {
    &served.carrier
}
