//! A file that says to be a recording, replayed through the whole pipeline.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::engine::{Config, Engine, Input};
use observer_core::ids::KernelNanos;
use observer_core::judged::ClockAnchor;
use observer_core::recording::{ByteOrder, Reader, Startup, Writer};

fuzz_target!(|bytes: &[u8]| {
    // As a file.
    replay(bytes);
    // As the frames of a file whose checksums are right: what a fuzzer does not find by chance.
    replay(&framed(bytes));
});

fn replay(bytes: &[u8]) {
    let Ok((startup, mut reader)) = Reader::new(bytes) else {
        return;
    };
    let mut engine = Engine::new(Config {
        anchor: startup.anchor,
        show_query: false,
        ..Config::default()
    });
    let mut judged = Vec::new();
    while let Ok(Some(input)) = reader.next_input() {
        engine.input(input, &mut judged);
        engine.feedback();
    }
    engine.finish(&mut judged);
    for item in &judged {
        let line = serde_json::to_string(item).expect("everything told can be written");
        assert!(!line.contains(['\u{1b}', '\u{7f}']), "{line}");
    }
}

/// Records of a length that their first byte says, a tick after each eighth.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let startup = Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: String::new(),
        machine: String::new(),
        program: String::new(),
        anchor: ClockAnchor::default(),
        selection: Vec::new(),
        limits: std::collections::BTreeMap::new(),
        probes: Vec::new(),
    };
    let mut writer = Writer::new(Vec::new(), &startup).expect("memory");
    let mut now = 0;
    while let Some((len, rest)) = bytes.split_first() {
        let (record, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        bytes = rest;
        writer.input(&Input::Record(record)).expect("memory");
        now += 10_000_000;
        if now % 80_000_000 == 0 {
            let tick = Input::Tick {
                now: KernelNanos(now),
                lost: 0,
            };
            writer.input(&tick).expect("memory");
        }
    }
    writer.finish().expect("memory")
}
