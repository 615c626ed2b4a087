//! Which compiler made an executable, from the names of its ELF sections and a few of its bytes.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Compilers that are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// Go's own.
    Go,
    /// rustc.
    Rust,
}

/// Sections read at most: more than linkers make of a program.
const SECTIONS: usize = 512;
/// Bytes of section names and of `.comment` read at most.
const TEXT: usize = 16 * 1024;

/// The compiler of the executable at `path`, where it left its name.
pub(super) fn toolchain(path: &Path) -> Option<Toolchain> {
    let file = File::open(path).ok()?;
    let sections = sections(&file)?;
    // Both survive stripping: the Go linker allocates them.
    if sections
        .iter()
        .any(|s| s.name == b".go.buildinfo" || s.name == b".note.go.buildid")
    {
        return Some(Toolchain::Go);
    }
    let comment = sections.iter().find(|s| s.name == b".comment")?;
    let text = bytes_at(&file, comment.offset, comment.size)?;
    text.windows(5)
        .any(|w| w == b"rustc")
        .then_some(Toolchain::Rust)
}

struct Section {
    name: Vec<u8>,
    offset: u64,
    size: u64,
}

/// Section header of a 64-bit ELF file: `Elf64_Shdr`, 64 bytes.
const HEADER: usize = 64;

/// Sections of a 64-bit ELF file in this machine's byte order; another one is no process here.
fn sections(mut file: &File) -> Option<Vec<Section>> {
    let mut head = [0; HEADER];
    file.read_exact(&mut head).ok()?;
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if head[..4] != *b"\x7fELF" || head[4] != 2 || head[5] != order {
        return None;
    }
    let table = u64_at(&head, 0x28)?;
    let entry = usize::from(u16_at(&head, 0x3a)?);
    let count = usize::from(u16_at(&head, 0x3c)?).min(SECTIONS);
    let names = usize::from(u16_at(&head, 0x3e)?);
    if entry != HEADER {
        return None;
    }
    let headers = bytes_at(file, table, (count * HEADER) as u64)?;
    let header = |index: usize| headers.get(index * HEADER..(index + 1) * HEADER);
    let names = header(names)?;
    let names = bytes_at(file, u64_at(names, 0x18)?, u64_at(names, 0x20)?)?;
    (0..count)
        .map(|index| {
            let header = header(index)?;
            let name = names.get(u32_at(header, 0)? as usize..)?;
            let end = name.iter().position(|b| *b == 0)?;
            Some(Section {
                name: name[..end].to_vec(),
                offset: u64_at(header, 0x18)?,
                size: u64_at(header, 0x20)?,
            })
        })
        .collect()
}

fn bytes_at(file: &File, offset: u64, size: u64) -> Option<Vec<u8>> {
    let limit = TEXT.max(SECTIONS * HEADER);
    let mut bytes = vec![0; usize::try_from(size).ok()?.min(limit)];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
