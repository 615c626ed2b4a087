//! The parts of an executable that concern tokio: its symbols, its thread-local storage, its code.

use std::{
    fs::{File, OpenOptions},
    ops::Range,
    os::unix::fs::{FileExt, OpenOptionsExt},
};

use memchr::memmem::Finder;
use object::{
    LittleEndian, Object, ObjectSection, ObjectSegment, ReadCache,
    elf::{PT_TLS, STT_FUNC, STT_OBJECT, STT_TLS, Sym64},
    pod::slice_from_all_bytes,
    read::elf::{ElfFile64, ProgramHeader as _, Sym as _},
};

use crate::facts::Process;
use crate::runtimes::{image, tls::Tls};

/// The largest section that is read, bytes: programs of a million functions have smaller tables of names.
const LARGEST_TABLE: u64 = 64 << 20;
/// The longest function that is looked at, bytes.
const LONGEST: u64 = 64 << 10;
/// What paths of tokio's source files have in common, which its messages name.
const SOURCE: &str = "/tokio-1.";

/// An executable's tables.
pub struct Program {
    file: File,
    /// Address, offset in the file and length of each.
    segments: Vec<(u64, u64, u64)>,
    tls: Option<Tls>,
    symbols: Vec<Symbol>,
    /// Whether it has no table of symbols, or one that is too large to be read.
    pub stripped: bool,
    /// Whether a stripped program has messages of tokio's.
    pub mentions_tokio: bool,
}

/// A symbol whose name speaks of tokio.
struct Symbol {
    name: String,
    kind: u8,
    value: u64,
    size: u64,
}

/// The code of one function.
pub struct Function {
    /// Where it begins, as the file counts.
    pub address: u64,
    /// Its instructions.
    pub code: Vec<u8>,
}

impl Program {
    /// That of `process`; `None` if it can't be read.
    pub fn open(process: &Process) -> Option<Self> {
        // Not blocking: what lies there may have been replaced by a pipe meanwhile.
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(libc::O_NONBLOCK);
            options.open(process.image()).ok()
        };
        let cache = ReadCache::new(open()?);
        let elf: ElfFile64<'_, LittleEndian, _> = ElfFile64::parse(&cache).ok()?;
        let segments = elf
            .segments()
            .map(|s| (s.address(), s.file_range().0, s.file_range().1))
            .collect();
        let mut headers = elf.elf_program_headers().iter();
        let tls = headers
            .find(|header| header.p_type(LittleEndian) == PT_TLS)
            .map(Tls::of);
        let section = |name| {
            let section = elf.section_by_name(name)?;
            (section.size() <= LARGEST_TABLE).then(|| section.data().ok())?
        };
        let tables = section(".symtab").zip(section(".strtab"));
        let mentions = || Finder::new(SOURCE).find(section(".rodata")?);
        Some(Self {
            symbols: tables.map_or_else(Vec::new, |(table, names)| of_tokio(table, names)),
            stripped: tables.is_none(),
            mentions_tokio: tables.is_none() && mentions().is_some(),
            file: open()?,
            segments,
            tls,
        })
    }

    /// What is added to the file's addresses where `process` has it mapped.
    pub fn bias(&self, process: &Process) -> Option<u64> {
        let exe = process.exe()?;
        let mapped = image::mapped(process).into_iter().find(|m| m.path == exe)?;
        let (address, ..) = self.segments.iter().find(|(_, offset, _)| *offset == 0)?;
        Some(mapped.start.wrapping_sub(*address))
    }

    /// The only thread-local variable whose name says so; where it lies, as counted from the thread pointer.
    pub fn variable(&self, name: &str) -> Result<Option<Range<i64>>, &'static str> {
        let Some(symbol) = self.only(name, STT_TLS)? else {
            return Ok(None);
        };
        let tls = self.tls.ok_or("it has no thread-local storage")?;
        let end = symbol.value.checked_add(symbol.size);
        if end.is_none_or(|end| end > tls.size) {
            return Err("its thread-local storage is damaged");
        }
        let start = tls.offset(symbol.value);
        let end = start.checked_add_unsigned(symbol.size);
        Ok(end.map(|end| start..end))
    }

    /// The address, as the file counts, of the only variable whose name says so.
    pub fn address(&self, name: &str) -> Result<Option<u64>, &'static str> {
        let found = self.only(name, STT_OBJECT)?;
        Ok(found.map(|symbol| symbol.value))
    }

    fn only(&self, name: &str, kind: u8) -> Result<Option<&Symbol>, &'static str> {
        let mut found = self
            .symbols
            .iter()
            .filter(|s| s.kind == kind && s.name.contains(name));
        let first = found.next();
        match found.next() {
            Some(_) => Err("two versions of tokio are linked into it"),
            None => Ok(first),
        }
    }

    /// The functions whose names have all these parts.
    pub fn functions<'a>(&'a self, parts: &'a [&str]) -> impl Iterator<Item = Function> + 'a {
        let named = |s: &&Symbol| s.kind == STT_FUNC && parts.iter().all(|p| s.name.contains(p));
        self.symbols
            .iter()
            .filter(named)
            .filter_map(|symbol| self.function(symbol))
    }

    fn function(&self, symbol: &Symbol) -> Option<Function> {
        let mut code = vec![0; usize::try_from(symbol.size.min(LONGEST)).ok()?];
        let offset = self.offset(symbol.value)?;
        self.file.read_exact_at(&mut code, offset).ok()?;
        Some(Function {
            address: symbol.value,
            code,
        })
    }

    /// Where the file holds what it calls `address`.
    pub fn offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|(start, offset, len)| {
            let into = address.checked_sub(*start)?;
            (into < *len).then(|| offset.wrapping_add(into))
        })
    }
}

/// The symbols of a table that have tokio in their names.
fn of_tokio(table: &[u8], names: &[u8]) -> Vec<Symbol> {
    let tokio = Finder::new("tokio");
    let symbols = slice_from_all_bytes::<Sym64<LittleEndian>>(table).unwrap_or_default();
    let named = symbols.iter().filter_map(|symbol| {
        if !matches!(symbol.st_type(), STT_TLS | STT_FUNC | STT_OBJECT) {
            return None;
        }
        let name = names.get(symbol.st_name(LittleEndian) as usize..)?;
        let name = &name[..memchr::memchr(0, name)?];
        tokio.find(name)?;
        Some(Symbol {
            name: String::from_utf8_lossy(name).into_owned(),
            kind: symbol.st_type(),
            value: symbol.st_value(LittleEndian),
            size: symbol.st_size(LittleEndian),
        })
    });
    named.collect()
}
