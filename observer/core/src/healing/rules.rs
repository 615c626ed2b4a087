//! Which spans are made for one request: a pure function of what came in and what went out.

use super::Spans;
use super::ids::{SpanId, TraceId};
use super::span::Link;
use crate::context::{self, Context};
use crate::judged::{Exchange, Finding, Reason, Tier, Verdict};

/// A context in OpenTelemetry's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inbound {
    pub trace: TraceId,
    pub parent: Option<SpanId>,
    pub sampled: bool,
}

impl Inbound {
    /// `None` for formats whose ids are not OpenTelemetry's (SkyWalking).
    pub(super) fn of(context: &Context) -> Option<Self> {
        let parent = match context.parent_id {
            Some(context::SpanId::Bits(id)) => SpanId::new(id),
            Some(context::SpanId::Text(_)) => return None,
            None => None,
        };
        let trace = match context.trace_id {
            context::TraceId::Wide(id) => id,
            context::TraceId::Narrow(id) => u128::from(id),
            context::TraceId::Text(_) => return None,
        };
        Some(Self {
            trace: TraceId::new(trace)?,
            parent,
            // What is not said is not forbidden.
            sampled: context.sampled.unwrap_or(true),
        })
    }
}

/// The request at the other end of the connection, whose span was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upstream {
    pub trace: TraceId,
    pub span: SpanId,
    pub sampled: bool,
    /// Spans are made although the trace is not sampled.
    pub forced: bool,
    pub confidence: f32,
    pub verdict: Option<&'static str>,
}

/// Where a request's place in a trace comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// It said so.
    Inbound(Inbound),
    /// It said nothing, but the call at the other end of its connection has a span.
    Upstream(Upstream),
    /// Nothing is above it, or nothing that could be healed.
    Beginning,
}

/// What a call says about its service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outgoing {
    /// It carries the request's trace under a span of the application's own.
    Own,
    /// It carries nothing, nothing valid, or what came in unchanged: the application made no span.
    Bare,
    /// It carries a trace of its own, which goes on there.
    Elsewhere(Link),
    /// Nothing is concluded from it.
    Unknown,
}

/// What a call made for a request says.
pub(super) fn outgoing(inbound: Option<Inbound>, call: &Exchange) -> Outgoing {
    if !is_attributed(call) {
        return Outgoing::Unknown;
    }
    let Some(context) = &call.context else {
        return Outgoing::Bare;
    };
    let Some(out) = Inbound::of(context) else {
        return Outgoing::Unknown;
    };
    match (inbound, out.parent) {
        (Some(came), parent) if same_trace(came.trace, out.trace) => {
            if came.parent == parent {
                Outgoing::Bare
            } else {
                Outgoing::Own
            }
        }
        (_, Some(span_id)) => Outgoing::Elsewhere(Link {
            trace_id: out.trace,
            span_id,
        }),
        (_, None) => Outgoing::Unknown,
    }
}

/// Formats that carry the lower half of an id name the same trace.
fn same_trace(a: TraceId, b: TraceId) -> bool {
    let (a, b) = (a.bytes(), b.bytes());
    let narrow = |id: &[u8; 16]| id[..8] == [0; 8];
    a == b || ((narrow(&a) || narrow(&b)) && a[8..] == b[8..])
}

/// Whether an attribution may carry a span: it is one, it was judged, and telemetry it is not.
pub(super) fn is_attributed(call: &Exchange) -> bool {
    let linked = call.attribution.as_ref().and_then(|a| a.tier);
    linked.is_some_and(may_carry)
        && call.request.is_some()
        && call.verdict.is_some_and(|v| v != Verdict::Inconclusive)
        && !is_telemetry(call)
}

/// Whether evidence of this tier is good enough for a span. Inference (timing, statistics) is not;
/// a tier that is added has to be placed here.
pub(super) fn may_carry(tier: Tier) -> bool {
    match tier {
        Tier::Context
        | Tier::Declared
        | Tier::Execution
        | Tier::HandOff
        | Tier::Connection
        | Tier::Exclusive => true,
    }
}

/// Whether an exchange delivers telemetry: a trace of the traces would never end.
pub(super) fn is_telemetry(exchange: &Exchange) -> bool {
    exchange.findings.contains(&Finding::TelemetryExport)
        || exchange
            .attribution
            .as_ref()
            .and_then(|a| a.reason.as_ref())
            == Some(&Reason::TelemetryExport)
}

/// What is known of a process from the requests before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// It was seen to continue a trace with a span of its own.
    pub continues: bool,
    /// It was seen to begin traces of its own.
    pub begins: bool,
}

impl Habits {
    /// Takes note of a call.
    pub(super) fn saw(&mut self, outgoing: Outgoing, verdict: Option<Verdict>) {
        self.continues |= outgoing == Outgoing::Own;
        // A trace that belongs to another request was not begun here.
        self.begins |= matches!(outgoing, Outgoing::Elsewhere(_))
            && matches!(verdict, Some(Verdict::Originated | Verdict::Restarted));
    }
}

/// What is made for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Making {
    /// A span of the request itself.
    pub server: bool,
    /// Spans of the calls that bear no span of the application.
    pub bare: bool,
    /// Spans of the calls that carry another trace.
    pub elsewhere: bool,
    /// Spans of the calls that carry the application's own.
    pub own: bool,
}

impl Making {
    const NOTHING: Self = Self {
        server: false,
        bare: false,
        elsewhere: false,
        own: false,
    };

    /// Decides, from what the request's calls say.
    pub(super) fn decide(spans: Spans, source: Source, calls: &[Outgoing], habits: Habits) -> Self {
        let bare = calls.contains(&Outgoing::Bare);
        let elsewhere = calls.iter().any(|c| matches!(c, Outgoing::Elsewhere(_)));
        let own = calls.contains(&Outgoing::Own);
        match (spans, source) {
            (Spans::Off, _) => Self::NOTHING,
            (Spans::All, _) => Self {
                server: true,
                bare: true,
                elsewhere: true,
                own: true,
            },
            // Where the application has a span of its own for the request, there is none to be made;
            // what leads out of the trace is bridged beside it.
            (Spans::Bridge, Source::Inbound(_)) => {
                let server = (bare || elsewhere) && !own && !habits.continues;
                Self {
                    server,
                    bare,
                    elsewhere: elsewhere && !server,
                    own: false,
                }
            }
            // Its context was lost on the way, so no span of the application can be in this trace.
            (Spans::Bridge, Source::Upstream(_)) => Self {
                server: true,
                bare,
                ..Self::NOTHING
            },
            // An application that begins traces of its own needs no other beginning.
            (Spans::Bridge, Source::Beginning) => {
                let server = bare && !elsewhere && !habits.begins;
                Self {
                    server,
                    bare: server,
                    ..Self::NOTHING
                }
            }
        }
    }

    /// Whether a call gets a span.
    pub(super) fn of(self, outgoing: Outgoing) -> bool {
        match outgoing {
            Outgoing::Own => self.own,
            Outgoing::Bare => self.bare,
            Outgoing::Elsewhere(_) => self.elsewhere,
            Outgoing::Unknown => false,
        }
    }
}

/// Whether a call breaks the trace, so that what is not sampled may be healed if that is asked for.
pub(super) fn breaks(call: &Exchange) -> bool {
    call.verdict.is_some_and(Verdict::is_loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound() -> Inbound {
        Inbound {
            trace: TraceId::new(7).unwrap(),
            parent: SpanId::new(1),
            sampled: true,
        }
    }

    fn upstream() -> Source {
        Source::Upstream(Upstream {
            trace: TraceId::new(7).unwrap(),
            span: SpanId::new(1).unwrap(),
            sampled: true,
            forced: false,
            confidence: 1.0,
            verdict: None,
        })
    }

    const ELSEWHERE: fn() -> Outgoing = || {
        Outgoing::Elsewhere(Link {
            trace_id: TraceId::new(9).unwrap(),
            span_id: SpanId::new(9).unwrap(),
        })
    };

    fn bridge(source: Source, calls: &[Outgoing]) -> Making {
        Making::decide(Spans::Bridge, source, calls, Habits::default())
    }

    #[test]
    fn a_healthy_request_gets_nothing() {
        let source = Source::Inbound(inbound());
        assert_eq!(bridge(source, &[Outgoing::Own]), Making::NOTHING);
        assert_eq!(bridge(source, &[]), Making::NOTHING);
        assert_eq!(bridge(Source::Beginning, &[ELSEWHERE()]), Making::NOTHING);
        assert_eq!(bridge(Source::Beginning, &[]), Making::NOTHING);
    }

    #[test]
    fn a_service_without_spans_gets_both() {
        let made = bridge(Source::Inbound(inbound()), &[Outgoing::Bare]);
        assert!(made.server && made.of(Outgoing::Bare));
        let made = bridge(Source::Beginning, &[Outgoing::Bare, Outgoing::Unknown]);
        assert!(made.server && made.of(Outgoing::Bare) && !made.of(Outgoing::Unknown));
    }

    #[test]
    fn a_request_whose_context_was_lost_upstream_is_joined() {
        assert!(bridge(upstream(), &[]).server);
        let restarted = bridge(upstream(), &[ELSEWHERE()]);
        assert!(restarted.server && !restarted.of(ELSEWHERE()));
    }

    #[test]
    fn a_span_of_the_application_is_never_made_twice() {
        let source = Source::Inbound(inbound());
        let made = bridge(source, &[Outgoing::Own, Outgoing::Bare, ELSEWHERE()]);
        assert!(!made.server && !made.of(Outgoing::Own));
        assert!(made.of(Outgoing::Bare) && made.of(ELSEWHERE()));
        let habits = Habits {
            continues: true,
            begins: true,
        };
        let decide = |source| Making::decide(Spans::Bridge, source, &[Outgoing::Bare], habits);
        assert!(!decide(source).server);
        assert_eq!(decide(Source::Beginning), Making::NOTHING);
    }

    #[test]
    fn all_is_all_and_off_is_nothing() {
        let calls = [Outgoing::Own, Outgoing::Bare, ELSEWHERE()];
        let source = Source::Inbound(inbound());
        let all = Making::decide(Spans::All, source, &calls, Habits::default());
        assert!(all.server && calls.iter().all(|c| all.of(*c)));
        let off = Making::decide(Spans::Off, source, &calls, Habits::default());
        assert_eq!(off, Making::NOTHING);
    }
}
