//! What is asked of a service: one [`Planned`] per request, and what the observer should say of it.

use std::fmt;

use crate::workload::{malformed, span_id, trace_id};

/// What a service does with the context of a request when it calls on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Same trace-id, new parent-id.
    Propagate,
    /// No header.
    Drop,
    /// A new trace-id.
    Restart,
    /// The same header, byte for byte.
    Forward,
    /// A `traceparent` that breaks a rule.
    Malformed,
    /// The same trace-id, in B3 headers only.
    B3,
    /// The trace-id of the request that began before: the service mixes its requests up.
    Leak,
}

impl Mode {
    /// Every mode in which what a call carries is right or wrong for itself alone: all but [`Mode::Leak`].
    pub const ALL: [Self; 6] = [
        Self::Propagate,
        Self::Drop,
        Self::Restart,
        Self::Forward,
        Self::Malformed,
        Self::B3,
    ];

    /// The value of the query field `mode`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Propagate => "propagate",
            Self::Drop => "drop",
            Self::Restart => "restart",
            Self::Forward => "forward",
            Self::Malformed => "malformed",
            Self::B3 => "b3",
            Self::Leak => "leak",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a service's log lines say about the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogMode {
    /// The request's trace-id.
    Linked,
    /// Nothing.
    Missing,
    /// An all-zero trace-id.
    Zero,
    /// The lower 64 bits of the trace-id as a decimal number.
    Decimal,
}

impl LogMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Linked, Self::Missing, Self::Zero, Self::Decimal];

    /// The value of the query field `log`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Missing => "missing",
            Self::Zero => "zero",
            Self::Decimal => "decimal",
        }
    }
}

/// The `traceparent` that a request comes in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A valid one.
    Valid(String),
    /// None.
    None,
    /// One that breaks a rule.
    Invalid(String),
}

impl Inbound {
    /// The header's value.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Valid(value) | Self::Invalid(value) => Some(value),
            Self::None => None,
        }
    }
}

/// One request: what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Truth id, unique in a test.
    pub id: String,
    /// What its calls carry.
    pub mode: Mode,
    /// What its lines carry.
    pub log: LogMode,
    /// What it comes in with.
    pub inbound: Inbound,
    /// Number of calls that it asks for.
    pub calls: u32,
    /// Which of several ways of being malformed, or which kind of B3.
    pub variant: u32,
    /// Whether it asks for its calls to be made in parallel.
    pub parallel: bool,
}

impl Planned {
    /// The request target.
    #[must_use]
    pub fn target(&self) -> String {
        format!(
            "/work?id={}&mode={}&log={}&calls={}&var={}{}",
            self.id,
            self.mode,
            self.log.name(),
            self.calls,
            self.variant,
            if self.parallel { "&par=1" } else { "" }
        )
    }

    /// The verdict that its calls should get.
    #[must_use]
    pub fn call_verdict(&self) -> &'static str {
        match (&self.inbound, self.mode) {
            (_, Mode::Malformed) => "mangled",
            (Inbound::Valid(_), Mode::Leak) => "crossed",
            (Inbound::Valid(_), Mode::Propagate) => "propagated",
            (Inbound::Valid(_), Mode::Drop) => "dropped",
            (Inbound::Valid(_), Mode::Restart) => "restarted",
            (Inbound::Valid(_), Mode::Forward) => "forwarded",
            (Inbound::Valid(_), Mode::B3) => "translated",
            (_, Mode::Drop | Mode::Forward) => "absent",
            (_, Mode::Propagate | Mode::Restart | Mode::B3 | Mode::Leak) => "originated",
        }
    }

    /// The verdict that its lines should get.
    #[must_use]
    pub fn line_verdict(&self) -> &'static str {
        match (&self.inbound, self.log) {
            (_, LogMode::Zero) => "zero",
            (Inbound::Valid(_), LogMode::Linked) => "linked",
            (Inbound::Valid(_), LogMode::Decimal) => "reencoded",
            (Inbound::Valid(_), LogMode::Missing) => "missing",
            _ => "absent",
        }
    }
}

/// Which requests a test asks for.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Modes, chosen evenly.
    pub modes: Vec<Mode>,
    /// Log modes, chosen evenly.
    pub logs: Vec<LogMode>,
    /// Whether one request in eight comes without context and one in eight with an invalid one.
    pub without_context: bool,
    /// Whether half of the requests ask for their calls to be made in parallel.
    pub parallel: bool,
}

impl Mix {
    /// Requests of one mode, all with a valid context; their lines take turns.
    #[must_use]
    pub fn only(mode: Mode) -> Self {
        Self {
            modes: vec![mode],
            logs: LogMode::ALL.to_vec(),
            without_context: false,
            parallel: false,
        }
    }

    /// Requests whose context an SDK propagates and writes into every line.
    #[must_use]
    pub fn sdk() -> Self {
        Self {
            logs: vec![LogMode::Linked],
            ..Self::only(Mode::Propagate)
        }
    }

    /// Every mode and kind of line, and requests without a valid context among them.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            modes: Mode::ALL.to_vec(),
            logs: LogMode::ALL.to_vec(),
            without_context: true,
            parallel: false,
        }
    }

    /// `count` requests, the same for the same `seed`; truth ids begin with `name`.
    #[must_use]
    pub fn plan(&self, name: &str, count: usize, seed: u64) -> Vec<Planned> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..count)
            .map(|i| self.one(format!("{name}{i}"), &mut rng))
            .collect()
    }

    fn one(&self, id: String, rng: &mut fastrand::Rng) -> Planned {
        let variant = rng.u32(0..8);
        let inbound = match rng.u8(0..8) {
            0 if self.without_context => Inbound::None,
            1 if self.without_context => {
                Inbound::Invalid(malformed(&trace_id(rng), &span_id(rng), variant))
            }
            _ => Inbound::Valid(format!("00-{}-{}-01", trace_id(rng), span_id(rng))),
        };
        let valid = matches!(inbound, Inbound::Valid(_));
        let modes: Vec<Mode> = self
            .modes
            .iter()
            .copied()
            // What a forwarded invalid header is called is a matter of taste.
            .filter(|mode| valid || !matches!(mode, Mode::Forward | Mode::Malformed))
            .collect();
        let log = self.logs[rng.usize(0..self.logs.len())];
        Planned {
            id,
            mode: modes[rng.usize(0..modes.len())],
            // A line with an id that the service made up has no agreed verdict.
            log: if valid { log } else { LogMode::Missing },
            inbound,
            calls: rng.u32(2..=3),
            variant,
            parallel: self.parallel && rng.bool(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_the_same_for_the_same_seed() {
        let mix = Mix::everything();
        assert_eq!(mix.plan("a", 50, 7), mix.plan("a", 50, 7));
        assert_ne!(mix.plan("a", 50, 7), mix.plan("a", 50, 8));
    }

    #[test]
    fn everything_has_every_mode_and_every_kind_of_inbound() {
        let plan = Mix::everything().plan("a", 400, 1);
        for mode in Mode::ALL {
            assert!(plan.iter().any(|p| p.mode == mode), "{mode}");
        }
        assert!(plan.iter().any(|p| p.inbound == Inbound::None));
        assert!(
            plan.iter()
                .any(|p| matches!(p.inbound, Inbound::Invalid(_)))
        );
        assert!(plan.iter().any(|p| p.call_verdict() == "originated"));
        assert!(plan.iter().any(|p| p.line_verdict() == "absent"));
    }
}
