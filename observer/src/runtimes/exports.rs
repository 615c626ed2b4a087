//! What an ELF file exports, and its thread-local storage.

use std::fs::File;

use object::{
    LittleEndian, Object, ObjectSection, ReadCache,
    elf::{PT_TLS, SHN_UNDEF, Sym64},
    pod::slice_from_all_bytes,
    read::elf::{ElfFile64, ProgramHeader as _, Sym as _},
};

use super::tls::Tls;

/// The largest section that is read, bytes.
const LARGEST: u64 = 16 << 20;

/// A file that is read as far as it is looked at.
pub type Elf<'a> = ElfFile64<'a, LittleEndian, &'a ReadCache<File>>;

/// The exported symbols of a file that has thread-local variables.
pub struct Exports<'a> {
    /// Its thread-local storage.
    pub tls: Tls,
    /// The address of its first byte.
    pub first: u64,
    symbols: &'a [Sym64<LittleEndian>],
    names: &'a [u8],
}

impl<'a> Exports<'a> {
    /// Those of `elf`; `None` if it has no thread-local variables, as most have none, or can't be read.
    pub fn of(elf: &Elf<'a>) -> Option<Self> {
        let headers = elf.elf_program_headers();
        let tls = headers
            .iter()
            .find(|header| header.p_type(LittleEndian) == PT_TLS)
            .map(Tls::of)?;
        let first = headers.iter().find(|header| {
            header.p_offset(LittleEndian) == 0 && header.p_filesz(LittleEndian) > 0
        })?;
        Some(Self {
            tls,
            first: first.p_vaddr(LittleEndian),
            symbols: slice_from_all_bytes(section(elf, ".dynsym")?).ok()?,
            names: section(elf, ".dynstr")?,
        })
    }

    /// The number and value of the symbol of this kind (`STT_…`) with this name.
    pub fn find(&self, kind: u8, name: &[u8]) -> Option<(usize, &'a Sym64<LittleEndian>)> {
        self.symbols.iter().enumerate().find(|(_, symbol)| {
            let rest = self.names.get(symbol.st_name(LittleEndian) as usize..);
            symbol.st_type() == kind
                && symbol.st_shndx(LittleEndian) != SHN_UNDEF
                && rest.is_some_and(|r| r.starts_with(name) && r.get(name.len()) == Some(&0))
        })
    }
}

/// The bytes of a section, if it is not too large.
pub fn section<'a>(elf: &Elf<'a>, name: &str) -> Option<&'a [u8]> {
    let section = elf.section_by_name(name)?;
    (section.size() <= LARGEST).then(|| section.data().ok())?
}
