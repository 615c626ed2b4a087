//! What is counted apart.

use serde::{Deserialize, Serialize};

use super::{Measure, Name, Reckoning};
use crate::facts::Runtime;
use crate::judged::{LogVerdict, LossKind, Role, Verdict};
use crate::message::{Flaw, MessageKind, Protocol};
use crate::text::Text;

/// What causes are told by, beside the verdict on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Nothing more matters.
    Plain,
    /// Context lost or passed on: the execution that read the request made the call.
    SameExecution,
    /// Context lost or passed on: another execution made the call.
    OtherExecution,
    /// A new trace: the call carries a format that the request came in with.
    SameFormat,
    /// A new trace: the call carries only formats that did not come in.
    OtherFormat,
    /// Nothing valid came in: the call was made for a request.
    ForRequest,
    /// Nothing valid came in: the call was made for no request that is known.
    ForNone,
}

impl How {
    /// What matters of a call with this verdict. `for_request`: the request that it was made for is known.
    #[must_use]
    pub fn of(
        verdict: Verdict,
        same_execution: bool,
        same_format: bool,
        for_request: bool,
    ) -> Self {
        match verdict {
            Verdict::Dropped | Verdict::Propagated | Verdict::Forwarded | Verdict::Translated => {
                match same_execution {
                    true => Self::SameExecution,
                    false => Self::OtherExecution,
                }
            }
            Verdict::Restarted => match same_format {
                true => Self::SameFormat,
                false => Self::OtherFormat,
            },
            Verdict::Originated | Verdict::Absent => match for_request {
                true => Self::ForRequest,
                false => Self::ForNone,
            },
            Verdict::Crossed | Verdict::Mangled | Verdict::Inconclusive => Self::Plain,
        }
    }
}

/// What became of context on a call of some route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// It carried one.
    Carried,
    /// It was dropped.
    Dropped,
}

/// What a request came in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inbound {
    /// A valid context.
    Valid,
    /// Only one that breaks its format's rules.
    Invalid,
    /// None.
    None,
}

/// Which messages could not be read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unread {
    /// Side that the service is on.
    pub role: Role,
    /// Which messages.
    pub message: MessageKind,
    /// What is wrong with them.
    pub flaw: Flaw,
}

/// One thing that is counted apart. Counts of the same cell add up, whoever counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// Calls of a service to a peer.
    Calls {
        /// Who calls.
        service: Name,
        /// Who is called.
        peer: Name,
        /// The verdict.
        verdict: Verdict,
        /// What tells causes.
        how: How,
    },
    /// Judged calls of a route; kept apart from the others so that it can be left out.
    Routes {
        /// Who calls.
        service: Name,
        /// Who is called.
        peer: Name,
        /// Method and path template; [`OTHER`](crate::summary::OTHER) beyond the bound.
        route: Text,
        /// What became of context.
        carried: Carried,
    },
    /// Requests that a service served.
    Requests {
        /// Who served.
        service: Name,
        /// What they came in with.
        context: Inbound,
    },
    /// Requests that were served at an address that other hosts can reach: it tells who is called there.
    Served {
        /// Who served.
        service: Name,
        /// IP address and port.
        address: Text,
    },
    /// Logged events.
    Lines {
        /// Who logged.
        service: Name,
        /// The verdict.
        verdict: LogVerdict,
    },
    /// Requests, calls and logged events of a service's processes, by what these run on.
    Activity {
        /// Whose.
        service: Name,
        /// What they run on.
        runtime: Runtime,
    },
    /// Calls and logged events that could not be judged.
    Inconclusive {
        /// Whose.
        service: Name,
        /// Why not ([`Reason::kind`](crate::judged::Reason::kind)).
        reason: Text,
    },
    /// Connections that are not observed.
    Unobserved {
        /// Whose.
        service: Name,
        /// What they carry.
        protocol: Protocol,
    },
    /// Messages that broke the rules of HTTP and so were passed over.
    Unreadable {
        /// Whose.
        service: Name,
        /// The other side: host and port of a server, host of a client.
        peer: Text,
        /// Which messages, and why.
        unread: Unread,
    },
    /// Calls of a service to a peer, or requests that it served, that are estimated to have been on connections
    /// which sampling left out.
    LeftOut {
        /// Whose.
        service: Name,
        /// Who is called; absent of requests.
        peer: Option<Name>,
        /// Whether it is the estimate, or its variance.
        measure: Measure,
    },
    /// System calls on connections that sampling left out: as they were counted, or as those on observed connections lead to expect.
    Reckoned {
        /// Whose.
        service: Name,
        /// The side of the connections that it is on.
        role: Role,
        /// Whether they were counted, or are expected.
        reckoning: Reckoning,
    },
    /// What was lost on the way; whose it was is not known for every kind.
    Losses {
        /// Whom it touches; absent when any service may be.
        service: Option<Name>,
        /// What.
        kind: LossKind,
    },
    /// Records that the pipeline took in.
    Records,
}
