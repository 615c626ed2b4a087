//! Functions and code of an executable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem::Finder;
use object::elf::{STT_FUNC, Sym64};
use object::pod::slice_from_all_bytes;
use object::read::ReadCache;
use object::read::elf::{ElfFile64, Sym};
use object::{Endianness, Object, ObjectSection, ObjectSegment, SegmentFlags};

/// `PF_X`: the segment is executed.
const EXECUTED: u32 = 1;
/// Bytes of code that are searched at once.
const BLOCK: usize = 1 << 20;
/// The longest function that is looked at, bytes.
const LONGEST: u64 = 16 * 1024;
/// How the mangled names of what is in namespace `node` begin.
const PREFIX: &[u8] = b"_ZN4node";
/// Matches of a search that are told, at most.
const MATCHES: usize = 4096;

/// An executable whose functions are looked at.
pub struct Image {
    file: File,
    /// Address, offset in the file and length of what is executed.
    segments: Vec<Segment>,
    /// Functions with names, by address.
    functions: Vec<Symbol>,
}

#[derive(Clone, Copy)]
struct Segment {
    address: u64,
    offset: u64,
    len: u64,
}

struct Symbol {
    address: u64,
    len: u64,
    /// The name of those that may be asked for.
    name: String,
}

/// The code of one function.
pub struct Function {
    /// Where it begins.
    pub address: u64,
    /// Its instructions.
    pub code: Vec<u8>,
}

impl Image {
    /// Reads the table of exported functions of the file at `path`.
    ///
    /// # Errors
    ///
    /// If it can't be read as a program, in words for people.
    pub fn open(path: &Path) -> Result<Self, String> {
        let open = || File::open(path).map_err(|e| format!("its program can't be read: {e}"));
        let cache = ReadCache::new(open()?);
        let elf: ElfFile64<'_, Endianness, _> =
            ElfFile64::parse(&cache).map_err(|e| format!("its program is no ELF file: {e}"))?;
        let segments = elf.segments().filter_map(|segment| {
            let SegmentFlags::Elf { p_flags } = segment.flags() else {
                return None;
            };
            let (offset, len) = segment.file_range();
            (p_flags & EXECUTED != 0).then(|| Segment {
                address: segment.address(),
                offset,
                len,
            })
        });
        let segments = segments.collect();
        // Read at once: there are a hundred thousand, and each name by itself would be a read.
        let section = |name| elf.section_by_name(name).and_then(|s| s.data().ok());
        let table = section(".dynsym").unwrap_or_default();
        let names = section(".dynstr").unwrap_or_default();
        let symbols = slice_from_all_bytes::<Sym64<Endianness>>(table).unwrap_or_default();
        let symbols = symbols
            .iter()
            .filter_map(|s| symbol(s, elf.endian(), names));
        let mut functions: Vec<Symbol> = symbols.collect();
        functions.sort_unstable_by_key(|function| function.address);
        Ok(Self {
            file: open()?,
            segments,
            functions,
        })
    }

    /// The exported function with this (mangled) name.
    pub fn function(&self, name: &str) -> Option<Function> {
        self.code(self.functions.iter().find(|f| f.name == name)?)
    }

    /// The exported function that holds the instruction at `address`.
    pub fn function_at(&self, address: u64) -> Option<Function> {
        let after = self.functions.partition_point(|f| f.address <= address);
        let function = self.functions[..after].iter().rev();
        let mut function = function.take_while(|f| address - f.address < LONGEST);
        self.code(function.find(|f| address - f.address < f.len)?)
    }

    fn code(&self, symbol: &Symbol) -> Option<Function> {
        let len = usize::try_from(symbol.len.min(LONGEST)).ok()?;
        let mut code = vec![0; len];
        self.file
            .read_exact_at(&mut code, self.offset(symbol.address)?)
            .ok()?;
        Some(Function {
            address: symbol.address,
            code,
        })
    }

    /// The bytes at `address`.
    pub fn bytes(&self, address: u64) -> Option<[u8; 4]> {
        let mut bytes = [0; 4];
        self.file
            .read_exact_at(&mut bytes, self.offset(address)?)
            .ok()?;
        Some(bytes)
    }

    /// Where the instruction at `address` lies in the file.
    pub fn offset(&self, address: u64) -> Option<u64> {
        let segment = self
            .segments
            .iter()
            .find(|s| address.wrapping_sub(s.address) < s.len)?;
        Some(segment.offset + (address - segment.address))
    }

    /// Addresses in executed code at which `bytes` stand.
    pub fn executed(&self, bytes: &[u8]) -> Vec<u64> {
        let finder = Finder::new(bytes);
        let mut found = Vec::new();
        for segment in &self.segments {
            self.search(*segment, &finder, &mut found);
        }
        found.truncate(MATCHES);
        found
    }

    fn search(&self, segment: Segment, finder: &Finder<'_>, found: &mut Vec<u64>) {
        let overlap = finder.needle().len().saturating_sub(1);
        let mut block = vec![0; BLOCK + overlap];
        let mut at = 0;
        while at < segment.len {
            let len = block
                .len()
                .min(usize::try_from(segment.len - at).unwrap_or(usize::MAX));
            if self
                .file
                .read_exact_at(&mut block[..len], segment.offset + at)
                .is_err()
            {
                return;
            }
            let starts = finder.find_iter(&block[..len]);
            let inside = starts.filter(|start| *start < BLOCK);
            found.extend(inside.map(|start| segment.address + at + start as u64));
            at += BLOCK as u64;
        }
    }
}

/// A function of Node itself that is defined in the file.
fn symbol(symbol: &Sym64<Endianness>, endian: Endianness, names: &[u8]) -> Option<Symbol> {
    let name = names.get(symbol.st_name(endian) as usize..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let ours = name.starts_with(PREFIX) && symbol.st_type() == STT_FUNC;
    (ours && symbol.st_value(endian) != 0).then(|| Symbol {
        address: symbol.st_value(endian),
        len: symbol.st_size(endian),
        name: String::from_utf8_lossy(name).into_owned(),
    })
}
