//! Where `_queue.SimpleQueue` is put into and taken from: `ThreadPoolExecutor` gives its work to its threads so.
//!
//! The functions are `static`, so that no symbol names them. They stand in the table of the type's methods,
//! which the module needs at run time: entries of a name, a function, flags and a documentation (`PyMethodDef`,
//! `Include/methodobject.h`), in the same order from 3.7 to 3.15 (`Modules/_queuemodule.c`, `simplequeue_methods`).

use super::super::{image::Image, memory::Memory};

/// Bytes of an entry of the table.
const ENTRY: u64 = 32;
/// The entry of `get_nowait` and its neighbours.
const NAMES: [(&[u8], i64); 4] = [
    (b"get\0", -1),
    (b"get_nowait\0", 0),
    (b"put\0", 1),
    (b"put_nowait\0", 2),
];
/// `METH_FASTCALL | METH_KEYWORDS`: called with the object, an array of arguments, and their number.
const FASTCALL: u32 = 0x82;

/// The functions that put something into a queue and take it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions {
    /// `get` and `get_nowait`.
    pub takes: [u64; 2],
    /// `put`.
    pub gives: u64,
}

/// Finds them in the module that a process has mapped as `image`; `None` if they are not there, or called
/// in another way than is known.
pub fn find(image: &Image, memory: &Memory) -> Option<Functions> {
    let tables = image.writable().filter_map(|(start, len)| {
        let bytes = memory.read(start, usize::try_from(len).ok()?)?;
        Some((start, bytes))
    });
    for (start, bytes) in tables {
        for (at, word) in (start..).step_by(8).zip(bytes.chunks_exact(8)) {
            let name = u64::from_ne_bytes(word.try_into().ok()?);
            // Most words point nowhere near.
            if image.offset(name).is_some()
                && let Some(found) = table(image, memory, at)
            {
                return Some(found);
            }
        }
    }
    None
}

/// The functions, if the entry at `at` is that of `get_nowait`.
fn table(image: &Image, memory: &Memory, at: u64) -> Option<Functions> {
    let entry = |step: i64| at.wrapping_add_signed(step * ENTRY as i64);
    let named = |(name, step): &(&[u8], i64)| {
        let address = memory.word(entry(*step))?;
        Some(memory.read(address, name.len())? == *name)
    };
    // First the name that hardly anything else has.
    if named(&NAMES[1]) != Some(true) || !NAMES.iter().all(|name| named(name) == Some(true)) {
        return None;
    }
    let function = |step: i64| {
        let address = memory.word(entry(step).wrapping_add(8))?;
        image.offset(address).map(|_| address)
    };
    let flags: [u8; 4] = memory.bytes(entry(1).wrapping_add(16))?;
    (u32::from_ne_bytes(flags) == FASTCALL).then_some(())?;
    Some(Functions {
        takes: [function(0)?, function(-1)?],
        gives: function(1)?,
    })
}
