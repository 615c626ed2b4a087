//! The whole pipeline, fed records whose fields and payloads are arbitrary.
#![no_main]

use std::mem::offset_of;

use libfuzzer_sys::fuzz_target;
use observer_abi as abi;
use observer_core::engine::{Config, Engine, Input};
use observer_core::ids::KernelNanos;

/// Makes a chunk of input likely to be a record: the right version, length and small identities.
fn record(chunk: &[u8]) -> Vec<u8> {
    let mut raw = chunk.to_vec();
    raw.resize(raw.len().max(size_of::<abi::Header>()), 0);
    let len = u32::try_from(raw.len()).unwrap_or(u32::MAX);
    raw[offset_of!(abi::Header, kind)] %= abi::kind::LAST + 2;
    raw[offset_of!(abi::Header, abi)] = abi::ABI_VERSION;
    raw[offset_of!(abi::Header, len)..][..4].copy_from_slice(&len.to_ne_bytes());
    for at in [offset_of!(abi::Header, tgid), offset_of!(abi::Header, tid)] {
        raw[at + 1..at + 4].fill(0);
        raw[at] %= 4;
    }
    let file = offset_of!(abi::Data, file);
    if raw.len() >= file + 8 {
        raw[file + 1..file + 8].fill(0);
        raw[file] %= 8;
    }
    raw
}

fuzz_target!(|data: &[u8]| {
    let mut engine = Engine::new(Config {
        anchor: Default::default(),
        show_query: true,
        ..Config::default()
    });
    let mut out = Vec::new();
    let mut rest = data;
    let mut now = 0;
    while let Some((&length, after)) = rest.split_first() {
        let (chunk, after) = after.split_at(after.len().min(usize::from(length)));
        engine.input(Input::Record(&record(chunk)), &mut out);
        if length % 16 == 0 {
            now += 50_000_000;
            engine.input(
                Input::Tick {
                    now: KernelNanos(now),
                    lost: u64::from(length) / 64,
                },
                &mut out,
            );
            engine.feedback();
        }
        rest = after;
    }
    engine.finish(&mut out);
    for judged in out {
        serde_json::to_vec(&judged).expect("everything that is told has a JSON form");
    }
});
