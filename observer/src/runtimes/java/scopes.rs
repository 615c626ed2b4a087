//! Where compiled code keeps the variables of a method, as HotSpot describes it to its collectors and debuggers
//! (`src/hotspot/share/code/{pcDesc,debugInfo,debugInfoRec,scopeDesc,location}.hpp`): a table of places in the code, and for each
//! a scope, which names the method, the place in its bytecode, the variables, and the scope into which it was inlined.
//!
//! All of it was written by the process: every number is checked before it is followed.

use observer_abi::heap::frame;

/// Bytes of a `PcDesc`: four numbers of 32 bits.
pub(super) const PC_DESC: usize = 16;

/// Scopes that are inlined into each other, at most.
const MAX_INLINED: usize = 64;

/// `ScopeValue` kinds (`debugInfo.cpp`).
const LOCATION: u32 = 0;
const CONSTANT_INT: u32 = 1;
const CONSTANT_OOP: u32 = 2;

/// `Location`: the kind of a value in its lower four bits, then whether it is in a register, then which, or the
/// offset in units of four bytes.
const OOP: u32 = 2;
const KIND: u32 = 0xf;
const IN_REGISTER: u32 = 0x10;
const OFFSET_SHIFT: u32 = 5;
/// Number of `rbp`, the one register that what is called saves (`x86_64.ad`: two numbers for each register, `rax, rcx, rdx, rbx,
/// rsp, rbp, …`).
const RBP: u32 = 10;

/// Where a frame keeps an object: an offset from its stack pointer, or [`frame::SAVED`].
pub(super) type Slot = u64;

/// A place in compiled code to which a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Its offset in the code, bytes.
    pub(super) at: u32,
    /// Where variables 1 to 3 are kept, if the outermost method is at the place in its bytecode that was asked for, and all three are objects
    /// on the stack.
    pub(super) variables: Option<[Slot; 3]>,
}

/// The calls in a table of `PcDesc`s, whose scopes are in `scopes`, of code of at most `size` bytes with frames of `bytes` bytes; with the variables where
/// the outermost method is at `bci`. What does not fit together is left out.
pub(super) fn calls(table: &[u8], scopes: &[u8], size: u32, bytes: u64, bci: u32) -> Vec<Call> {
    // Each outermost scope begins with a zero, which the newer encoding writes as a one and has no zeros at all.
    let excluded = u8::from(!scopes.contains(&0));
    let (descriptions, _) = table.as_chunks::<PC_DESC>();
    let read = |description: &[u8; PC_DESC]| {
        let (words, _) = description.as_chunks::<4>();
        let at = u32::from_ne_bytes(words[0]);
        let scope = u32::from_ne_bytes(words[1]);
        // The first one and the last one are there to end searches.
        if scope == 0 || at == 0 || at > size {
            return None;
        }
        let stream = |at| Stream {
            bytes: scopes,
            at,
            excluded,
        };
        let outermost = outermost(stream, scope)?;
        let variables = (outermost.bci == Some(bci))
            .then(|| variables(stream(outermost.variables?), bytes))
            .flatten();
        Some(Call { at, variables })
    };
    descriptions.iter().filter_map(read).collect()
}

/// What is read of a scope.
struct Scope {
    /// The place in the method's bytecode; `None` before its beginning.
    bci: Option<u32>,
    /// Where the variables are described, if they are.
    variables: Option<usize>,
}

/// The scope into which the one at `at`, and all those between, were inlined.
fn outermost<'a>(stream: impl Fn(usize) -> Stream<'a>, at: u32) -> Option<Scope> {
    let mut at = at;
    for _ in 0..MAX_INLINED {
        let mut scope = stream(at as usize);
        let into = scope.number()?;
        let _method = scope.number()?;
        let bci = scope.number()?.checked_sub(1);
        let variables = scope.number()?;
        if into == 0 {
            let variables = (variables != 0).then_some(variables as usize);
            return Some(Scope { bci, variables });
        }
        // A scope is written after the one into which it was inlined.
        if into >= at {
            return None;
        }
        at = into;
    }
    None
}

/// Where the variables 1 to 3 are kept in a frame of `bytes` bytes.
fn variables(mut stream: Stream<'_>, bytes: u64) -> Option<[Slot; 3]> {
    if stream.number()? < 4 {
        return None;
    }
    stream.skip()?;
    let mut slot = || stream.slot(bytes);
    let slots = [slot()?, slot()?, slot()?];
    let distinct = slots[0] != slots[1] && slots[1] != slots[2] && slots[0] != slots[2];
    distinct.then_some(slots)
}

/// Numbers that are written one after the other, small ones in fewer bytes (`UNSIGNED5`, `compressedStream.hpp`).
pub(super) struct Stream<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Bytes that are not written, from 0 on: none until Java 19, one from Java 20 on.
    pub(super) excluded: u8,
}

impl Stream<'_> {
    pub(super) fn number(&mut self) -> Option<u32> {
        /// Higher ones are followed by another byte.
        const HIGH: u32 = 64;
        let excluded = u32::from(self.excluded);
        let mut sum = 0_u32;
        for digit in 0..5 {
            let byte = u32::from(*self.bytes.get(self.at)?);
            self.at += 1;
            let value = byte.checked_sub(excluded)?;
            sum = sum.wrapping_add(value << (6 * digit));
            if byte < 256 - HIGH {
                break;
            }
        }
        Some(sum)
    }

    /// Passes over a value.
    fn skip(&mut self) -> Option<()> {
        match self.number()? {
            LOCATION | CONSTANT_INT | CONSTANT_OOP => self.number().map(drop),
            _ => None,
        }
    }

    /// Where an object is kept in a frame of `bytes` bytes.
    fn slot(&mut self, bytes: u64) -> Option<Slot> {
        if self.number()? != LOCATION {
            return None;
        }
        let location = self.number()?;
        let place = location >> OFFSET_SHIFT;
        match (location & KIND, location & IN_REGISTER) {
            (OOP, 0) => {
                let offset = u64::from(place) * 4;
                (offset.is_multiple_of(8) && offset < bytes).then_some(offset)
            }
            (OOP, _) if place == RBP => Some(frame::SAVED),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
