//! Reports made by hand, for tests.

use observer_core::facts::Runtime;
use observer_core::judged::counts::{
    Carried, Cell, How, Inbound, Measure, Name, Reckoning, Sample, Unread,
};
use observer_core::judged::{LogVerdict, LossKind, Role, Verdict, WallTime};
use observer_core::message::{Flaw, MessageKind, Protocol};
use observer_core::summary::Tally;
use observer_core::text::printable;

use super::model::{AgentLine, Report, SourceKind, SourceLine, State};
use super::source::Gathered;
use super::{build, compare};

/// Names as nobody wishes for them; printable, as all that is counted.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A1,\"\u{1b}[31m",
    "\"><img src=x onerror=alert(1)>|`[x](javascript:alert(1))",
    "\" onload=\"alert(1)",
];

/// 2026-11-21T04:16:35Z.
pub(super) fn time() -> WallTime {
    WallTime(1_795_234_595_000_000_000)
}

/// Calls of a service, of which every `loses`th loses context.
fn calls(tally: &mut Tally, service: &Name, peer: &Name, n: u64, verdict: Verdict, lost: u64) {
    let mut add = |verdict, n| {
        let how = How::of(verdict, true, true, true);
        let (service, peer) = (service.clone(), peer.clone());
        let cell = Cell::Calls {
            service: service.clone(),
            peer: peer.clone(),
            verdict,
            how,
        };
        tally.add(cell, n);
        let (route, carried) = match verdict {
            Verdict::Dropped => ("GET /discount/{id}".into(), Carried::Dropped),
            _ => ("POST /charge".into(), Carried::Carried),
        };
        let cell = Cell::Routes {
            service,
            peer,
            route,
            carried,
        };
        tally.add(cell, n);
    };
    add(Verdict::Propagated, n - lost);
    if lost > 0 {
        add(verdict, lost);
    }
}

fn sample(service: &Name, peer: Option<&Name>, verdict: &str, n: u64) -> Sample {
    Sample {
        time: WallTime(time().0 + n * 1_000_000_000),
        id: format!("{}{n}", if peer.is_some() { 'x' } else { 'l' }).into(),
        source: "node-1".into(),
        service: service.clone(),
        peer: peer.cloned(),
        verdict: verdict.into(),
        what: "GET /discount/{id}".into(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        sent_trace_id: (n == 2).then(|| "00f067aa0ba902b7".into()),
    }
}

/// A small shop with every kind of trouble.
pub(super) fn tally(lost: u64) -> Tally {
    let mut tally = Tally::default();
    let shop = |name: &str| Name {
        namespace: "shop".into(),
        name: name.into(),
    };
    let (gateway, cart, pay) = (shop("gateway"), shop("cart"), shop("payments"));
    calls(&mut tally, &gateway, &cart, 900, Verdict::Dropped, 0);
    calls(&mut tally, &cart, &pay, 800, Verdict::Dropped, lost);
    calls(
        &mut tally,
        &pay,
        &Name::plain("10.0.7.9:5000"),
        400,
        Verdict::Restarted,
        30,
    );
    calls(&mut tally, &pay, &cart, 700, Verdict::Crossed, 3);
    for (n, text) in HOSTILE.iter().enumerate() {
        let name = Name::plain(printable(text).into_owned());
        calls(&mut tally, &cart, &name, 100, Verdict::Mangled, n as u64);
        calls(&mut tally, &name, &pay, 10, Verdict::Dropped, 1);
    }
    for (service, runtime) in [
        (&gateway, Runtime::Go),
        (&cart, Runtime::Python),
        (&pay, Runtime::Java),
    ] {
        for (context, n) in [
            (Inbound::Valid, 900),
            (Inbound::Invalid, 3),
            (Inbound::None, 12),
        ] {
            let service = service.clone();
            tally.add(Cell::Requests { service, context }, n);
        }
        let cell = Cell::Activity {
            service: service.clone(),
            runtime,
        };
        tally.add(cell, 900);
        for (verdict, n) in [
            (LogVerdict::Linked, 700),
            (LogVerdict::Missing, 9),
            (LogVerdict::Zero, 1),
        ] {
            let service = service.clone();
            tally.add(Cell::Lines { service, verdict }, n);
        }
    }
    for n in 1..4 {
        tally.sample(sample(&cart, Some(&pay), "dropped", n));
        tally.sample(sample(&cart, None, "missing", n));
    }
    let service = cart.clone();
    let reason = "several requests in flight, nothing tells them apart".into();
    tally.add(Cell::Inconclusive { service, reason }, 12);
    for service in [cart.clone(), shop("vault")] {
        let protocol = Protocol::Tls;
        tally.add(Cell::Unobserved { service, protocol }, 4);
    }
    for (role, message, flaw) in [
        (Role::Server, MessageKind::Request, Flaw::FieldName),
        (Role::Client, MessageKind::Response, Flaw::ChunkSize),
    ] {
        let (service, peer) = (cart.clone(), "10.0.7.9".into());
        let unread = Unread {
            role,
            message,
            flaw,
        };
        let cell = Cell::Unreadable {
            service,
            peer,
            unread,
        };
        tally.add(cell, 3);
    }
    for (measure, n) in [(Measure::Count, 800), (Measure::Variance, 1_600)] {
        for (service, peer) in [(&cart, Some(&pay)), (&pay, None)] {
            let (service, peer) = (service.clone(), peer.cloned());
            let cell = Cell::LeftOut {
                service,
                peer,
                measure,
            };
            tally.add(cell, n);
        }
    }
    for (reckoning, n) in [(Reckoning::Counted, 40_000), (Reckoning::Expected, 1_600)] {
        let cell = Cell::Reckoned {
            service: pay.clone(),
            role: Role::Server,
            reckoning,
        };
        tally.add(cell, n);
    }
    for service in [None, Some(cart)] {
        let kind = LossKind::Records;
        tally.add(Cell::Losses { service, kind }, 2);
    }
    tally.add(Cell::Records, 51_320);
    tally
}

fn gathered(lost: u64) -> Gathered {
    let agent = SourceLine {
        since: Some(time()),
        until: Some(WallTime(time().0 + 3_600_000_000_000)),
        agents: vec![AgentLine {
            clock_skew_seconds: Some(7.5),
            ..AgentLine::new("node-1", "0.1.0", Some(time()))
        }],
        ..SourceLine::new(SourceKind::Agent, "10.0.0.1:9100")
    };
    let away = SourceLine {
        state: State::Unreachable,
        notes: vec!["no answer: connection refused".to_owned()],
        ..SourceLine::new(SourceKind::Agent, "10.0.0.2:9100")
    };
    Gathered {
        tally: tally(lost),
        sources: vec![agent, away],
        warnings: vec!["the clock of agent node-1 is 8 s ahead".to_owned()],
    }
}

/// A report of which cart loses so many of 800 calls to payments, compared with nothing.
pub(crate) fn of(lost: u64) -> Report {
    build::report(gathered(lost), time(), None)
}

/// A report of all of it.
pub(super) fn report() -> Report {
    let url = "https://tempo.example/trace/{trace_id}?from=observer";
    let before = build::report(gathered(0), time(), None);
    let mut report = build::report(gathered(200), time(), Some(url));
    report.comparison = Some(compare::compare(&before, &report));
    report
}
