//! Both directions of a connection, in calls cut by the input itself. Each call begins with two
//! bytes: the first says direction, loss and cut, the second the length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::ids::{KernelNanos, Tid};
use observer_core::message::HttpEvent;
use observer_core::message::connection::Connection;
use observer_core::record::{Direction, End};
use observer_core::stream::Chunk;

fuzz_target!(|data: &[u8]| {
    let mut connection = Connection::new();
    let mut pos = [0u64; 2];
    let mut ignored = false;
    let mut rest = data;
    let mut time = 0;
    while let [how, len, after @ ..] = rest {
        time += 1;
        let (bytes, next) = after.split_at(usize::from(*len).min(after.len()));
        rest = next;
        let side = usize::from(how & 1);
        let direction = [Direction::Read, Direction::Write][side];
        let mut sink = |event: HttpEvent| {
            assert!(!ignored, "told after it was ignored: {event:?}");
            ignored = matches!(event, HttpEvent::Ignored(_));
        };
        if how & 0xC0 == 0xC0 {
            connection.end(direction, End::Eof, &mut sink);
        } else if how & 0xC0 == 0x80 {
            pos[side] += u64::from(how & 0x3E);
        }
        let cut = if how & 0x30 == 0x30 { 100 } else { 0 };
        let chunk = Chunk {
            tid: Tid(u32::from(how & 0x0C)),
            time: KernelNanos(time),
            pos: pos[side],
            len: u32::try_from(bytes.len()).unwrap() + cut,
            bytes,
            nonblocking: false,
            execution: None,
        };
        pos[side] += u64::from(chunk.len);
        connection.chunk(direction, &chunk, &mut sink);
        if let Some(until) = connection.skip_until(direction) {
            assert!(until > pos[side]);
        }
    }
});
