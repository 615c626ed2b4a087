//! Where the structures of each version of CPython keep what is read.

use super::super::{Unavailable, memory::Memory};
use super::{because, frames::Frames};

/// A minor version: 3.`minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// As `PY_VERSION_HEX` says it: major, minor, micro, level and serial, from the highest byte down.
    pub fn from_hex(hex: u32) -> Self {
        let [major, minor, ..] = hex.to_be_bytes();
        Self { major, minor }
    }

    /// As the names of libraries, executables and folders say it: `libpython3.9.so.1.0`.
    pub fn from_path(path: &str) -> Option<Self> {
        path.match_indices("python3.").find_map(|(at, name)| {
            let digits = &path[at + name.len()..];
            let end = digits.find(|c: char| !c.is_ascii_digit());
            let minor = digits[..end.unwrap_or(digits.len())].parse().ok()?;
            Some(Self { major: 3, minor })
        })
    }

    /// Whether `threading` runs every thread in a context of its own: from 3.14 on.
    pub fn has_thread_contexts(self) -> bool {
        self >= Self {
            major: 3,
            minor: 14,
        }
    }
}

/// Byte offsets of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `_PyRuntime.interpreters.main`.
    pub interpreter: u64,
    /// `PyInterpreterState.threads.head`, before 3.11 `tstate_head`.
    pub threads: u64,
    /// `PyThreadState.next`.
    pub next: u64,
    /// `PyThreadState.thread_id`.
    pub thread_id: u64,
    /// `PyThreadState.context`.
    pub context: u64,
    /// `PyThreadState.current_frame`; before 3.13 `cframe`, before 3.11 `frame`.
    pub current_frame: u64,
    /// What hangs from that.
    pub frames: Frames,
}

/// Measured with `offsetof` in the headers of 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0, 3.14.10 and 3.15.2,
/// built for x86-64 with a global lock. From 3.13 on, the interpreter tells all but the last by itself.
const TABLE: [(u8, Offsets); 7] = [
    (9, offsets(9, 40, 8, 176, 240, 24)),
    (10, offsets(10, 40, 8, 176, 240, 24)),
    (11, offsets(11, 48, 16, 152, 224, 56)),
    (12, offsets(12, 48, 72, 136, 208, 56)),
    (13, offsets(13, 640, 7344, 152, 208, 72)),
    // The last is as told.
    (14, offsets(14, 816, 7344, 152, 208, 72)),
    (15, offsets(15, 944, 7336, 176, 232, 72)),
];

const fn offsets(
    minor: u8,
    interpreter: u64,
    threads: u64,
    thread_id: u64,
    context: u64,
    current_frame: u64,
) -> Offsets {
    Offsets {
        interpreter,
        threads,
        next: 8,
        thread_id,
        context,
        current_frame,
        frames: Frames::of(minor),
    }
}

impl Offsets {
    /// Those of `version`, whose `_PyRuntime` is at `runtime`.
    pub fn of(version: Version, memory: &Memory, runtime: u64) -> Result<Self, Unavailable> {
        let Version { major, minor } = version;
        let known = TABLE.iter().find(|(m, _)| major == 3 && *m == minor);
        let Some((_, known)) = known else {
            return Err(Unavailable(format!(
                "Python {major}.{minor} is not known: 3.9 to 3.15 are"
            )));
        };
        if minor < 13 {
            return Ok(*known);
        }
        let told = Told::read(minor, memory, runtime)
            .ok_or_else(|| because("the interpreter does not tell its layout (yet)"))?;
        if told.free_threaded {
            return Err(because(
                "Python without a global lock (free-threaded) is not supported",
            ));
        }
        Ok(told.offsets(known))
    }
}

/// What `_Py_DebugOffsets` says, which `_PyRuntime` begins with from 3.13 on
/// (`Include/internal/pycore_debug_offsets.h`; in 3.13 `pycore_runtime.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    free_threaded: bool,
    head: u64,
    threads: u64,
    next: u64,
    thread_id: u64,
    current_frame: u64,
}

/// Words of `_Py_DebugOffsets` up to all that is read of it.
const WORDS: usize = 32;

impl Told {
    fn read(minor: u8, memory: &Memory, runtime: u64) -> Option<Self> {
        let bytes: [u8; WORDS * 8] = memory.bytes(runtime)?;
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        Self::parse(minor, &words)
    }

    fn parse(minor: u8, words: &[u64; WORDS]) -> Option<Self> {
        // cookie, version, free_threaded; runtime_state: size, finalizing, interpreters_head;
        // interpreter_state: size, id, next, threads_head, …; thread_state: size, prev, next, …
        let (thread_state, thread_id) = match minor {
            13 => (19, 5),
            14 => (22, 5),
            _ => (22, 8),
        };
        if words[0] != u64::from_ne_bytes(*b"xdebugpy") {
            return None;
        }
        Some(Self {
            free_threaded: words[2] != 0,
            head: words[5],
            threads: words[9],
            next: words[thread_state + 2],
            thread_id: words[thread_state + thread_id],
            current_frame: words[thread_state + 4],
        })
    }

    fn offsets(&self, known: &Offsets) -> Offsets {
        // A build with other options shifts what follows the thread's identity alike.
        let context = known.context - known.thread_id;
        Offsets {
            // `main` follows `head` in `struct pyinterpreters`.
            interpreter: self.head.wrapping_add(8),
            threads: self.threads,
            next: self.next,
            thread_id: self.thread_id,
            context: self.thread_id.wrapping_add(context),
            current_frame: self.current_frame,
            frames: known.frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_numbers_and_names() {
        let version = |major, minor| Version { major, minor };
        assert_eq!(Version::from_hex(0x030e_0af0), version(3, 14));
        let path = |path| Version::from_path(path);
        assert_eq!(path("/usr/lib/libpython3.9.so.1.0"), Some(version(3, 9)));
        assert_eq!(path("/python3.x/bin/python3.10"), Some(version(3, 10)));
        assert_eq!(path("/usr/bin/python3"), None);
        assert_eq!(path("/opt/python3.999/x"), None);
    }

    #[test]
    fn the_table_agrees_with_what_interpreters_tell() {
        for (minor, thread_state, thread_id) in [(13, 19, 5), (14, 22, 5), (15, 22, 8)] {
            let (_, known) = TABLE.iter().find(|(m, _)| *m == minor).expect("known");
            let mut words = [0; WORDS];
            words[0] = u64::from_ne_bytes(*b"xdebugpy");
            words[5] = known.interpreter - 8;
            words[9] = known.threads;
            words[thread_state + 2] = known.next;
            words[thread_state + 4] = known.current_frame;
            words[thread_state + thread_id] = known.thread_id;
            let told = Told::parse(minor, &words).expect("told");
            assert!(!told.free_threaded);
            assert_eq!(told.offsets(known), *known);
            words[0] = 0;
            assert_eq!(Told::parse(minor, &words), None);
        }
    }
}
