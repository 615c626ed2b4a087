//! That counts add up, whoever counted and however they travel.

use proptest::prelude::*;

use super::*;
use crate::context::{Context, Format, TraceId};
use crate::facts::Runtime;
use crate::ids::{Identity, Seq, Tgid, Tid};
use crate::judged::counts::{
    Carried, Cell, Counted, How, Inbound, LeftOut, Name, Reckoned, Unread,
};
use crate::judged::{
    Address, Attribution, Cause, Exchange, ExchangeId, Finding, Log, LogId, LogVerdict, LossKind,
    Reason, Role, Verdict, WallTime,
};
use crate::message::{Flaw, MessageKind, Protocol};

/// What an observer is told.
#[derive(Clone, Debug)]
enum Told {
    Exchange(Box<Exchange>, Circumstances),
    Log(Box<Log>, Circumstances),
    Unobserved(Name, Protocol),
    Unreadable(Name, Unread),
    Lost(Option<Name>, LossKind, u64),
    Reckoned(Name, Role, Reckoned),
}

impl Told {
    fn count(&self, counter: &mut Counter) {
        match self {
            Self::Exchange(exchange, how) => counter.exchange(exchange, how),
            Self::Log(log, how) => counter.log(log, how),
            Self::Unobserved(name, protocol) => counter.not_observed(name.clone(), *protocol),
            Self::Unreadable(name, unread) => {
                let peer = Address::Tcp("10.0.0.3:81".parse().unwrap());
                counter.unreadable(name.clone(), &peer, *unread);
            }
            Self::Lost(service, kind, n) => counter.lost(service.clone(), *kind, *n),
            Self::Reckoned(name, role, calls) => counter.reckoned(name.clone(), *role, *calls),
        }
    }
}

fn tally(told: &[Told]) -> Tally {
    let mut counter = Counter::default();
    told.iter().for_each(|t| t.count(&mut counter));
    counter.tally().clone()
}

/// As another observer reads it.
fn sent(tally: &Tally) -> Counted {
    let json = serde_json::to_string(&tally.counted()).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn summaries(tally: &Tally) -> String {
    let others = (tally.unobserved(), tally.unreadable());
    serde_json::to_string(&(tally.services(), others)).unwrap()
}

fn exchange(number: u64, role: Role, route: u8) -> Exchange {
    let verdict = (role == Role::Client).then_some(Verdict::Propagated);
    Exchange {
        id: ExchangeId(Seq(number)),
        role,
        pid: Tgid(1),
        tid: Tid(1),
        service: "cart".into(),
        protocol: "http/1.1",
        tls: false,
        start: WallTime(number * 1_000),
        duration_ns: None,
        method: "GET".into(),
        target: format!("/{}", ["pay", "stock", "offers"][usize::from(route % 3)]).into(),
        host: None,
        status: Some(200),
        local: Address::Tcp("10.0.0.2:80".parse().unwrap()),
        peer: Address::Tcp("10.0.0.3:81".parse().unwrap()),
        peer_service: None,
        context: None,
        request: None,
        parent: None,
        attribution: Some(Attribution::none(Reason::NoRequest)),
        inferred: None,
        verdict,
        findings: Vec::new(),
        unfinished: None,
        flaw: None,
        until: None,
        identity: Identity(1),
    }
}

fn context() -> Context {
    Context {
        format: Format::W3c,
        trace_id: TraceId::Wide(7),
        parent_id: None,
        sampled: None,
        raw: "00".into(),
    }
}

/// Names that differ in each part, one of them hostile.
fn name() -> impl Strategy<Value = Name> {
    (0..2_u8, 0..3_u8).prop_map(|(namespace, name)| Name {
        namespace: ["", "shop"][usize::from(namespace)].into(),
        name: ["cart", "a\"b\\c{}", "10.0.0.3:81"][usize::from(name)].into(),
    })
}

fn circumstances() -> impl Strategy<Value = Circumstances> {
    let left_out = (0..3_u64, 0..9_u64).prop_map(|(count, variance)| LeftOut { count, variance });
    let parts = (name(), any::<[bool; 2]>(), any::<bool>(), left_out);
    parts.prop_map(|(name, same, known, left_out)| Circumstances {
        namespace: name.namespace.clone(),
        peer_namespace: name.namespace,
        runtime: known.then_some(Runtime::Python),
        same_execution: same[0],
        same_format: same[1],
        trace: Some(TraceId::Wide(9)),
        left_out,
    })
}

fn told() -> impl Strategy<Value = Told> {
    let call = (
        0..1_000_u64,
        any::<[u8; 3]>(),
        any::<[bool; 3]>(),
        circumstances(),
        name(),
    );
    let call = call.prop_map(|(number, [route, verdict, service], flags, how, name)| {
        let role = if flags[0] { Role::Server } else { Role::Client };
        let mut x = exchange(number, role, route);
        x.verdict = x
            .verdict
            .map(|_| Verdict::ALL[usize::from(verdict) % Verdict::ALL.len()]);
        x.service = ["cart", "web"][usize::from(service % 2)].into();
        x.request = flags[1].then_some(ExchangeId(Seq(1)));
        x.context = flags[2].then(context);
        x.peer_service = flags[1].then(|| name.name.clone());
        if verdict > 250 {
            x.findings = vec![Finding::TelemetryExport];
        }
        Told::Exchange(Box::new(x), how)
    });
    let log = (0..1_000_u64, any::<u8>(), circumstances()).prop_map(|(number, verdict, how)| {
        let log = Log {
            id: LogId(Seq(number)),
            pid: Tgid(1),
            tid: Tid(1),
            service: "cart".into(),
            source: "stdout".into(),
            time: WallTime(number * 1_000),
            line: String::new(),
            context: None,
            request: None,
            attribution: Attribution::none(Reason::NoRequest),
            inferred: None,
            verdict: LogVerdict::ALL[usize::from(verdict) % LogVerdict::ALL.len()],
        };
        Told::Log(Box::new(log), how)
    });
    let lost = (proptest::option::of(name()), 1..9_u64)
        .prop_map(|(service, n)| Told::Lost(service, LossKind::Records, n));
    prop_oneof![
        6 => call,
        2 => log,
        1 => name().prop_map(|n| Told::Unobserved(n, Protocol::Tls)),
        1 => lost,
        1 => (name(), unread()).prop_map(|(name, unread)| Told::Unreadable(name, unread)),
        1 => (name(), any::<bool>(), 1..9_u64, 0..9_u64).prop_map(|(name, served, counted, expected)| {
            let role = if served { Role::Server } else { Role::Client };
            Told::Reckoned(name, role, Reckoned { counted, expected })
        }),
    ]
}

fn unread() -> impl Strategy<Value = Unread> {
    let flaw = proptest::sample::select(Flaw::ALL.as_slice());
    (flaw, any::<[bool; 2]>()).prop_map(|(flaw, [served, asks])| Unread {
        role: if served { Role::Server } else { Role::Client },
        message: if asks {
            MessageKind::Request
        } else {
            MessageKind::Response
        },
        flaw,
    })
}

#[test]
fn clients_are_counted_apart_by_their_host_and_within_a_bound() {
    let mut counter = Counter::default();
    let unread = Unread {
        role: Role::Server,
        message: MessageKind::Request,
        flaw: Flaw::FieldName,
    };
    let mut asks = |host: u16, port: u16| {
        let [high, low] = host.to_be_bytes();
        let peer = Address::Tcp((std::net::Ipv4Addr::new(10, 0, high, low), port).into());
        counter.unreadable(Name::plain("cart"), &peer, unread);
    };
    asks(1, 1);
    asks(1, 2);
    (2..100).for_each(|host| asks(host, 1));
    let told = counter.tally().unreadable();
    assert_eq!(told.len(), 33);
    assert_eq!((told[0].peer.as_str(), told[0].count), ("10.0.0.1", 2));
    assert_eq!(told[32].peer, OTHER);
    assert_eq!(told.iter().map(|row| row.count).sum::<u64>(), 100);
    counter.unreadable(
        Name::plain("cart"),
        &Address::Tcp("10.0.0.3:81".parse().unwrap()),
        Unread {
            role: Role::Client,
            ..unread
        },
    );
    let told = counter.tally().unreadable();
    assert_eq!((told.len(), told[33].role), (34, Role::Client));
    assert_eq!(told[33].peer, OTHER);
}

proptest! {
    #[test]
    fn what_several_counted_adds_up_to_what_one_would_have(
        told in prop::collection::vec((told(), 0..3_usize), 0..60),
        order in Just([0_usize, 1, 2]).prop_shuffle(),
    ) {
        let all: Vec<Told> = told.iter().map(|(t, _)| t.clone()).collect();
        let one = tally(&all);
        let mut merged = Tally::default();
        for by in order {
            let part: Vec<Told> = told.iter().filter(|(_, b)| *b == by).map(|(t, _)| t.clone()).collect();
            prop_assert_eq!(merged.merge(sent(&tally(&part))), 0);
        }
        prop_assert_eq!(summaries(&merged), summaries(&one));
        prop_assert_eq!(merged, one);
    }

    #[test]
    fn adding_is_associative(
        parts in prop::collection::vec(prop::collection::vec(told(), 0..12), 3),
    ) {
        let part: Vec<Counted> = parts.iter().map(|p| tally(p).counted()).collect();
        let sum = |a: &Counted, b: &Counted| {
            let mut tally = Tally::default();
            tally.merge(a.clone());
            tally.merge(b.clone());
            tally.counted()
        };
        let left = sum(&sum(&part[0], &part[1]), &part[2]);
        let right = sum(&part[0], &sum(&part[1], &part[2]));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn every_cell_is_a_series_and_back(told in prop::collection::vec(told(), 1..40)) {
        let counted = tally(&told).counted();
        for series in &counted.series {
            prop_assert_eq!(&crate::judged::counts::Series::new(&series.cell().unwrap(), series.count), series);
        }
        let cells: Vec<Cell> = counted.series.iter().map(|s| s.cell().unwrap()).collect();
        let mut apart = cells.clone();
        apart.dedup();
        prop_assert_eq!(cells.len(), apart.len());
    }

    #[test]
    fn pages_do_not_break_what_reads_them(json in "\\PC*", count: u64, label in "\\PC*") {
        let _ = Page::read(json.as_bytes());
        let row = serde_json::json!({
            "metric": "observer_calls_total",
            "labels": {"service_name": label, "peer_name": "b", "verdict": "crossed"},
            "count": count,
        });
        let counted: Counted = serde_json::from_value(serde_json::json!({"counts": [row, row]})).unwrap();
        let mut tally = Tally::default();
        tally.merge(counted);
        let told = summaries(&tally);
        prop_assert!(told.chars().all(crate::text::shows), "{}", told);
    }
}

/// Calls of `cart` to `pay`, by verdict, how and route.
fn calls(cells: &[(Verdict, How, &str, u64)]) -> Tally {
    let mut tally = Tally::default();
    for (verdict, how, route, n) in cells {
        let (service, peer) = (Name::plain("cart"), Name::plain("pay"));
        let carried = match verdict {
            Verdict::Dropped => Carried::Dropped,
            _ => Carried::Carried,
        };
        let routes = Cell::Routes {
            service: service.clone(),
            peer: peer.clone(),
            route: (*route).into(),
            carried,
        };
        tally.add(routes, *n);
        let calls = Cell::Calls {
            service,
            peer,
            verdict: *verdict,
            how: *how,
        };
        tally.add(calls, *n);
    }
    tally
}

fn cause(tally: &Tally) -> Cause {
    tally.services()[0].edges[0].why[0].cause
}

#[test]
fn causes_come_from_cells_alone() {
    use How::{OtherExecution, OtherFormat, SameExecution};
    use Verdict::{Dropped, Propagated, Restarted};
    for (cells, expected) in [
        (
            vec![(Dropped, SameExecution, "GET /a", 9)],
            Cause::NotInstrumented,
        ),
        (
            vec![
                (Dropped, OtherExecution, "GET /a", 9),
                (Propagated, SameExecution, "GET /a", 5),
            ],
            Cause::LostAtHandOff,
        ),
        (
            vec![
                (Dropped, SameExecution, "GET /a", 9),
                (Propagated, SameExecution, "GET /b", 5),
            ],
            Cause::CallNotInstrumented,
        ),
        (
            vec![
                (Dropped, SameExecution, "GET /a", 9),
                (Propagated, SameExecution, "GET /a", 5),
            ],
            Cause::Sometimes,
        ),
        // Beyond the bound of routes, nothing is known of single ones.
        (
            vec![
                (Dropped, SameExecution, OTHER, 9),
                (Propagated, SameExecution, "GET /b", 5),
            ],
            Cause::Sometimes,
        ),
        (
            vec![(Restarted, OtherFormat, "GET /a", 9)],
            Cause::FormatMismatch,
        ),
    ] {
        assert_eq!(cause(&calls(&cells)), expected, "{cells:?}");
    }
}

#[test]
fn routes_of_one_observer_speak_against_those_of_another() {
    let dropped = calls(&[(Verdict::Dropped, How::SameExecution, "GET /a", 9)]);
    let carried = calls(&[
        (Verdict::Propagated, How::SameExecution, "GET /a", 1),
        (Verdict::Propagated, How::SameExecution, "GET /b", 1),
    ]);
    let mut both = dropped.clone();
    both.merge(carried.counted());
    assert_eq!(cause(&both), Cause::Sometimes);
}

#[test]
fn bounds_are_kept_and_nothing_is_lost() {
    let mut counter = Counter::default();
    for n in 0..3_000_u64 {
        let mut x = exchange(n, Role::Client, 0);
        x.peer = Address::Unix(n.to_string().into());
        x.target = format!("/{}", "x".repeat(usize::try_from(n % 100).unwrap())).into();
        counter.exchange(&x, &Circumstances::default());
    }
    let summary = &counter.tally().services()[0];
    assert_eq!(summary.edges.len(), 1_025);
    assert_eq!(summary.edges.iter().map(|e| e.calls).sum::<u64>(), 3_000);
    let other = summary.edges.iter().find(|e| e.peer == OTHER).unwrap();
    assert_eq!(other.calls, 3_000 - 1_024);
}

#[test]
fn pages_of_other_versions_are_refused_by_name() {
    let page = Page {
        version: VERSION,
        program: "1".into(),
        agent: "host".into(),
        since: WallTime(1),
        now: WallTime(2),
        counted: calls(&[(Verdict::Dropped, How::SameExecution, "GET /a", 9)]).counted(),
    };
    let json = serde_json::to_string(&page).unwrap();
    assert_eq!(Page::read(json.as_bytes()).unwrap(), page);
    let newer = json.replace("\"version\":1", "\"version\":2");
    let error = Page::read(newer.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    let further = json.replace("\"version\":1", "\"version\":1,\"colour\":\"red\"");
    assert_eq!(Page::read(further.as_bytes()).unwrap(), page);
}

#[test]
fn text_of_metrics_is_escaped_and_has_examples() {
    let mut counter = Counter::default();
    let mut x = exchange(1, Role::Client, 0);
    x.verdict = Some(Verdict::Dropped);
    x.service = "a\"b\\c".into();
    let how = Circumstances {
        trace: Some(TraceId::Wide(9)),
        ..Circumstances::default()
    };
    counter.exchange(&x, &how);
    counter.exchange(&exchange(2, Role::Server, 0), &how);
    let text = openmetrics(&counter.tally().counted());
    assert_eq!(
        text,
        r#"# TYPE observer_calls counter
# HELP observer_calls Calls, by verdict and what tells causes.
observer_calls_total{execution="other",peer_name="10.0.0.3:81",service_name="a\"b\\c",verdict="dropped"} 1 # {trace_id="00000000000000000000000000000009"} 1 0.000
# TYPE observer_route_calls counter
# HELP observer_route_calls Judged calls, by route.
observer_route_calls_total{context="dropped",peer_name="10.0.0.3:81",route="GET /pay",service_name="a\"b\\c"} 1
# TYPE observer_requests counter
# HELP observer_requests Requests served, by the context that they came in with.
observer_requests_total{context="none",service_name="cart"} 1
# TYPE observer_served counter
# HELP observer_served Requests served, by the address that they came to.
observer_served_total{address="10.0.0.2:80",service_name="cart"} 1
# TYPE observer_records counter
# HELP observer_records Records that the pipeline took in.
observer_records_total 0
"#
    );
}

#[test]
fn requests_tell_what_they_came_in_with() {
    let mut counter = Counter::default();
    let mut x = exchange(1, Role::Server, 0);
    counter.exchange(&x, &Circumstances::default());
    x.findings = vec![Finding::InvalidContext {
        format: Format::W3c,
        rule: "all-zero",
        raw: "".into(),
    }];
    counter.exchange(&x, &Circumstances::default());
    x.context = Some(context());
    counter.exchange(&x, &Circumstances::default());
    let cells = counter.tally().cells();
    for context in [Inbound::None, Inbound::Invalid, Inbound::Valid] {
        let service = Name::plain("cart");
        assert!(cells.contains(&(Cell::Requests { service, context }, 1)));
    }
}
