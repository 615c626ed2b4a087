//! Both directions of a connection, in calls cut by the input itself.
#![no_main]

mod moves;

use libfuzzer_sys::fuzz_target;
use moves::Moves;
use observer_core::message::HttpEvent;
use observer_core::message::connection::{Connection, Heads};
use observer_core::record::End;

fuzz_target!(|data: &[u8]| {
    let mut connection = Connection::new();
    let mut heads = Heads::default();
    let mut ignored = false;
    for one in Moves::new(data) {
        let mut sink = |event: HttpEvent| {
            assert!(!ignored, "told after it was ignored: {event:?}");
            ignored = matches!(event, HttpEvent::Ignored(_));
        };
        if one.ended {
            connection.end(one.direction, End::Eof, &mut sink);
        }
        connection.chunk(one.direction, &one.chunk, &mut heads, &mut sink);
        if let Some(until) = connection.skip_until(one.direction) {
            assert!(until > one.end());
        }
    }
});
