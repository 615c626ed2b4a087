//! Tries in a process whether its threads, and their contexts, are where they are thought to be.

use super::super::{Unavailable, memory::Memory};
use super::{Interpreter, because, offsets::Offsets};

/// Threads that are looked at.
const THREADS: usize = 1024;
/// How far into a `PyThreadState` its context is looked for, bytes; the whole of it is smaller than this
/// in no version.
const REACH: u64 = 256;

/// `offsets`, after they have led to threads that there are. Where a context is found at another place
/// than thought, with that place.
///
/// # Errors
///
/// If they lead nowhere.
pub fn tried(
    memory: &Memory,
    interpreter: &Interpreter,
    offsets: &Offsets,
) -> Result<Offsets, Unavailable> {
    let threads = threads(memory, interpreter.runtime, offsets)?;
    let is_context = |address| {
        address != 0
            && memory.holds(
                address + observer_abi::python::OB_TYPE,
                interpreter.context_type,
            )
    };
    let contexts_at = |offset: u64| {
        let mut contexts = threads
            .iter()
            .filter_map(|thread| memory.word(thread + offset));
        contexts.any(is_context)
    };
    if contexts_at(offsets.context) {
        return Ok(*offsets);
    }
    // Perhaps there are none yet: what is known of the version stands, and each reading is checked.
    let elsewhere = (0..REACH).step_by(8).find(|offset| contexts_at(*offset));
    Ok(Offsets {
        context: elsewhere.unwrap_or(offsets.context),
        ..*offsets
    })
}

/// The addresses of the `PyThreadState`s of the main interpreter that belong to threads.
///
/// # Errors
///
/// If there are none.
pub fn threads(memory: &Memory, runtime: u64, offsets: &Offsets) -> Result<Vec<u64>, Unavailable> {
    let not_yet = || because("the interpreter has no threads (yet)");
    let interpreter = memory
        .word(runtime.wrapping_add(offsets.interpreter))
        .filter(|interpreter| *interpreter != 0)
        .ok_or_else(not_yet)?;
    let mut threads = Vec::new();
    let mut link = interpreter.wrapping_add(offsets.threads);
    for _ in 0..THREADS {
        let Some(state) = memory.word(link).filter(|state| *state != 0) else {
            break;
        };
        if is_thread(memory, state, offsets) {
            threads.push(state);
        }
        link = state.wrapping_add(offsets.next);
    }
    if threads.is_empty() {
        return Err(not_yet());
    }
    Ok(threads)
}

/// Whether `state` names a thread that there is: on x86-64 the first word at the thread pointer is
/// the thread pointer (ELF handling for thread-local storage, 3.4.2), whatever the C library.
fn is_thread(memory: &Memory, state: u64, offsets: &Offsets) -> bool {
    memory
        .word(state.wrapping_add(offsets.thread_id))
        .is_some_and(|pointer| pointer != 0 && memory.holds(pointer, pointer))
}
