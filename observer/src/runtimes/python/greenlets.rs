//! gevent: where the package `greenlet` keeps which greenlet runs on a thread, and where greenlets begin and end.
//!
//! A thread-local variable of its library points to what it knows of the thread (`TThreadState.hpp`): its main greenlet, and
//! the one that runs. The variable has no exported name; it is the only one in the library's block that leads to
//! an object of the exported type `PyGreenlet_Type`, and from there to one of that type or of one that is derived from it.

use object::{
    LittleEndian, ReadCache,
    elf::{R_X86_64_DTPMOD64, Rela64},
    pod::slice_from_all_bytes,
};
use observer_abi::python::OB_TYPE;

use super::super::exports::{Elf, Exports, section};
use super::offsets::Offsets;
use super::{Found, Mapped, TP_DEALLOC, Unavailable, UserProbe, because, entry, walk};

/// Offset of `tp_base` in a `PyTypeObject` (`Include/cpython/object.h`, the same from 3.0 on).
const TP_BASE: u64 = 256;
/// Offset of `tp_init`, likewise.
const TP_INIT: u64 = 296;
/// How many types a greenlet's type is derived from, at most.
const DERIVED: usize = 16;
/// Offset from the thread pointer of the address of the table of thread-local blocks (glibc, `tcbhead_t.dtv`).
const TABLE: u64 = 8;
/// Bytes of an element of that table.
const ELEMENT: u64 = 16;
/// Modules that a process has, at most.
const MODULES: u64 = 4096;
/// Bytes of the library's block that are looked at.
const REACH: u64 = 256;

/// How greenlets are told apart.
pub struct Greenlets {
    /// The library's thread-local block, as glibc numbers them.
    pub module: u64,
    /// Where in it the variable is.
    pub state: u64,
    /// Address of `PyGreenlet_Type`.
    pub kind: u64,
    /// Where greenlets end and begin.
    pub probes: Vec<UserProbe>,
}

impl Found<'_> {
    /// What tells greenlets apart.
    ///
    /// # Errors
    ///
    /// If they can't be told apart (yet).
    pub(super) fn greenlets(&self, offsets: &Offsets) -> Result<Greenlets, Unavailable> {
        let (file, image, kind) = self.module("_greenlet.", "PyGreenlet_Type")?;
        let kind = kind.ok_or_else(|| because("its library does not export their type"))?;
        let (module, size) = self
            .block(file)
            .ok_or_else(|| because("where its library keeps the running one can't be told"))?;
        let state = self
            .state(offsets, module, size, kind)
            .ok_or_else(|| because("none was found where it should run"))?;
        let places = [("greenlet_ended", TP_DEALLOC), ("greenlet_begun", TP_INIT)];
        let probe = |(program, slot): (&'static str, u64)| {
            let address = self.memory.word(kind.wrapping_add(slot))?;
            Some(UserProbe {
                program,
                file: file.file(self.process),
                offset: image.offset(entry::own(&image, address))?,
            })
        };
        let probes: Option<Vec<_>> = places.into_iter().map(probe).collect();
        Ok(Greenlets {
            module,
            state,
            kind,
            probes: probes.ok_or_else(|| because("where they begin and end can't be told"))?,
        })
    }

    /// The number and size of the library's thread-local block: the loader has put the number where the library asks for
    /// its own.
    fn block(&self, file: &Mapped) -> Option<(u64, u64)> {
        let cache = ReadCache::new(file.open(self.process)?);
        let elf = Elf::parse(&cache).ok()?;
        let exports = Exports::of(&elf)?;
        let slots =
            slice_from_all_bytes::<Rela64<LittleEndian>>(section(&elf, ".rela.dyn")?).ok()?;
        let own = slots.iter().find(|slot| {
            slot.r_type(LittleEndian, false) == R_X86_64_DTPMOD64
                && slot.r_sym(LittleEndian, false) == 0
        })?;
        let bias = file.start.wrapping_sub(exports.first);
        let slot = own.r_offset.get(LittleEndian).wrapping_add(bias);
        let module = self.memory.word(slot)?;
        let known = (1..MODULES).contains(&module);
        known.then_some((module, exports.tls.size))
    }

    /// Where in the block the variable is; `None` unless there is one such place.
    fn state(&self, offsets: &Offsets, module: u64, size: u64, kind: u64) -> Option<u64> {
        let threads = walk::threads(self.memory, self.interpreter.runtime, offsets).ok()?;
        let blocks: Vec<u64> = threads
            .iter()
            .filter_map(|thread| {
                let pointer = self.memory.word(thread.wrapping_add(offsets.thread_id))?;
                let table = self.memory.word(pointer.wrapping_add(TABLE))?;
                self.memory.word(table.wrapping_add(module * ELEMENT))
            })
            .collect();
        let leads = |at: &u64| {
            let mut blocks = blocks.iter();
            blocks.any(|block| self.is_state(block.wrapping_add(*at), kind).is_some())
        };
        let mut found = (0..size.min(REACH)).step_by(8).filter(leads);
        let state = found.next()?;
        found.next().is_none().then_some(state)
    }

    /// Whether the variable at `address` leads to a thread's greenlets.
    fn is_state(&self, address: u64, kind: u64) -> Option<()> {
        let state = self.memory.word(address)?;
        let [main, running] = self.memory.words(state)?;
        let typed = self.memory.holds(main.wrapping_add(OB_TYPE), kind);
        let mut of = self.memory.word(running.wrapping_add(OB_TYPE))?;
        for _ in 0..DERIVED {
            if of == kind {
                return typed.then_some(());
            }
            of = self.memory.word(of.wrapping_add(TP_BASE))?;
        }
        None
    }
}
