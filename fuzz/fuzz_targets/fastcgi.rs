//! Both directions of a connection that begins as FastCGI, in calls cut by the input itself.
#![no_main]

mod moves;

use libfuzzer_sys::fuzz_target;
use moves::Moves;
use observer_core::message::HttpEvent;
use observer_core::message::connection::Heads;
use observer_core::message::conversation::Conversation;
use observer_core::record::End;

/// A call that reads `FCGI_BEGIN_REQUEST`.
const BEGIN: &[u8] = &[0, 16, 1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fuzz_target!(|data: &[u8]| {
    let mut conversation = Conversation::default();
    let mut heads = Heads::default();
    let mut open = 0_usize;
    let mut ignored = false;
    let mut begun = BEGIN.to_vec();
    begun.extend_from_slice(data);
    for one in Moves::new(&begun) {
        let mut sink = |event: HttpEvent| {
            assert!(!ignored, "told after it was ignored: {event:?}");
            match event {
                HttpEvent::Request { .. } => open += 1,
                HttpEvent::Response { nth, .. } => assert!(nth < open, "an answer to nothing"),
                HttpEvent::ResponseEnd { nth, .. } => {
                    assert!(nth < open, "the end of nothing");
                    open -= 1;
                }
                HttpEvent::Lost | HttpEvent::Malformed { ends: true, .. } => open = 0,
                HttpEvent::Malformed { .. } => {}
                HttpEvent::RequestEnd { .. } => {}
                HttpEvent::Ignored(_) => ignored = true,
            }
            assert!(open <= 256, "more requests than are followed");
        };
        if one.ended {
            conversation.end(one.direction, End::Eof, &mut sink);
        }
        conversation.chunk(one.direction, &one.chunk, &mut heads, &mut sink);
        if let Some(until) = conversation.skip_until(one.direction) {
            assert!(until > one.end());
        }
    }
});
