//! What the threads of a process are just running: whether one of them takes log records from a `queue.Queue`.
//!
//! Frames are read while they run, so what is found may be anything; it is compared with names, and nothing else rests on it.

use super::super::memory::Memory;
use super::{Interpreter, offsets::Offsets, walk};

/// Frames of a thread that are looked at; the loop of a listener is the fourth from the outside, and handlers call each
/// other some ten deep.
const DEPTH: usize = 64;
/// What calls a handler for each record (`Lib/logging/handlers.py`, `QueueListener`, 3.2 and later).
const LISTENER: (&str, &str) = ("_monitor", "logging/handlers.py");
/// What waits for something that is put into a queue (`Lib/queue.py`, `Queue`; `SimpleQueue` is written in C).
const GET: (&str, &str) = ("get", "/queue.py");
/// The longest name of a file that is read, bytes.
const LONGEST: u64 = 4096;

/// Where a version keeps frames and what is said of their code: byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// From `PyThreadState.cframe` to its current frame (3.11, 3.12); else the thread's state names the frame itself.
    pub through: Option<u64>,
    /// The frame that called this one.
    pub back: u64,
    /// Its code.
    pub code: u64,
    /// `PyCodeObject.co_name`.
    pub name: u64,
    /// `PyCodeObject.co_filename`.
    pub file: u64,
    /// `sizeof(PyASCIIObject)`: where the text of a string is.
    pub text: u64,
}

impl Frames {
    /// Measured with `offsetof` in the headers of 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0; later ones are like the last.
    pub const fn of(minor: u8) -> Self {
        let (through, back, code) = match minor {
            ..11 => (None, 24, 32),
            11 => (Some(8), 48, 32),
            12 => (Some(0), 8, 0),
            _ => (None, 8, 0),
        };
        let (name, file) = if minor < 11 { (112, 104) } else { (120, 112) };
        Self {
            through,
            back,
            code,
            name,
            file,
            text: if minor < 12 { 48 } else { 40 },
        }
    }
}

/// Whether a thread is seen to wait for a log record in a `queue.Queue`, as a `QueueListener` does nearly all the time.
pub fn listens(memory: &Memory, interpreter: &Interpreter, offsets: &Offsets) -> bool {
    walk::threads(memory, interpreter.runtime, offsets).is_ok_and(|threads| {
        let mut threads = threads.into_iter();
        threads.any(|thread| is_listener(memory, thread, offsets))
    })
}

fn is_listener(memory: &Memory, thread: u64, offsets: &Offsets) -> bool {
    let frames = &offsets.frames;
    let mut frame = memory.word(thread.wrapping_add(offsets.current_frame));
    if let Some(through) = frames.through {
        frame = frame.and_then(|cframe| memory.word(cframe.wrapping_add(through)));
    }
    let mut waits = false;
    for _ in 0..DEPTH {
        let Some(at) = frame.filter(|frame| *frame != 0) else {
            return false;
        };
        // From 3.14 on the lowest bits say whether the frame holds its code.
        let code = memory.word(at.wrapping_add(frames.code));
        let code = code.map(|code| code & !7);
        let is = |wanted| code.is_some_and(|code| is_code(memory, frames, code, wanted));
        waits |= is(GET);
        if is(LISTENER) {
            return waits;
        }
        frame = memory.word(at.wrapping_add(frames.back));
    }
    false
}

/// Whether the code at `code` is called so, in a file whose name ends so.
fn is_code(memory: &Memory, frames: &Frames, code: u64, (name, file): (&str, &str)) -> bool {
    let text = |offset: u64, longest: u64| {
        let string = memory.word(code.wrapping_add(offset))?;
        // `Py_ssize_t length` (`Include/cpython/unicodeobject.h`).
        let len = memory.word(string.wrapping_add(16))?;
        let len = usize::try_from(Some(len).filter(|len| *len <= longest)?).ok()?;
        memory.read(string.wrapping_add(frames.text), len)
    };
    text(frames.name, name.len() as u64).is_some_and(|found| found == name.as_bytes())
        && text(frames.file, LONGEST).is_some_and(|found| found.ends_with(file.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_not_known_are_like_the_last() {
        assert_eq!(Frames::of(15), Frames::of(13));
        assert_ne!(Frames::of(12), Frames::of(13));
        assert_eq!(Frames::of(9), Frames::of(10));
    }
}
