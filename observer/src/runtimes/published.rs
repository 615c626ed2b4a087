//! Contexts that threads publish for readers (OTEP 4947): where each thread's pointer to its record lies.
//!
//! The variable `otel_thread_ctx_v1` is in the table of exported symbols of the executable or of a library. What
//! the loader decided about it stands in the slots of its relocations ("Thread-Local Variable Resolution" there).

use object::{
    LittleEndian, ReadCache,
    elf::{R_X86_64_DTPMOD64, R_X86_64_TLSDESC, R_X86_64_TPOFF64, Rela64, STT_TLS},
    pod::slice_from_all_bytes,
    read::elf::Sym as _,
};
use observer_abi::{control::Layout, published as word, runtime};

use super::exports::{Elf, Exports, section};
use super::image::{self, Mapped};
use super::memory::Memory;
use super::tls::Tls;
use crate::facts::Process;

/// The variable.
const NAME: &[u8] = b"otel_thread_ctx_v1";
/// Files of a process that are looked at, at most.
const FILES: usize = 512;
/// Modules that a process has, at most.
const MODULES: u64 = 4096;
/// Offsets of less than this many bytes below the thread pointer are believed.
const STATIC: i64 = 1 << 24;

/// Where the pointers of the threads of `process` lie, if they publish contexts and it is known by now.
pub fn layout(process: &Process) -> Option<Layout> {
    if cfg!(not(target_arch = "x86_64")) {
        return None;
    }
    let exe = process.exe();
    let files = image::mapped(process);
    let mut places = files.iter().take(FILES).filter_map(|mapped| {
        let variable = Variable::find(process, mapped)?;
        if Some(&mapped.path) == exe.as_ref() {
            return Some(Place::fixed(variable.tls.offset(variable.value)));
        }
        variable.resolved(&Memory::of(process).ok()?, mapped.start)
    });
    let place = places.next()?;
    let mut layout = Layout {
        runtime: runtime::PUBLISHED.into(),
        ..Layout::default()
    };
    layout.words[word::MODULE] = place.module;
    layout.words[word::OFFSET] = place.offset;
    Some(layout)
}

/// Where a thread-local variable lies in each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// 0 if the offset is that from the thread pointer.
    module: u64,
    offset: u64,
}

impl Place {
    fn fixed(offset: i64) -> Self {
        Self {
            module: 0,
            offset: offset.cast_unsigned(),
        }
    }
}

/// The variable in a file.
struct Variable {
    value: u64,
    tls: Tls,
    /// Kind and address of the relocations that are about it.
    slots: Vec<(u32, u64)>,
    /// What is subtracted from addresses in the file where its beginning is mapped.
    first: u64,
}

impl Variable {
    fn find(process: &Process, mapped: &Mapped) -> Option<Self> {
        let cache = ReadCache::new(mapped.open(process)?);
        let elf = Elf::parse(&cache).ok()?;
        let exports = Exports::of(&elf)?;
        let (index, symbol) = exports.find(STT_TLS, NAME)?;
        let tables = [".rela.dyn", ".rela.plt"];
        let tables = tables.iter().filter_map(|name| section(&elf, name));
        let slots = tables
            .filter_map(|table| slice_from_all_bytes::<Rela64<LittleEndian>>(table).ok())
            .flatten()
            .filter(|rela| rela.r_sym(LittleEndian, false) as usize == index)
            .map(|rela| {
                (
                    rela.r_type(LittleEndian, false),
                    rela.r_offset.get(LittleEndian),
                )
            })
            .collect();
        Some(Self {
            value: symbol.st_value(LittleEndian),
            tls: exports.tls,
            slots,
            first: exports.first,
        })
    }

    /// What the loader has put into the slots of a library that is mapped at `start`.
    fn resolved(&self, memory: &Memory, start: u64) -> Option<Place> {
        let bias = start.wrapping_sub(self.first);
        self.slots.iter().find_map(|(kind, address)| {
            let slot = address.wrapping_add(bias);
            match *kind {
                R_X86_64_TPOFF64 => fixed(memory.word(slot)?),
                R_X86_64_DTPMOD64 => in_module(memory.word(slot)?, self.value),
                // A function and its argument: the offset, or the address of module and offset.
                R_X86_64_TLSDESC => {
                    let argument = memory.word(slot.wrapping_add(8))?;
                    fixed(argument).or_else(|| {
                        let offset = memory.word(argument.wrapping_add(8))?;
                        in_module(memory.word(argument)?, offset)
                            .filter(|place| place.offset == self.value)
                    })
                }
                _ => None,
            }
        })
    }
}

fn fixed(offset: u64) -> Option<Place> {
    let offset = offset.cast_signed();
    (-STATIC..0).contains(&offset).then(|| Place::fixed(offset))
}

fn in_module(module: u64, offset: u64) -> Option<Place> {
    (1..MODULES)
        .contains(&module)
        .then_some(Place { module, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_modules_out_of_range_are_not_believed() {
        let below = |n: i64| n.cast_unsigned();
        assert_eq!(fixed(below(-8)), Some(Place::fixed(-8)));
        assert_eq!(fixed(0), None);
        assert_eq!(fixed(below(-STATIC - 1)), None);
        assert_eq!(in_module(0, 8), None);
        assert_eq!(in_module(MODULES, 8), None);
    }
}
