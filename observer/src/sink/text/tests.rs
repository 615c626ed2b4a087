//! What people see, compared with files under `expected/`. `UPDATE_EXPECTED=1 cargo test` writes
//! them anew.

use std::path::Path;

use observer_core::ids::KernelNanos;
use observer_core::judged::{Attribution, Exchange, Judged, LogVerdict, Reason, Unfinished};

use super::TextSink;
use super::words::answer;
use crate::sink::{Canvas, Sink, samples};

fn shown(canvas: Canvas, items: impl IntoIterator<Item = Judged>) -> String {
    let mut out = Vec::new();
    let mut sink = TextSink::new(&samples::plan(), canvas, &mut out);
    for item in items {
        sink.judged(item).unwrap();
    }
    sink.tick(KernelNanos(1)).unwrap();
    sink.finish(samples::summary()).unwrap();
    drop(sink);
    String::from_utf8(out).unwrap()
}

/// A request with its parts, things without a request, and a loss.
fn session() -> Vec<Judged> {
    let mut items: Vec<Judged> = samples::tree().into_judged().collect();
    items.push(Judged::Exchange(Box::new(samples::abstained())));
    items.push(Judged::Exchange(Box::new(Exchange {
        id: samples::id(5),
        ..samples::inferred()
    })));
    let mut timer = samples::log(LogVerdict::Unscoped);
    timer.request = None;
    timer.time = samples::at(160_000);
    timer.line = "heartbeat \u{1b}]0;owned\u{7} gnp.\u{202e}exe".into();
    timer.attribution = Attribution::none(Reason::NoRequest);
    items.push(Judged::Log(Box::new(timer)));
    let mut open = samples::server();
    open.id = samples::id(7);
    open.start = samples::at(170_000);
    open.status = None;
    open.duration_ns = None;
    open.context = None;
    open.peer_service = None;
    open.unfinished = Some(Unfinished::Reset);
    items.push(Judged::Exchange(Box::new(open)));
    items.push(Judged::Loss(samples::loss()));
    items.push(Judged::Sampling(samples::sampling()));
    items
}

#[test]
fn an_answer_that_was_cut_off_has_not_been_none() {
    let mut exchange = samples::server();
    exchange.unfinished = Some(Unfinished::Closed);
    exchange.status = Some(200);
    assert_eq!(answer(&exchange), "200, closed before its end");
    exchange.status = None;
    assert_eq!(answer(&exchange), "closed without an answer");
}

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/sink/text/expected")
        .join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(text == expected, "{name} differs:\n{text}");
}

#[test]
fn a_session_in_a_pipe() {
    compare("plain.txt", &shown(Canvas::default(), session()));
}

#[test]
fn a_session_on_a_narrow_terminal() {
    let canvas = Canvas {
        color: false,
        width: Some(72),
    };
    let text = shown(canvas, session());
    compare("narrow.txt", &text);
}

#[test]
fn a_session_in_colour() {
    let canvas = Canvas {
        color: true,
        width: Some(120),
    };
    let text = shown(canvas, session());
    compare("colour.txt", &text);
}

#[test]
fn colour_changes_nothing_else() {
    let mut plain = String::new();
    let canvas = |color| Canvas {
        color,
        width: Some(100),
    };
    let mut rest = shown(canvas(true), session());
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').unwrap();
        rest = rest[at + end + 1..].to_owned();
    }
    plain.push_str(&rest);
    assert_eq!(plain, shown(canvas(false), session()));
}
