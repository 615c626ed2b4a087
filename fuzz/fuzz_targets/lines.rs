//! One log, written by several threads in calls cut by the input itself. Each call begins with two
//! bytes: the first says thread, loss, cut and pieces, the second the length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::ids::{KernelNanos, Tid};
use observer_core::message::LogLine;
use observer_core::message::lines::Lines;
use observer_core::stream::Chunk;

fuzz_target!(|data: &[u8]| {
    let mut lines = Lines::new();
    let mut pos = 0u64;
    let mut time = 0;
    let mut rest = data;
    let mut write = 0;
    let mut sink = |line: LogLine| {
        // Invalid bytes become three-byte replacement characters.
        assert!(line.text.len() <= 3 * (16 << 10));
        assert!(!line.text.ends_with('\n'));
        assert!(line.moved.since <= line.moved.time);
        write = write.max(line.write);
    };
    while let [how, len, after @ ..] = rest {
        time += 100_000_000;
        let (bytes, next) = after.split_at(usize::from(*len).min(after.len()));
        rest = next;
        match how >> 5 {
            5 => pos += 100,
            6 => pos = pos.saturating_sub(50),
            7 => lines.flush(KernelNanos(time), &mut sink),
            _ => {}
        }
        let cut = if how & 0x18 == 0x18 { 100 } else { 0 };
        let repeated = bytes.repeat(if how & 0x18 == 0x10 { 100 } else { 1 });
        let chunk = Chunk {
            tid: Tid(u32::from(how & 3)),
            time: KernelNanos(time),
            pos,
            len: u32::try_from(repeated.len()).unwrap() + cut,
            bytes: &repeated,
            nonblocking: false,
            execution: None,
        };
        pos += u64::from(chunk.len);
        lines.write(&chunk, how & 4 != 0, &mut sink);
    }
    lines.end(&mut sink);
});
