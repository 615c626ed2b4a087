//! One log line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::context::TraceId;
use observer_core::context::line::{LineId, relation, scan};

fuzz_target!(|line: &[u8]| {
    let line = String::from_utf8_lossy(line);
    let found = scan(&line);
    assert!(found.others.len() <= 7);
    match &found.id {
        LineId::Id { trace, field } => {
            assert!(trace.raw().len() <= 128 && field.len() <= 64);
            trace.each_candidate(|candidate| {
                assert!(!matches!(candidate, TraceId::Wide(0) | TraceId::Narrow(0)));
                let _ = relation(trace, candidate);
            });
        }
        LineId::Malformed { raw, field } => assert!(raw.len() <= 128 && field.len() <= 64),
        LineId::Zero { field } => assert!(field.len() <= 64),
        LineId::None => {}
    }
    assert!(found.bare.iter().all(|id| *id != 0));
});
