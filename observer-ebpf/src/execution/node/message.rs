//! Messages between event loops (`worker_threads`): who gave what a turn is about.
//!
//! What is posted becomes a `node::worker::Message`, to which the queue of the port on the other side refers
//! (`node::worker::MessagePortData::incoming_messages_`) until its loop takes it out, reads it and calls back for it, in a callback scope of its own
//! (`node::worker::MessagePort::OnMessage`, `src/node_messaging.cc`).

use observer_abi::{content, control::Layout, item, node::DEPTH, runtime};

use super::{WINDOW, begins, count_run, current};
use crate::{execution::queue, maps::RUNTIMES, mem, ring, thread::Thread};

/// The message that the `std::shared_ptr` at `pointer` refers to goes into a port's queue.
#[inline(always)]
pub fn given(pointer: u64) {
    if let Some(thread) = Thread::watched() {
        tell_given(pointer, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_given(pointer: u64, pid_tgid: u64) -> i32 {
    let Some((layout, address)) = layout_of(pid_tgid).zip(mem::user::<u64>(pointer)) else {
        return 0;
    };
    let giver = current(layout, pid_tgid);
    if giver.runtime == runtime::NONE {
        // What lay there before is there no more.
        queue::dequeued(pid_tgid, address);
        return 0;
    }
    let time = ring::now();
    if queue::queued(pid_tgid, address, time, layout.words[WINDOW]) {
        let what = content::MESSAGE;
        queue::tell(pid_tgid, (time, time), giver, item::GIVEN, what);
    }
    0
}

/// The message at `address`, which is in no queue any more, is read in `environment`.
#[inline(always)]
pub fn taken(address: u64, environment: u64) {
    if let Some(thread) = Thread::watched() {
        tell_taken(address, environment, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_taken(address: u64, environment: u64, pid_tgid: u64) -> i32 {
    let Some(layout) = layout_of(pid_tgid) else {
        return 0;
    };
    let known = queue::dequeued(pid_tgid, address);
    // What was given in another window may have been replaced unseen.
    if known.time == 0 || known.note != layout.words[WINDOW] {
        return 0;
    }
    // What a turn asks for itself (`receiveMessageOnPort`) is part of it.
    if mem::user(environment.wrapping_add(layout.words[DEPTH])) != Some(0_u64) {
        return 0;
    }
    let mut taker = current(layout, pid_tgid);
    if taker.runtime == runtime::NONE {
        begins(pid_tgid, environment, layout);
        taker = current(layout, pid_tgid);
    }
    if taker.runtime != runtime::NONE {
        let what = content::MESSAGE;
        let times = (ring::now(), known.time);
        queue::tell(pid_tgid, times, taker, item::TAKEN, what);
    }
    0
}

/// How the current process is read, of which a probe runs.
#[inline(always)]
fn layout_of(pid_tgid: u64) -> Option<&'static Layout> {
    let layout = RUNTIMES.get_ptr_mut((pid_tgid >> 32) as u32)?;
    // SAFETY: map element; userspace replaces it as a whole.
    let layout = unsafe { &mut *layout };
    (layout.runtime as u8 == runtime::NODE).then(|| {
        count_run(layout);
        &*layout
    })
}
