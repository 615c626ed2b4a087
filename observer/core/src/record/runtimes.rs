//! Decodes what records tell of who runs what.

use observer_abi as abi;

use super::fields::{Fields, offset};
use super::{
    DecodeError, Event, Execution, ExecutionKind, Heap, Item, ItemHow, ItemWhat, Nudge, Passed,
    PassedHow, Runs, Take, TakeHow, Turn, Woke,
};
use crate::ids::{FileId, KernelNanos, Tid};

/// Up to what was added to it.
const HEAP: usize = std::mem::offset_of!(abi::Heap, execution);

/// The execution that goes with a record, if there is one.
pub(super) fn execution(code: u8, id: u64, origin: u64) -> Result<Option<Execution>, DecodeError> {
    let runtime = match code {
        abi::runtime::NONE => return Ok(None),
        abi::runtime::GO => ExecutionKind::Goroutine,
        abi::runtime::PYTHON => ExecutionKind::PythonContext,
        abi::runtime::GREENLET => ExecutionKind::Greenlet,
        abi::runtime::TOKIO => ExecutionKind::TokioTask,
        abi::runtime::NODE => ExecutionKind::NodeAsync,
        abi::runtime::JAVA => ExecutionKind::VirtualThread,
        abi::runtime::HAPROXY => ExecutionKind::HaproxyStream,
        abi::runtime::PUBLISHED => ExecutionKind::Published,
        abi::runtime::PINNED => ExecutionKind::Pinned,
        _ => return Err(DecodeError::Field("runtime")),
    };
    Ok(Some(Execution {
        kind: runtime,
        id,
        origin,
    }))
}

pub(super) fn heap(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<HEAP>::of(body)?;
    // Earlier probes did not tell what runs on the thread, nor what it was started to run.
    let later = |at: usize| {
        let bytes = body.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    Ok(Event::Heap(Heap {
        task: f.u64(offset!(abi::Heap, task)),
        class: f.u32(offset!(abi::Heap, class)),
        start: f.u64(offset!(abi::Heap, start)),
        top: f.u64(offset!(abi::Heap, top)),
        end: f.u64(offset!(abi::Heap, end)),
        collections: f.u32(offset!(abi::Heap, collections)),
        runs: match later(offset!(abi::Heap, execution)) {
            0 => Runs::Itself,
            abi::UNKNOWN_EXECUTION => Runs::Unknown,
            id => Runs::Virtual(id),
        },
        target: later(offset!(abi::Heap, target)),
    }))
}

pub(super) fn take(body: &[u8], flags: u8) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Take>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Take, how)) {
        abi::take::CONNECT => TakeHow::Connect,
        abi::take::PROBE => TakeHow::Probe,
        abi::take::CLIENT => TakeHow::Client,
        _ => return Err(DecodeError::Field("how")),
    };
    Ok(Event::Take(Take {
        file: FileId(f.u64(offset!(abi::Take, file))),
        how,
        nonblocking: flags & abi::data_flag::NONBLOCK != 0,
        execution: execution(
            f.u8(offset!(abi::Take, runtime)),
            f.u64(offset!(abi::Take, execution)),
            f.u64(offset!(abi::Take, origin)),
        )?,
    }))
}

pub(super) fn branch(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Branch>() }>::of(body)?;
    let child = execution(
        f.u8(offset!(abi::Branch, runtime)),
        f.u64(offset!(abi::Branch, child)),
        f.u64(offset!(abi::Branch, parent)),
    )?;
    child
        .map(Event::Branch)
        .ok_or(DecodeError::Field("runtime"))
}

pub(super) fn turn(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Turn>() }>::of(body)?;
    let execution = execution(
        f.u8(offset!(abi::Turn, runtime)),
        f.u64(offset!(abi::Turn, execution)),
        0,
    )?;
    Ok(Event::Turn(Turn {
        execution: execution.ok_or(DecodeError::Field("runtime"))?,
        root: f.u64(offset!(abi::Turn, root)),
        newest: f.u64(offset!(abi::Turn, newest)),
        reads: f.u32(offset!(abi::Turn, reads)),
    }))
}

pub(super) fn woke(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Woke>() }>::of(body)?;
    Ok(Event::Woke(Woke {
        word: f.u64(offset!(abi::Woke, word)),
        since: KernelNanos(f.u64(offset!(abi::Woke, since))),
        woken: KernelNanos(f.u64(offset!(abi::Woke, woken))),
        waker: Tid(f.u32(offset!(abi::Woke, waker))),
    }))
}

pub(super) fn nudge(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Nudge>() }>::of(body)?;
    let woken = execution(
        f.u8(offset!(abi::Nudge, runtime)),
        f.u64(offset!(abi::Nudge, woken)),
        0,
    )?;
    Ok(Event::Nudge(Nudge {
        woken: woken.ok_or(DecodeError::Field("runtime"))?,
        waker: f.u64(offset!(abi::Nudge, waker)),
        again: f.u8(offset!(abi::Nudge, again)) != 0,
    }))
}

pub(super) fn passed(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Passed>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Passed, how)) {
        abi::passed::DIRECT => PassedHow::Direct,
        abi::passed::PUT => PassedHow::Put,
        abi::passed::GOT => PassedHow::Got,
        _ => return Err(DecodeError::Field("how")),
    };
    let runtime = f.u8(offset!(abi::Passed, runtime));
    let one = |id: u64| match id {
        0 => Ok(None),
        id => execution(runtime, id, 0),
    };
    Ok(Event::Passed(Passed {
        giver: one(f.u64(offset!(abi::Passed, giver)))?,
        taker: one(f.u64(offset!(abi::Passed, taker)))?,
        how,
        place: f.u64(offset!(abi::Passed, place)),
        value: f.u64(offset!(abi::Passed, value)),
        queued: f.u8(offset!(abi::Passed, queued)) != 0,
        depth: f.u32(offset!(abi::Passed, depth)),
    }))
}

pub(super) fn item(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Item>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Item, how)) {
        abi::item::GIVEN => ItemHow::Given,
        abi::item::TAKEN => ItemHow::Taken,
        _ => return Err(DecodeError::Field("how")),
    };
    let what = match f.u8(offset!(abi::Item, what)) {
        abi::content::WORK => ItemWhat::Work,
        abi::content::RECORD => ItemWhat::Record,
        abi::content::MESSAGE => ItemWhat::Message,
        _ => return Err(DecodeError::Field("what")),
    };
    Ok(Event::Item(Item {
        id: f.u64(offset!(abi::Item, item)),
        how,
        what,
        execution: execution(
            f.u8(offset!(abi::Item, runtime)),
            f.u64(offset!(abi::Item, execution)),
            f.u64(offset!(abi::Item, origin)),
        )?,
    }))
}
