//! Judged things made by hand, for tests.

use observer_core::context::{Context, Format, SpanId, TraceId};
use observer_core::facts::{ExecutionKind, Runtime};
use observer_core::ids::{Identity, Seq, Tgid, Tid};
use observer_core::judged::counts::{Cell, Counted, How, Name, Sample, Series};
use observer_core::judged::{
    Address, Attribution, Candidate, Cause, Counts, EdgeSummary, Estimate, Evidence, Exchange,
    ExchangeId, ExecutionsCount, Explanation, Finding, Inferred, Log, LogContext, LogId,
    LogSummary, LogVerdict, Loss, LossKind, NoEstimate, NotEstimated, NotObserved, Rate, Reason,
    ReasonCount, Role, Sampling, ServiceSummary, Shares, Summary, Tier, Unreadable, Verdict,
    WallTime, Weighed, WhyCount,
};
use observer_core::message::{Flaw, MessageKind, Protocol};
use observer_core::text::Text;

use super::trees::{Part, Tree};
use crate::cli::show::{Color, ShowPlan};

/// 2026-11-21T04:16:35Z.
const START: u64 = 1_795_234_595_000_000_000;

/// A point in time, microseconds after the samples' start.
pub fn at(micros: u64) -> WallTime {
    WallTime(START + micros * 1000)
}

/// The name of an exchange.
pub fn id(number: u64) -> ExchangeId {
    ExchangeId(Seq(number))
}

/// A plan that shows everything.
pub fn plan() -> ShowPlan {
    ShowPlan {
        color: Color::Never,
        ..ShowPlan::default()
    }
}

/// A context.
pub fn context(parent: &str) -> Context {
    const TRACE_ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    Context {
        format: Format::W3c,
        trace_id: TraceId::Wide(TRACE_ID),
        parent_id: u64::from_str_radix(parent, 16).ok().map(SpanId::Bits),
        sampled: Some(true),
        raw: format!("00-{TRACE_ID:032x}-{parent}-01").into(),
    }
}

/// A link by the serving thread.
pub fn by_thread() -> Attribution {
    Attribution {
        tier: Some(Tier::Execution),
        confidence: 0.99,
        evidence: vec![Evidence::ServingThread(Tid(41))],
        reason: None,
    }
}

/// `GET /cart/42` as the service `cart` served it.
pub fn server() -> Exchange {
    Exchange {
        id: id(1),
        role: Role::Server,
        pid: Tgid(40),
        tid: Tid(41),
        service: "cart".into(),
        protocol: "http/1.1",
        tls: false,
        start: at(123_000),
        duration_ns: Some(18_412_000),
        method: "GET".into(),
        target: "/cart/42?coupon=…".into(),
        host: Some("cart:8080".into()),
        status: Some(200),
        local: Address::Tcp("10.0.0.2:8080".parse().unwrap()),
        peer: Address::Tcp("10.0.0.1:51234".parse().unwrap()),
        peer_service: Some("gateway".into()),
        context: Some(context("00f067aa0ba902b7")),
        request: None,
        parent: Some(id(9)),
        attribution: None,
        inferred: None,
        verdict: None,
        findings: Vec::new(),
        unfinished: None,
        flaw: None,
        until: None,
        identity: Identity(1),
    }
}

/// A call made for [`server`].
pub fn client(verdict: Verdict) -> Exchange {
    Exchange {
        id: id(2),
        role: Role::Client,
        start: at(125_000),
        duration_ns: Some(6_100_000),
        method: "POST".into(),
        target: "/charge".into(),
        host: Some("payments:8081".into()),
        status: Some(201),
        local: Address::Tcp("10.0.0.2:40000".parse().unwrap()),
        peer: Address::Tcp("10.0.0.3:8081".parse().unwrap()),
        peer_service: Some("payments".into()),
        context: Some(context("b7ad6b7169203331")),
        request: Some(id(1)),
        parent: None,
        attribution: Some(by_thread()),
        verdict: Some(verdict),
        ..server()
    }
}

/// How a call made for [`server`] was attributed.
pub fn explanation() -> Explanation {
    let candidate = Candidate {
        request: ExchangeId(Seq(1)),
        tid: Tid(41),
        since: at(0),
        until: Some(at(9_000)),
        thread: "thread 41 did all the work on it".into(),
    };
    let weighed = Weighed {
        of: "threads and hand-off",
        request: Some(ExchangeId(Seq(1))),
        confidence: Some(0.999),
        says: "thread 41 read the request".into(),
    };
    Explanation {
        of: "x2".into(),
        pid: Tgid(40),
        tid: Tid(41),
        execution: Some("goroutine 7".into()),
        time: at(1_000),
        candidates: vec![
            Candidate {
                until: None,
                ..candidate.clone()
            },
            candidate,
        ],
        evidence: vec![
            Weighed {
                of: "correlation ids",
                request: None,
                confidence: None,
                says: "nothing".into(),
            },
            weighed,
        ],
        same_trace: vec![ExchangeId(Seq(1))],
        request: Some(ExchangeId(Seq(1))),
        attribution: Attribution::none(Reason::NoRequest),
    }
}

/// A line logged for [`server`].
pub fn log(verdict: LogVerdict) -> Log {
    Log {
        id: LogId(Seq(9)),
        pid: Tgid(40),
        tid: Tid(41),
        service: "cart".into(),
        source: "stdout".into(),
        time: at(124_000),
        line: "loading cart 42".into(),
        context: Some(LogContext {
            field: "trace_id".into(),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        }),
        request: Some(id(1)),
        attribution: by_thread(),
        inferred: None,
        verdict,
    }
}

/// A call that no request is known for.
pub fn abstained() -> Exchange {
    Exchange {
        id: id(4),
        start: at(150_000),
        target: "/stock?sku=…".into(),
        method: "GET".into(),
        request: None,
        attribution: Some(Attribution::none(Reason::ManyInFlight { requests: 3 })),
        ..client(Verdict::Inconclusive)
    }
}

/// The same with its likeliest request.
pub fn inferred() -> Exchange {
    Exchange {
        inferred: Some(Inferred {
            request: id(1),
            confidence: 0.826,
            candidates: 3,
            right: 90,
            checked: 100,
        }),
        ..abstained()
    }
}

/// [`server`] with two calls, one of which lost the context, and two lines, one without its id.
pub fn tree() -> Tree {
    let dropped = Exchange {
        id: id(3),
        start: at(132_000),
        method: "GET".into(),
        target: "/discount/42".into(),
        status: Some(200),
        duration_ns: Some(812_000),
        host: Some("discounts".into()),
        peer: Address::Tcp("10.0.0.9:8082".parse().unwrap()),
        peer_service: Some("discounts".into()),
        context: None,
        findings: vec![Finding::TracestateLost {
            keys: vec!["vendor".into()],
        }],
        ..client(Verdict::Dropped)
    };
    let missing = Log {
        time: at(140_000),
        line: "no discount\nTraceback:\n  nothing".into(),
        source: "file:/var/log/cart.log".into(),
        context: None,
        ..log(LogVerdict::Missing)
    };
    Tree {
        request: Some(Box::new(server())),
        earlier: None,
        parts: vec![
            Part::Line(Box::new(log(LogVerdict::Linked))),
            Part::Call(Box::new(client(Verdict::Propagated))),
            Part::Call(Box::new(dropped)),
            Part::Line(Box::new(missing)),
        ],
    }
}

/// Lost records.
pub fn loss() -> Loss {
    Loss {
        what: LossKind::Records,
        count: 1_234,
        since: at(200_000),
        until: at(260_000),
        pid: None,
        service: None,
    }
}

/// One connection in four is observed from now on.
pub fn sampling() -> Sampling {
    Sampling {
        time: at(262_000),
        share: 0.25,
        watched: 0.125,
    }
}

fn rate(hits: u64, n: u64, low: f64, high: f64) -> Rate {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rate = hits as f64 / n as f64;
    Rate {
        hits,
        n,
        rate,
        low,
        high,
    }
}

/// A summary of one service with one edge.
pub fn summary() -> Summary {
    let verdicts = Counts([(Verdict::Propagated, 210), (Verdict::Dropped, 30)].into());
    let log_verdicts = Counts([(LogVerdict::Linked, 400), (LogVerdict::Missing, 80)].into());
    let cause = Cause::LostAtHandOff;
    let runtime = Some(Runtime::Python);
    Summary {
        start: at(0),
        end: at(10_000_000),
        services: vec![ServiceSummary {
            service: "cart".into(),
            namespace: "shop".into(),
            runtime,
            executions: vec![
                ExecutionsCount {
                    kind: None,
                    missing: vec!["this build of Python has no global lock".into()],
                    processes: 1,
                },
                ExecutionsCount {
                    kind: Some(ExecutionKind::PythonContext),
                    missing: Vec::new(),
                    processes: 3,
                },
            ],
            served: 120,
            served_estimated: Some(Estimate {
                n: 240,
                low: 205,
                high: 275,
            }),
            served_not_estimated: None,
            calls_estimated: None,
            calls_not_estimated: Some(NotEstimated {
                reason: NoEstimate::CallsDisagree,
                counted: 9_120,
                expected: 504,
            }),
            served_with_context: 118,
            edges: vec![EdgeSummary {
                peer: "payments".into(),
                peer_namespace: "shop".into(),
                calls: 252,
                calls_estimated: None,
                calls_not_estimated: Some(NotEstimated {
                    reason: NoEstimate::CallsDisagree,
                    counted: 9_120,
                    expected: 504,
                }),
                verdicts: Counts(
                    [
                        (Verdict::Propagated, 210),
                        (Verdict::Dropped, 30),
                        (Verdict::Inconclusive, 12),
                    ]
                    .into(),
                ),
                loss: rate(30, 240, 0.089, 0.173),
                why: vec![WhyCount {
                    cause,
                    count: 30,
                    explanation: cause.explanation(),
                    fix: cause.fix(runtime),
                    routes: Vec::new(),
                    samples: vec![id(12), id(40)],
                }],
            }],
            logs: LogSummary {
                lines: 480,
                verdicts: log_verdicts.clone(),
                loss: rate(80, 480, 0.136, 0.203),
            },
            loss: rate(30, 240, 0.089, 0.173),
            inconclusive: vec![ReasonCount {
                reason: Reason::ManyInFlight { requests: 3 }.to_string(),
                count: 12,
            }],
        }],
        verdicts,
        log_verdicts,
        not_observed: vec![NotObserved {
            service: "cart".into(),
            namespace: "shop".into(),
            protocol: Protocol::Tls,
            connections: 3,
        }],
        unreadable: vec![unreadable()],
        losses: vec![loss()],
        sampling: Some(Shares {
            lowest: 0.25,
            last: 0.5,
            watched_least: 0.125,
            watched_last: 0.25,
            paused_ns: 61_250_000_000,
            log_writes_left_out: 1_204,
        }),
        records: 51_320,
        counted: counted(),
    }
}

/// Requests with white space before a colon.
pub fn unreadable() -> Unreadable {
    let flaw = Flaw::FieldName;
    Unreadable {
        service: "cart".into(),
        namespace: "shop".into(),
        role: Role::Server,
        peer: "10.0.0.7".into(),
        message: MessageKind::Request,
        flaw,
        explanation: flaw.explanation(),
        count: 3,
    }
}

/// Counts of one call and an example of it.
pub fn counted() -> Counted {
    let (service, peer) = (name("cart"), name("payments"));
    let cell = Cell::Calls {
        service: service.clone(),
        peer: peer.clone(),
        verdict: Verdict::Dropped,
        how: How::OtherExecution,
    };
    Counted {
        series: vec![Series::new(&cell, 30)],
        samples: vec![Sample {
            time: at(132_000),
            id: "x12".into(),
            source: Text::default(),
            service,
            peer: Some(peer),
            verdict: "dropped".into(),
            what: "GET /discount/{id}".into(),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            sent_trace_id: None,
        }],
    }
}

fn name(name: &str) -> Name {
    Name {
        namespace: "shop".into(),
        name: name.into(),
    }
}
