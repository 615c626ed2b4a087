use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use observer_core::healing::ids::{SpanId, SpanKind, TraceId};
use observer_core::healing::{Attributes, Resource};
use observer_core::ids::Tgid;

use super::*;
use crate::cli::export::OtlpPlan;
use crate::sink::samples;

/// Answers requests with these, one connection each, and tells when they came.
fn endpoint(answers: &'static [&'static str]) -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, came) = channel();
    thread::spawn(move || {
        for (answer, stream) in answers.iter().zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let mut request = [0; 64 * 1024];
            // One read may bring the head alone; what follows is of no interest here.
            let _ = stream.read(&mut request).unwrap();
            tell.send(Instant::now()).unwrap();
            let head = format!("HTTP/1.1 {answer}Connection: close\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    (format!("http://{address}"), came)
}

fn exporter(endpoint: String) -> Exporter {
    let plan = OtlpPlan {
        endpoint: Some(endpoint),
        signals: vec![Signal::Spans],
        ..OtlpPlan::default()
    };
    Exporter::start(Config::new(&plan, |_| None).unwrap()).unwrap()
}

fn span() -> Healed {
    Healed::Span(Box::new(Span {
        trace_id: TraceId::new(1).unwrap(),
        span_id: SpanId::new(2).unwrap(),
        parent_span_id: None,
        span_kind: SpanKind::Server,
        name: "GET /".into(),
        start: samples::at(0),
        end: samples::at(5),
        sampled: true,
        failed: false,
        attributes: Attributes::default(),
        links: Vec::new(),
        exchange: samples::id(1),
        resource: Arc::new(Resource {
            service: "cart".into(),
            pid: Tgid(1),
            attributes: std::collections::BTreeMap::new(),
        }),
    }))
}

#[test]
fn retry_after_is_waited_for() {
    let (address, came) = endpoint(&["503 Busy\r\nRetry-After: 2\r\n", "200 OK\r\n"]);
    let exporter = exporter(address);
    exporter.offer(&span());
    let first = came.recv_timeout(Duration::from_secs(20)).unwrap();
    let second = came.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(second - first >= Duration::from_millis(1_990));
    let counts = Arc::clone(&exporter.spans.as_ref().unwrap().counts);
    exporter.finish(Duration::from_secs(20));
    let told = counts.now();
    assert_eq!((told.offered, told.accepted, told.lost()), (1, 1, 0));
}

#[test]
fn the_end_does_not_wait_longer_than_it_may() {
    let (address, _came) = endpoint(&["503 Busy\r\nRetry-After: 300\r\n"]);
    let exporter = exporter(address);
    exporter.offer(&span());
    let counts = Arc::clone(&exporter.spans.as_ref().unwrap().counts);
    let started = Instant::now();
    exporter.finish(Duration::from_millis(300));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(counts.now().unsent(), 1);
}
