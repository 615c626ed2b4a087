//! Values that goroutines hand to one another through channels.
//!
//! The runtime holds the channel's lock at every place where these are called, so that what is told of one channel
//! is in order. What a goroutine receives near the beginning of its stack is what it lives on; what it
//! receives further down is part of some work, and is not told.

use observer_abi::{Passed, control::Layout, go, kind, passed, runtime};

use super::{current, identity, plausible, running, word};
use crate::{mem, ring, thread::Thread};

/// Frames from that of `chanrecv` or `selectgo` up to the goroutine's first one, at most: `chanrecv1` or
/// `chanrecv2` is one, so that what receives is called by three others at most.
const FRAMES: u32 = 6;

/// Values that are shorter are no work: signals, and tokens of semaphores.
const WORK: u64 = 8;

/// In `runtime.send(c *hchan, sg *sudog, ep unsafe.Pointer, …)`: the goroutine that runs gives a value to `sg.g`.
#[inline(always)]
pub fn sent(thread: Thread, layout: &Layout, regs: u64) -> Option<()> {
    let [channel, waiting, value] = arguments(layout, regs);
    let taker: u64 = mem::user(waiting.wrapping_add(layout.words[go::WAITS]))?;
    // It is in `gopark`, which `chanrecv` or `selectgo` called.
    let parked: Option<u64> = mem::user(taker.wrapping_add(layout.words[go::PARKED]));
    let frame = parked.and_then(mem::user).unwrap_or(0);
    let depth = depth(layout, taker, frame)?;
    let told = direct(layout, channel)?;
    tell(
        thread,
        &Passed {
            giver: told.giver & current(layout, regs).id,
            taker: identity(layout, taker).id,
            value: mem::user(value).unwrap_or(0),
            depth,
            ..told
        },
    )
}

/// In `runtime.recv(c *hchan, sg *sudog, ep unsafe.Pointer, …)`: the goroutine that runs takes the value of
/// `sg.g`, or the first one in the queue, in whose place that of `sg.g` comes.
#[inline(always)]
pub fn received(thread: Thread, layout: &Layout, regs: u64) -> Option<()> {
    let [channel, waiting, _] = arguments(layout, regs);
    let giver: u64 = mem::user(waiting.wrapping_add(layout.words[go::WAITS]))?;
    let elem: u64 = mem::user(waiting.wrapping_add(layout.words[go::ELEM]))?;
    let value = mem::user(elem).unwrap_or(0);
    let told = direct(layout, channel)?;
    let giver = told.giver & identity(layout, giver).id;
    if told.queued == 0 {
        let depth = own_depth(layout, regs)?;
        let taker = current(layout, regs).id;
        return tell(
            thread,
            &Passed {
                giver,
                taker,
                value,
                depth,
                ..told
            },
        );
    }
    let next: u64 = mem::user(channel.wrapping_add(layout.words[go::RECV]))?;
    let size = elem_size(layout, channel)?;
    let place = told.place.wrapping_add(next.wrapping_mul(size));
    got(thread, layout, regs, place, size);
    put(thread, giver, place, value)
}

/// At the call of `typedmemmove(typ *abi.Type, dst, src unsafe.Pointer)` that puts a value into a queue.
#[inline(always)]
pub fn queued(thread: Thread, layout: &Layout, regs: u64) -> Option<()> {
    let [kind, place, value] = arguments(layout, regs);
    // `abi.Type.Size_`, the first field.
    if mem::user::<u64>(kind)? < WORK {
        return None;
    }
    let giver = current(layout, regs).id;
    put(thread, giver, place, mem::user(value).unwrap_or(0))
}

/// At the call of `typedmemclr(typ *abi.Type, ptr unsafe.Pointer)` that clears the place of a value that was
/// taken out of a queue.
#[inline(always)]
pub fn cleared(thread: Thread, layout: &Layout, regs: u64) -> Option<()> {
    let [kind, place, _] = arguments(layout, regs);
    got(thread, layout, regs, place, mem::user(kind)?)
}

#[inline(always)]
fn arguments(layout: &Layout, regs: u64) -> [u64; 3] {
    go::ARGUMENTS.map(|at| word(regs, layout.words[at]).unwrap_or(0))
}

/// What is the same however a value goes from one goroutine to another. The giver is all ones if the value may be work.
#[inline(always)]
fn direct(layout: &Layout, channel: u64) -> Option<Passed> {
    let queue: u64 = mem::user(channel.wrapping_add(layout.words[go::QUEUE]))?;
    let work = elem_size(layout, channel)? >= WORK;
    Some(Passed {
        giver: if work { u64::MAX } else { 0 },
        place: mem::user(channel.wrapping_add(layout.words[go::BUF]))?,
        how: passed::DIRECT,
        queued: u8::from(queue != 0),
        ..nothing()
    })
}

#[inline(always)]
fn elem_size(layout: &Layout, channel: u64) -> Option<u64> {
    let size: u16 = mem::user(channel.wrapping_add(layout.words[go::ELEM_SIZE]))?;
    Some(u64::from(size))
}

#[inline(always)]
fn put(thread: Thread, giver: u64, place: u64, value: u64) -> Option<()> {
    let told = Passed {
        giver,
        place,
        value,
        how: passed::PUT,
        queued: 1,
        ..nothing()
    };
    tell(thread, &told)
}

#[inline(always)]
fn got(thread: Thread, layout: &Layout, regs: u64, place: u64, size: u64) -> Option<()> {
    let depth = own_depth(layout, regs)?;
    let told = Passed {
        taker: current(layout, regs).id,
        place: if size >= WORK { place } else { 0 },
        value: mem::user(place).unwrap_or(0),
        depth,
        how: passed::GOT,
        queued: 1,
        ..nothing()
    };
    tell(thread, &told)
}

/// How deep in its stack the goroutine that runs receives; its frame pointer is that of `chanrecv` or `selectgo`.
#[inline(always)]
fn own_depth(layout: &Layout, regs: u64) -> Option<u32> {
    let frame = word(regs, layout.words[go::FRAME]).unwrap_or(0);
    depth(layout, running(layout, regs)?, frame)
}

/// How deep in the stack of the goroutine whose `runtime.g` is at `g` the frame at `frame`, 0 if it is not known, lies; `None` if there are
/// many above it, or it is a connection's goroutine, and 0 if they can't be followed.
#[inline(always)]
fn depth(layout: &Layout, g: u64, frame: u64) -> Option<u32> {
    let [from, to] = go::CONNECTIONS.map(|at| layout.words[at]);
    let start: u64 = mem::user(g.wrapping_add(layout.words[go::START])).unwrap_or(0);
    if from <= start && start < to {
        return None;
    }
    let [low, high] = mem::user(g).unwrap_or([0u64; 2]);
    let mut at = frame;
    for _ in 0..FRAMES {
        if at < low || at >= high || !plausible(at) {
            return Some(0);
        }
        let Some(next) = mem::user::<u64>(at) else {
            return Some(0);
        };
        if next == 0 {
            return Some((high - frame) as u32);
        }
        at = next;
    }
    None
}

/// What is the same in every record, and nothing else.
#[inline(always)]
fn nothing() -> Passed {
    Passed {
        runtime: runtime::GO,
        ..Passed::default()
    }
}

#[inline(always)]
fn tell(thread: Thread, told: &Passed) -> Option<()> {
    let mut entry = ring::reserve_unsequenced::<Passed>()?;
    let len = size_of::<Passed>() as u32;
    entry.write(Passed {
        header: ring::unsequenced(kind::PASSED, len, thread.pid_tgid, ring::now()),
        ..*told
    });
    entry.submit(ring::wakeup());
    Some(())
}
