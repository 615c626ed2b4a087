//! The program that a process runs: its file, where that is mapped, and the process's memory.

use std::{fs::File, os::unix::fs::FileExt, path::PathBuf};

use object::{
    Endianness,
    elf::{FileHeader64, PF_W, PT_LOAD, ProgramHeader64},
    read::{
        ReadCache,
        elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _},
    },
};

use super::bytes::u64_at;
use crate::facts::Process;

/// Tag of the auxiliary vector (`getauxval(3)`): where the program headers are mapped.
const AT_PHDR: u64 = 3;
/// Segments and sections looked at, at most.
const PARTS: usize = 512;

/// A loaded executable.
pub struct Program {
    path: PathBuf,
    file: File,
    memory: File,
    /// Added to addresses in the file to get those in memory; 0 for a program of fixed addresses.
    bias: u64,
    segments: Vec<Segment>,
    sections: Vec<Section>,
}

/// A part of the file that is mapped.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Address by the file.
    address: u64,
    offset: u64,
    /// Bytes that come from the file.
    len: u64,
    writable: bool,
}

/// A named part of the file.
#[derive(Clone, Debug)]
struct Section {
    name: Vec<u8>,
    address: u64,
    len: u64,
}

/// A range of addresses in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
}

impl Program {
    /// Opens the executable and the memory of `process`; `None` if it can't be read or is not a
    /// 64-bit ELF file of this machine's byte order.
    pub fn open(process: &Process) -> Option<Self> {
        let path = process.image();
        let file = File::open(&path).ok()?;
        let memory = File::open(path.with_file_name("mem")).ok()?;
        let data = ReadCache::new(file.try_clone().ok()?);
        let header = FileHeader64::<Endianness>::parse(&data).ok()?;
        let endian = header.endian().ok()?;
        let headers = header.program_headers(endian, &data).ok()?;
        let mapped = u64_after_tag(&process.read("auxv")?, AT_PHDR)?;
        let first = headers.iter().find(|h| h.p_type(endian) == PT_LOAD)?;
        let by_file = header
            .e_phoff
            .get(endian)
            .checked_sub(first.p_offset(endian))?
            .checked_add(first.p_vaddr(endian))?;
        let segments = headers.iter().filter_map(|h| segment(h, endian));
        let segments = segments.take(PARTS).collect();
        let table = header.sections(endian, &data).ok()?;
        let sections = table.iter().take(PARTS).filter_map(|section| {
            Some(Section {
                name: table.section_name(endian, section).ok()?.to_vec(),
                address: section.sh_addr(endian),
                len: section.sh_size(endian),
            })
        });
        let sections = sections.collect();
        Some(Self {
            path,
            file,
            memory,
            bias: mapped.wrapping_sub(by_file),
            segments,
            sections,
        })
    }

    /// The file, to be opened again.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Where the first section of one of these names lies in memory.
    pub fn section(&self, names: &[&str]) -> Option<Range> {
        let named = |section: &&Section| names.iter().any(|n| n.as_bytes() == section.name);
        let section = self.sections.iter().find(named)?;
        Some(Range {
            start: section.address.wrapping_add(self.bias),
            len: section.len,
        })
    }

    /// Ranges of memory that the program may write to and that come from the file.
    pub fn writable(&self) -> impl Iterator<Item = Range> + '_ {
        let writable = self.segments.iter().filter(|s| s.writable);
        writable.map(|s| Range {
            start: s.address.wrapping_add(self.bias),
            len: s.len,
        })
    }

    /// Offset in the file of what is mapped at `address`.
    pub fn offset(&self, address: u64) -> Option<u64> {
        let by_file = address.wrapping_sub(self.bias);
        let holds = |s: &&Segment| by_file.wrapping_sub(s.address) < s.len;
        let segment = self.segments.iter().find(holds)?;
        (by_file - segment.address).checked_add(segment.offset)
    }

    /// What the file holds for a range of memory, at most `limit` bytes. Words that the loader
    /// adjusts are not as in memory.
    pub fn file(&self, range: Range, limit: u64) -> Option<Vec<u8>> {
        let offset = self.offset(range.start)?;
        read(&self.file, offset, range.len, limit)
    }

    /// What memory holds in a range, if that is at most `limit` bytes.
    pub fn memory(&self, range: Range, limit: u64) -> Option<Vec<u8>> {
        read(&self.memory, range.start, range.len, limit)
    }

    /// `N` words of memory.
    pub fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let len = (N * size_of::<u64>()) as u64;
        let range = Range {
            start: address,
            len,
        };
        let bytes = self.memory(range, len)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64_at(bytes, 0)?;
        }
        Some(words)
    }
}

fn segment(header: &ProgramHeader64<Endianness>, endian: Endianness) -> Option<Segment> {
    (header.p_type(endian) == PT_LOAD).then(|| Segment {
        address: header.p_vaddr(endian),
        offset: header.p_offset(endian),
        len: header.p_filesz(endian),
        writable: header.p_flags(endian) & PF_W != 0,
    })
}

fn read(file: &File, offset: u64, len: u64, limit: u64) -> Option<Vec<u8>> {
    if len > limit {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// The value that follows `tag` in an auxiliary vector.
fn u64_after_tag(vector: &[u8], tag: u64) -> Option<u64> {
    let mut pairs = vector.chunks_exact(16);
    let pair = pairs.find(|pair| u64_at(pair, 0) == Some(tag))?;
    u64_at(pair, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Proc;

    #[test]
    fn a_program_is_found_where_it_is_mapped() {
        let process = Proc::default().process(std::process::id());
        let program = Program::open(&process).expect("this program");
        let own = a_program_is_found_where_it_is_mapped as *const () as u64;
        let range = Range {
            start: own,
            len: 16,
        };
        let code = program.memory(range, 16).expect("mapped");
        assert_eq!(program.file(range, 16), Some(code));
        assert_eq!(program.file(range, 15), None, "more than is allowed");
        assert!(program.section(&[".nothing", ".text"]).is_some());
        assert!(program.section(&[".nothing"]).is_none());
        assert_eq!(program.offset(u64::MAX), None);
    }

    #[test]
    fn a_tag_is_looked_for_at_whole_pairs() {
        let vector: Vec<u8> = [3, 7, 6, 3, 3, 9]
            .iter()
            .flat_map(|word: &u64| word.to_ne_bytes())
            .collect();
        assert_eq!(u64_after_tag(&vector, 3), Some(7));
        assert_eq!(u64_after_tag(&vector, 7), None);
        assert_eq!(u64_after_tag(&vector[..12], 3), None);
    }
}
