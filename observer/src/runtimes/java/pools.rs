//! `ThreadPoolExecutor.runWorker` in the memory of a process: what it is compiled to, and when that changes.
//!
//! It loops for as long as its thread lives, so it is compiled while it runs: after about 60 000 tasks, a second time after
//! 40 000 more, and again whenever what was assumed proves wrong. That there is another version is seen by the
//! method, and by its class's list of versions that were entered in a loop; the versions themselves are read by [`versions`](super::versions).

use super::super::Unavailable;
use super::super::memory::Memory;
use super::classes::Classes;
use super::versions::Machine;
use super::{described, number, short, unlike};
use crate::facts::Process;
use crate::kernel::Calls;

/// Methods of a class that are looked at.
const MAX_METHODS: u32 = 1_024;

/// The class.
const CLASS: &str = "java/util/concurrent/ThreadPoolExecutor";

/// The method, in the memory of a process.
#[derive(Debug)]
pub struct Pools {
    memory: Memory,
    machine: Machine,
    method: Method,
    /// Where its code, and its class's list, are named.
    signs: [u64; 2],
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// Its address.
    pub(super) at: u64,
    /// The place in its bytecode at which it calls a task.
    pub(super) bci: u32,
}

impl Pools {
    /// Finds the method in `process`.
    ///
    /// # Errors
    ///
    /// Why it can't be read, or is not there (yet).
    pub fn of(process: &Process) -> Result<Self, Unavailable> {
        let memory = Memory::of(process)
            .map_err(|error| Unavailable(format!("its memory can't be read: {error}")))?;
        described(process, |structs, memory| {
            let (machine, methods) = Machine::of(structs).ok_or_else(unlike)?;
            let classes = Classes::of(structs).ok_or_else(unlike)?;
            let class = classes.find(memory, CLASS).ok_or_else(unlike)?;
            let method = methods.method(memory, class).ok_or_else(unlike)?;
            let signs = [
                method.at.wrapping_add(methods.code),
                class.wrapping_add(methods.versions),
            ];
            Ok((machine, method, signs))
        })
        .map(|(machine, method, signs)| Self {
            memory,
            machine,
            method,
            signs,
        })
    }

    /// What changes when there is another version.
    #[must_use]
    pub fn signs(&self) -> Option<[u64; 2]> {
        let [code, list] = self.signs;
        Some([self.memory.word(code)?, self.memory.word(list)?])
    }

    /// The calls of all versions.
    #[must_use]
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::new();
        let versions = self.machine.versions(&self.memory, self.method.at);
        for version in versions {
            let _ = self
                .machine
                .read(&self.memory, version, self.method, &mut calls);
        }
        calls
    }
}

/// Offsets by which a class's methods are found.
pub(super) struct Methods {
    pub(super) methods: u64,
    /// Of an array of methods.
    pub(super) data: u64,
    pub(super) constant: u64,
    pub(super) code_size: u64,
    pub(super) code: u64,
    pub(super) versions: u64,
}

impl Methods {
    /// The method of the class.
    fn method(&self, memory: &Memory, class: u64) -> Option<Method> {
        let methods = memory.word(class.checked_add(self.methods)?)?;
        // The length is the array's first field.
        let count = number(memory, methods)?.min(MAX_METHODS);
        let first = methods.checked_add(self.data)?;
        let found = (0..u64::from(count)).filter_map(|index| {
            let method = memory.word(first.checked_add(8 * index)?)?;
            let constant = memory.word(method.checked_add(self.constant)?)?;
            let size = short(memory, constant.checked_add(self.code_size)?)?;
            let bytes = memory.read(constant, HEADER + usize::from(size))?;
            let bci = call_of_task(&bytes, size.into())?;
            Some(Method { at: method, bci })
        });
        let mut found = found.fuse();
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }
}

/// Bytes before which a method's bytecode begins, counted from the beginning of its `ConstMethod`.
const HEADER: usize = 0x60;

/// The place of the call of the task in the bytecode of `runWorker`, as it lies in a `ConstMethod` that begins with `bytes`, `size` bytes long; `None`
/// in another method.
///
/// Its beginning says what variables 2 and 3 are, and the place where 3 is called without arguments is the only one:
/// `invokestatic currentThread; astore_2; aload_1; getfield firstTask; astore_3`, `aload_3; invokeinterface run`.
fn call_of_task(bytes: &[u8], size: usize) -> Option<u32> {
    let begins =
        |code: &[u8]| matches!(code, [0xb8, _, _, 0x4d, 0x2b, _, _, _, 0x4e, ..]).then_some(());
    let at = (0..HEADER).step_by(8);
    let code = at
        .filter_map(|at| bytes.get(at..at + size))
        .find(|code| begins(code).is_some())?;
    let calls = |window: &[u8]| matches!(window, [0x2d, 0xb9, _, _, 1, 0]);
    let mut found = code.windows(6).enumerate().filter(|(_, w)| calls(w));
    let (at, _) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests;
