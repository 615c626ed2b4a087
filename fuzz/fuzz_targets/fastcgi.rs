//! Both directions of a connection that begins as FastCGI, in calls cut by the input itself. Each call
//! begins with two bytes: the first says direction, loss and cut, the second the length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::ids::{KernelNanos, Tid};
use observer_core::message::HttpEvent;
use observer_core::message::conversation::Conversation;
use observer_core::record::{Direction, End};
use observer_core::stream::Chunk;

/// A call that reads `FCGI_BEGIN_REQUEST`.
const BEGIN: &[u8] = &[0, 16, 1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fuzz_target!(|data: &[u8]| {
    let mut conversation = Conversation::default();
    let mut open = 0_usize;
    let mut ignored = false;
    let mut begun = BEGIN.to_vec();
    begun.extend_from_slice(data);
    let mut pos = [0_u64; 2];
    let mut rest = &begun[..];
    let mut time = 0;
    while let [how, len, after @ ..] = rest {
        time += 1;
        let (bytes, next) = after.split_at(usize::from(*len).min(after.len()));
        rest = next;
        let side = usize::from(how & 1);
        let direction = [Direction::Read, Direction::Write][side];
        let mut sink = |event: HttpEvent| {
            assert!(!ignored, "told after it was ignored: {event:?}");
            match event {
                HttpEvent::Request { .. } => open += 1,
                HttpEvent::Response { nth, .. } => assert!(nth < open, "an answer to nothing"),
                HttpEvent::ResponseEnd { nth, .. } => {
                    assert!(nth < open, "the end of nothing");
                    open -= 1;
                }
                HttpEvent::Lost => open = 0,
                HttpEvent::RequestEnd { .. } => {}
                HttpEvent::Ignored(_) => ignored = true,
            }
            assert!(open <= 256, "more requests than are followed");
        };
        if how & 0xC0 == 0xC0 {
            conversation.end(direction, End::Eof, &mut sink);
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
        conversation.chunk(direction, &chunk, &mut sink);
        if let Some(until) = conversation.skip_until(direction) {
            assert!(until > pos[side]);
        }
    }
});
