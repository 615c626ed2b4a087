//! Verdicts and findings.

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// The judgement on one client exchange. T and P are trace-id and parent-id of the context that the
/// server exchange came in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Carries T with a new parent-id.
    Propagated,
    /// Carries T and P unchanged: passed through without a span of its own.
    Forwarded,
    /// Carries T, but only in another format than it came in.
    Translated,
    /// Carries no context.
    Dropped,
    /// Carries another trace-id, which no known request owns.
    Restarted,
    /// Carries the trace-id of a different request of the same process.
    Crossed,
    /// Carries an invalid context; the broken rule is among the findings.
    Mangled,
    /// Nothing valid came in; this service rightly started a trace.
    Originated,
    /// Neither side carries any.
    Absent,
    /// Not known; the attribution's reason says why.
    Inconclusive,
}

impl Verdict {
    /// Every verdict, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Propagated,
        Self::Forwarded,
        Self::Translated,
        Self::Dropped,
        Self::Restarted,
        Self::Crossed,
        Self::Mangled,
        Self::Originated,
        Self::Absent,
        Self::Inconclusive,
    ];

    /// Whether it says that context was lost: the observed service is at fault.
    #[must_use]
    pub fn is_loss(self) -> bool {
        matches!(
            self,
            Self::Dropped | Self::Restarted | Self::Crossed | Self::Mangled
        )
    }

    /// Whether it was judged at all whether context that came in went out.
    #[must_use]
    pub fn is_judged(self) -> bool {
        self.is_loss() || matches!(self, Self::Propagated | Self::Forwarded | Self::Translated)
    }

    /// The word used in all output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Propagated => "propagated",
            Self::Forwarded => "forwarded",
            Self::Translated => "translated",
            Self::Dropped => "dropped",
            Self::Restarted => "restarted",
            Self::Crossed => "crossed",
            Self::Mangled => "mangled",
            Self::Originated => "originated",
            Self::Absent => "absent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The judgement on one logged event made for a request with trace-id T.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogVerdict {
    /// Carries T.
    Linked,
    /// Carries no id.
    Missing,
    /// Carries an all-zero id.
    Zero,
    /// Carries the trace-id of a different request of the same process.
    Crossed,
    /// Carries an id that nobody knows.
    Foreign,
    /// Carries T in another notation: decimal, or its lower 64 bits.
    Reencoded,
    /// Written for no request: start-up, timers.
    Unscoped,
    /// The request had no context and the line carries none.
    Absent,
    /// Not known; the attribution's reason says why.
    Inconclusive,
}

impl LogVerdict {
    /// Every verdict, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Linked,
        Self::Reencoded,
        Self::Missing,
        Self::Zero,
        Self::Crossed,
        Self::Foreign,
        Self::Unscoped,
        Self::Absent,
        Self::Inconclusive,
    ];

    /// Whether the line can't be found by the trace it was written in.
    #[must_use]
    pub fn is_loss(self) -> bool {
        matches!(
            self,
            Self::Missing | Self::Zero | Self::Crossed | Self::Foreign
        )
    }

    /// Whether it was judged at all whether the line carries its request's id.
    #[must_use]
    pub fn is_judged(self) -> bool {
        self.is_loss() || matches!(self, Self::Linked | Self::Reencoded)
    }

    /// The word used in all output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Missing => "missing",
            Self::Zero => "zero",
            Self::Crossed => "crossed",
            Self::Foreign => "foreign",
            Self::Reencoded => "reencoded",
            Self::Unscoped => "unscoped",
            Self::Absent => "absent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A fact beside the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// The sampled flag went out other than it came in.
    SampledChanged {
        /// As it came in.
        inbound: bool,
        /// As it went out.
        outbound: bool,
    },
    /// Members of `tracestate` came in and did not go out.
    TracestateLost {
        /// Their keys.
        keys: Vec<Text>,
    },
    /// Members of `tracestate` that did not change went out in another order.
    TracestateReordered,
    /// Members of `baggage` came in and did not go out.
    BaggageLost {
        /// Their keys.
        keys: Vec<Text>,
    },
    /// A header that may come once came more often.
    DuplicateHeader {
        /// Its lower-case name.
        header: Text,
    },
    /// Two formats in one message name different traces.
    FormatsDisagree,
    /// A carrier header breaks a rule of its format.
    InvalidContext {
        /// The format.
        format: crate::context::Format,
        /// The rule.
        rule: &'static str,
        /// Header value, escaped.
        raw: Text,
    },
    /// The request delivers telemetry; such calls carry no context by design and are not judged.
    TelemetryExport,
}
