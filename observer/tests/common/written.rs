//! What a process writes to pipes, a byte at a time.

use std::time::{Duration, Instant};

use observer::kernel::Capture;
use observer_core::{
    facts::ExecutionKind,
    ids::Tgid,
    record::{Class, Direction, Event, decode},
};

/// How long it may take to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// What process `tgid` wrote up to `.`, each with the trace that was told of its thread meanwhile, as that `kind`.
pub fn with_traces(
    capture: &mut Capture,
    tgid: Tgid,
    kind: ExecutionKind,
) -> Vec<(char, Option<u128>)> {
    let mut seen = Vec::new();
    let began = Instant::now();
    while !seen.iter().any(|(said, _)| *said == '.') {
        assert!(began.elapsed() < PATIENCE, "{seen:?}");
        capture.wait(Duration::from_millis(5)).unwrap();
        capture.drain(|record| {
            let record = decode(record).unwrap();
            if let Event::Data(data) = record.event
                && record.tgid == tgid
                && data.class == Class::Pipe
                && data.direction == Direction::Write
            {
                let trace = data.execution.map(|execution| {
                    assert_eq!(execution.kind, kind);
                    execution.published().unwrap()
                });
                seen.push((char::from(data.payload[0]), trace));
            }
        });
    }
    seen
}
