//! Spans and log records that heal a trace: right parents, the same ids however it was seen, and
//! never a wrong parent because something was missed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use observer_core::engine::{Config, Engine, Input};
use observer_core::healing::ids::{SpanId, SpanKind, TraceId};
use observer_core::healing::{Healed, Healer, LogRecord, Settings, Span, Spans, Value};
use observer_core::ids::KernelNanos;
use observer_core::judged::ClockAnchor;
use proptest::prelude::*;
use world::{Fed, Socket, World, request, response, traceparent};

const ORDERS: u32 = 20;
const BILLING: u32 = 30;
const LEDGER: u32 = 40;

/// What a service does with the context that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Continues it with a span of its own.
    Continue,
    /// Passes it on unchanged.
    Forward,
    /// Forgets it.
    Drop,
    /// Begins a trace of its own.
    Restart,
}

/// Connections of one lane through the services: what each serves, and what each calls.
struct Lane {
    ends: Vec<(u32, Socket, Socket)>,
}

fn lane(w: &mut World, lane: u16) -> Lane {
    let mut ends = Vec::new();
    for (hop, tgid) in (0..).zip([ORDERS, BILLING, LEDGER]) {
        let port = |hop: u16| 1000 * (hop + 1) + lane;
        let served = w.tcp(tgid, 80 + hop, port(hop), false);
        let called = w.tcp(tgid, port(hop + 1), 81 + hop, false);
        ends.push((tgid, served, called));
    }
    Lane { ends }
}

/// Request `n` through all services, one thread each, and a line in each.
fn through(w: &mut World, lane: &Lane, stdout: &[Socket], n: u64, inbound: bool, does: &[Does]) {
    let mut context = inbound.then_some((n, 100 + n));
    let mut trip: Vec<(u32, Socket, Socket)> = Vec::new();
    for (hop, (tgid, served, called)) in lane.ends.iter().enumerate() {
        let tid = tgid + 1 + u32::from(n % 2 == 1);
        let headers = |c: Option<(u64, u64)>| c.map_or(String::new(), |(t, p)| traceparent(t, p));
        let target = format!("/{n}/{hop}");
        w.read(tid, *served, request(&target, &headers(context)));
        w.write(tid, stdout[hop], format!("line {n} of {hop}\n"));
        let out = match (does[hop], context) {
            (Does::Continue, Some((t, _))) => Some((t, 1000 * n + hop as u64)),
            (Does::Forward, context) => context,
            (Does::Drop, _) | (Does::Continue, None) => None,
            (Does::Restart, _) => Some((1_000_000 + n, 77)),
        };
        w.write(
            tid,
            *called,
            request(&format!("/{n}/{}", hop + 1), &headers(out)),
        );
        context = out;
        trip.push((tid, *served, *called));
    }
    for (tid, served, called) in trip.into_iter().rev() {
        w.read(tid, called, response());
        w.write(tid, served, response());
    }
}

fn world(requests: &[[Does; 3]], inbound: bool) -> World {
    let mut w = World::new();
    for (tgid, name) in [(ORDERS, "orders"), (BILLING, "billing"), (LEDGER, "ledger")] {
        w.process(tgid, name);
    }
    let stdout = [ORDERS, BILLING, LEDGER].map(|tgid| w.stdout(tgid));
    let lanes = [lane(&mut w, 0), lane(&mut w, 1)];
    for (n, does) in (1..).zip(requests) {
        let lane = &lanes[usize::try_from(n % 2).unwrap()];
        through(&mut w, lane, &stdout, n, inbound, does);
        w.tick();
    }
    w
}

fn heal(inputs: &[Fed], lost: u64, settings: Settings) -> Vec<Healed> {
    let anchor = ClockAnchor {
        monotonic: KernelNanos(1_000_000_000),
        wall: 1_700_000_000_000_000_000,
    };
    let mut engine = Engine::new(Config {
        anchor,
        show_query: true,
        ..Config::default()
    });
    let mut healer = Healer::new(settings);
    let (mut judged, mut out) = (Vec::new(), Vec::new());
    for input in inputs {
        let input = input.input(lost);
        if let Input::Process(facts) = &input {
            healer.process(facts);
        }
        let tick = match input {
            Input::Tick { now, .. } => Some(now),
            _ => None,
        };
        engine.input(input, &mut judged);
        judged.drain(..).for_each(|item| healer.judged(&item));
        if let Some(now) = tick {
            healer.tick(now, &mut out);
        }
    }
    engine.finish(&mut judged);
    judged.drain(..).for_each(|item| healer.judged(&item));
    healer.finish(&mut out);
    out
}

fn spans(healed: &[Healed]) -> Vec<&Span> {
    healed
        .iter()
        .filter_map(|healed| match healed {
            Healed::Span(span) => Some(span.as_ref()),
            Healed::Log(_) => None,
        })
        .collect()
}

fn lines(healed: &[Healed]) -> Vec<&LogRecord> {
    healed
        .iter()
        .filter_map(|healed| match healed {
            Healed::Log(line) => Some(line.as_ref()),
            Healed::Span(_) => None,
        })
        .collect()
}

fn bridge(world: &World) -> Vec<Healed> {
    heal(&world.inputs, 0, Settings::default())
}

/// The span of `service`, of one kind, of request `n`.
fn of<'a>(healed: &'a [Healed], service: &str, kind: SpanKind) -> &'a Span {
    let mut found = spans(healed)
        .into_iter()
        .filter(|s| s.resource.service == service && s.span_kind == kind);
    let one = found.next();
    assert!(found.next().is_none(), "two {kind:?} spans of {service}");
    one.unwrap_or_else(|| panic!("no {kind:?} span of {service}: {healed:#?}"))
}

fn text<'a>(span: &'a Span, name: &str) -> &'a str {
    match span.attributes.get(name) {
        Some(Value::Text(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_dropped_trace_is_joined_down_to_the_service_that_began_its_own() {
    let healed = bridge(&world(&[[Does::Drop, Does::Drop, Does::Restart]], true));
    let orders = of(&healed, "orders", SpanKind::Server);
    let call = of(&healed, "orders", SpanKind::Client);
    let billing = of(&healed, "billing", SpanKind::Server);
    let second = of(&healed, "billing", SpanKind::Client);
    let ledger = of(&healed, "ledger", SpanKind::Server);
    assert_eq!(spans(&healed).len(), 5);
    assert_eq!(orders.parent_span_id, SpanId::new(101));
    assert_eq!(call.parent_span_id, Some(orders.span_id));
    assert_eq!(billing.parent_span_id, Some(call.span_id));
    assert_eq!(second.parent_span_id, Some(billing.span_id));
    assert_eq!(ledger.parent_span_id, Some(second.span_id));
    let trace = TraceId::new(1).unwrap();
    assert!(
        spans(&healed)
            .iter()
            .all(|s| s.trace_id == trace && s.sampled)
    );
    assert_eq!(ledger.links.len(), 1);
    assert_eq!(Some(ledger.links[0].trace_id), TraceId::new(1_000_001));
    assert_eq!(Some(ledger.links[0].span_id), SpanId::new(77));
    assert_eq!(text(call, "observer.verdict"), "dropped");
    assert_eq!(text(call, "observer.tier"), "execution");
    assert_eq!(text(billing, "observer.tier"), "connection");
    assert_eq!(text(call, "url.full"), "http://shop/1/1");
    assert_eq!(call.name, "GET /{id}/{id}");
    for line in lines(&healed) {
        assert_eq!(line.trace_id, Some(trace), "{}", line.line);
        assert!(line.healed, "{}", line.line);
    }
    let first = lines(&healed)
        .into_iter()
        .find(|l| l.line.ends_with("of 1"));
    assert_eq!(first.unwrap().span_id, Some(billing.span_id));
}

#[test]
fn a_trace_that_nobody_breaks_gets_no_span() {
    let healed = bridge(&world(&[[Does::Continue; 3], [Does::Continue; 3]], true));
    assert!(spans(&healed).is_empty(), "{healed:#?}");
    assert!(
        lines(&healed)
            .iter()
            .all(|l| l.trace_id.is_some() && l.span_id.is_none())
    );
}

#[test]
fn without_any_context_each_request_becomes_a_trace_of_its_own() {
    let healed = bridge(&world(&[[Does::Drop; 3], [Does::Drop; 3]], false));
    let traces: BTreeSet<TraceId> = spans(&healed).iter().map(|s| s.trace_id).collect();
    assert_eq!(traces.len(), 2);
    for trace in traces {
        let all = spans(&healed);
        let own: Vec<_> = all.into_iter().filter(|s| s.trace_id == trace).collect();
        // The last call leads out of what is watched.
        assert_eq!(own.len(), 6);
        assert_eq!(own.iter().filter(|s| s.parent_span_id.is_none()).count(), 1);
        let inside = lines(&healed)
            .into_iter()
            .filter(|l| l.trace_id == Some(trace));
        assert_eq!(inside.count(), 3);
    }
}

#[test]
fn a_service_that_passes_the_context_on_gets_the_spans_that_it_does_not_make() {
    let healed = bridge(&world(
        &[[Does::Continue, Does::Forward, Does::Continue]],
        true,
    ));
    assert_eq!(spans(&healed).len(), 2);
    let own = of(&healed, "billing", SpanKind::Server);
    let call = of(&healed, "billing", SpanKind::Client);
    assert_eq!(own.parent_span_id, SpanId::new(1000));
    assert_eq!(call.parent_span_id, Some(own.span_id));
}

#[test]
fn hostile_bytes_become_text_of_bounded_length() {
    let mut w = World::new();
    w.process(ORDERS, "orders");
    let stdout = w.stdout(ORDERS);
    let served = w.tcp(ORDERS, 80, 1000, false);
    let called = w.tcp(ORDERS, 2000, 81, false);
    let hostile = |target: &[u8], context: &str| {
        let head = request("@", &format!("{context}X-Odd: \u{ff}\u{9b}31m\r\n"));
        let (before, after) = head.split_once('@').unwrap();
        [before.as_bytes(), target, after.as_bytes()].concat()
    };
    let long = [b"/".as_slice(), &[b'a'; 20_000], b"?q=1"].concat();
    for part in hostile(&long, &traceparent(1, 101)).chunks(1_000) {
        w.read(ORDERS + 1, served, part);
    }
    w.write(ORDERS + 1, stdout, b"\xff\xfe not \x1b[31m text \xc3\n");
    w.write(
        ORDERS + 1,
        stdout,
        [&[b'x'; 30_000], b"\n".as_slice()].concat(),
    );
    w.write(ORDERS + 1, called, hostile("/café/\u{202e}".as_bytes(), ""));
    w.read(ORDERS + 1, called, response());
    w.write(ORDERS + 1, served, response());
    w.tick();
    let healed = bridge(&w);
    let own = of(&healed, "orders", SpanKind::Server);
    let call = of(&healed, "orders", SpanKind::Client);
    assert_eq!(call.parent_span_id, Some(own.span_id));
    let printable = |t: &str| !t.chars().any(|c| c.is_control() && c != '\n');
    for span in spans(&healed) {
        assert!(span.name.len() < 256, "{}", span.name.len());
        for (name, value) in &span.attributes.0 {
            if let Value::Text(text) = value {
                assert!(printable(text) && text.len() <= 65_536, "{name}: {text:?}");
            }
        }
    }
    assert_eq!(lines(&healed).len(), 2);
    for line in lines(&healed) {
        assert_eq!(line.trace_id, TraceId::new(1));
        assert!(printable(&line.line) && line.line.len() <= 65_536);
    }
}

#[test]
fn the_sampled_flag_is_honoured_and_may_be_overridden_for_what_is_broken() {
    let mut w = world(&[[Does::Drop, Does::Forward, Does::Continue]], true);
    for input in &mut w.inputs {
        if let Fed::Record(raw) = input
            && let Some(at) = raw.windows(5).position(|w| w == b"-01\r\n")
        {
            raw[at + 2] = b'0';
        }
    }
    assert!(spans(&bridge(&w)).is_empty());
    let forced = Settings {
        unsampled: true,
        ..Settings::default()
    };
    let healed = heal(&w.inputs, 0, forced);
    assert!(spans(&healed).len() >= 3 && spans(&healed).iter().all(|s| !s.sampled));
}

#[test]
fn all_makes_every_span_and_off_none() {
    let w = world(&[[Does::Continue; 3]], true);
    let with = |spans| Settings {
        spans,
        ..Settings::default()
    };
    assert_eq!(spans(&heal(&w.inputs, 0, with(Spans::All))).len(), 6);
    let off = heal(&w.inputs, 0, with(Spans::Off));
    assert!(spans(&off).is_empty() && lines(&off).len() == 3);
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        Just(Does::Continue),
        Just(Does::Forward),
        Just(Does::Drop),
        Just(Does::Restart),
    ]
}

fn stories() -> impl Strategy<Value = (Vec<[Does; 3]>, bool)> {
    let request = [does(), does(), does()];
    (proptest::collection::vec(request, 1..6), any::<bool>())
}

/// Which span is below which, by ids.
fn parents(healed: &[Healed]) -> BTreeMap<(TraceId, SpanId), Option<SpanId>> {
    let all = spans(healed);
    let map: BTreeMap<_, _> = all
        .iter()
        .map(|s| ((s.trace_id, s.span_id), s.parent_span_id))
        .collect();
    assert_eq!(map.len(), all.len(), "a span was made twice");
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_replay_makes_the_same((requests, inbound) in stories()) {
        let w = world(&requests, inbound);
        let json = |h: Vec<Healed>| serde_json::to_string(&h).unwrap();
        prop_assert_eq!(json(bridge(&w)), json(bridge(&w)));
    }

    #[test]
    fn when_it_was_looked_does_not_matter(
        (requests, inbound) in stories(),
        ticks in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let w = world(&requests, inbound);
        let all = Settings { spans: Spans::All, ..Settings::default() };
        let mut other: Vec<Fed> = w.inputs.iter()
            .filter(|i| !matches!(i, Fed::Tick(_)))
            .cloned()
            .collect();
        for index in ticks {
            let at = index.index(other.len());
            // A tick is as old as the record before it.
            let before = other[..at].iter().rev().find_map(time);
            other.insert(at, Fed::Tick(before.unwrap_or(1_000_000_000)));
        }
        prop_assert_eq!(parents(&heal(&other, 0, all)), parents(&heal(&w.inputs, 0, all)));
    }

    #[test]
    fn what_was_missed_never_makes_a_wrong_parent(
        (requests, inbound) in stories(),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let w = world(&requests, inbound);
        let all = Settings { spans: Spans::All, ..Settings::default() };
        let whole: BTreeMap<SpanId, Option<SpanId>> = parents(&heal(&w.inputs, 0, all))
            .into_iter()
            .map(|((_, span), parent)| (span, parent))
            .collect();
        let records: Vec<usize> = (0..w.inputs.len())
            .filter(|i| matches!(w.inputs[*i], Fed::Record(_)))
            .collect();
        let lost: BTreeSet<usize> = lost.iter().map(|i| records[i.index(records.len())]).collect();
        let thinned: Vec<Fed> = w.inputs.iter().enumerate()
            .filter(|(i, _)| !lost.contains(i))
            .map(|(_, input)| input.clone())
            .collect();
        for settings in [Settings::default(), all] {
            for ((_, span), parent) in parents(&heal(&thinned, lost.len() as u64, settings)) {
                let known = whole.get(&span);
                prop_assert!(known.is_some(), "a span of nothing: {span}");
                let inbound = parent.is_some_and(|p| u64::from_be_bytes(p.bytes()) < 1_000_000);
                prop_assert!(
                    parent.is_none() || Some(&parent) == known || inbound,
                    "{span} is below {parent:?} instead of {known:?}"
                );
            }
        }
    }
}

/// When a record was made.
fn time(input: &Fed) -> Option<u64> {
    let at = std::mem::offset_of!(observer_abi::Header, time);
    match input {
        Fed::Record(raw) => Some(u64::from_ne_bytes(raw[at..at + 8].try_into().unwrap())),
        _ => None,
    }
}
