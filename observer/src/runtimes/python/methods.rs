//! Where the functions of types that are written in C are: of static functions, which no symbol names.
//!
//! They stand in the table of the type's methods, which the interpreter needs at run time: entries of a name, a function, flags and a
//! documentation (`PyMethodDef`, `Include/methodobject.h`), the same from 3.0 to 3.15. An entry of zeros ends it.

use super::super::{image::Image, memory::Memory};

/// Bytes of an entry of the table.
const ENTRY: u64 = 32;
/// Entries to each side of the one by which a table is found, at most.
const REACH: i64 = 64;

/// `int ml_flags`, in a word with its padding.
const FLAGS: u64 = 0xffff_ffff;

/// How a method is called (`Include/methodobject.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `METH_NOARGS`: with the object alone.
    NoArguments = 4,
    /// `METH_O`: with the object and an argument.
    One = 8,
    /// `METH_FASTCALL | METH_KEYWORDS`: with the object, an array of arguments, and their number.
    Fast = 0x82,
    /// In whatever way: nothing is read of its arguments.
    Any = 0,
}

/// The functions of the methods `wanted`, names and calls, in the one table of `image`, which a process has mapped, that has them all; `None` if there is none.
/// The name of the first is one that hardly any other type has for a method.
pub fn find<const N: usize>(
    image: &Image,
    memory: &Memory,
    wanted: [(&str, Call); N],
) -> Option<[u64; N]> {
    let named = image.places(&[wanted.first()?.0.as_bytes(), b"\0"].concat());
    image.writable().find_map(|(start, len)| {
        let bytes = memory.read(start, usize::try_from(len).ok()?)?;
        let (words, _) = bytes.as_chunks();
        (start..).step_by(8).zip(words).find_map(|(at, word)| {
            let is_key = named.contains(&u64::from_ne_bytes(*word));
            is_key.then(|| functions(image, memory, at, &wanted))?
        })
    })
}

/// The functions in the table that has its first one's entry at `at`.
fn functions<const N: usize>(
    image: &Image,
    memory: &Memory,
    at: u64,
    wanted: &[(&str, Call); N],
) -> Option<[u64; N]> {
    let mut found = [None; N];
    let back = (0..REACH).map(|step| -step);
    for steps in [
        &mut back.into_iter() as &mut dyn Iterator<Item = i64>,
        &mut (1..REACH),
    ] {
        for step in steps {
            let entry = at.wrapping_add_signed(step * ENTRY as i64);
            let Some([name, function, flags, _]) = memory.words::<4>(entry) else {
                break;
            };
            if image.offset(name).is_none() || image.offset(function).is_none() {
                break;
            }
            for ((wanted, call), found) in wanted.iter().zip(&mut found) {
                let called = *call == Call::Any || flags & FLAGS == *call as u64;
                if called && is_called(memory, name, wanted) {
                    *found = Some(function);
                }
            }
        }
    }
    let mut all = [0; N];
    for (all, found) in all.iter_mut().zip(found) {
        *all = found?;
    }
    Some(all)
}

/// Whether the string at `address` is `name`.
fn is_called(memory: &Memory, address: u64, name: &str) -> bool {
    let bytes = memory.read(address, name.len() + 1);
    bytes.is_some_and(|bytes| bytes.strip_suffix(b"\0") == Some(name.as_bytes()))
}
