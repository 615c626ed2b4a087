//! Executables and libraries that a process has mapped: where their symbols lie, in its memory and in
//! their file.

use std::{
    fs::{self, File, OpenOptions},
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

use object::{
    LittleEndian, Object, ObjectSection, ObjectSegment, ReadCache, ReadRef, SegmentFlags,
    elf::{FileHeader64, PF_W, SHN_UNDEF, Sym64},
    read::elf::{ElfFile, Sym as _},
};
use procfs::process::MMapPath;

use crate::facts::Process;

/// Bytes of a file that are read at once, at most: tables of symbols are far smaller.
const LARGEST_READ: u64 = 16 << 20;

/// A file that a process has mapped from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its path as the process sees it.
    pub path: String,
    /// Where its beginning lies in the process's memory.
    pub start: u64,
    end: u64,
    inode: u64,
}

impl Mapped {
    /// Its file name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Where its file is found from here: in the process's own file system while it is the same file
    /// there, else as the kernel remembers it.
    #[must_use]
    pub fn file(&self, process: &Process) -> PathBuf {
        let seen = process.path("root").join(self.path.trim_start_matches('/'));
        match fs::metadata(&seen) {
            Ok(found) if found.ino() == self.inode => seen,
            _ => process.path(&format!("map_files/{:x}-{:x}", self.start, self.end)),
        }
    }

    /// Its file, opened to be read.
    #[must_use]
    pub fn open(&self, process: &Process) -> Option<File> {
        // Not blocking: what lies there may have been replaced by a pipe meanwhile.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        options.open(self.file(process)).ok()
    }
}

/// The files that `process` has mapped from their beginning; none if it is gone.
#[must_use]
pub fn mapped(process: &Process) -> Vec<Mapped> {
    let maps = procfs::process::Process::new_with_root(process.path("")).and_then(|p| p.maps());
    let Ok(maps) = maps else {
        return Vec::new();
    };
    maps.into_iter()
        .filter(|map| map.offset == 0)
        .filter_map(|map| {
            let MMapPath::Path(path) = map.pathname else {
                return None;
            };
            Some(Mapped {
                path: path.to_string_lossy().into_owned(),
                start: map.address.0,
                end: map.address.1,
                inode: map.inode,
            })
        })
        .collect()
}

/// Why an image can't be read, in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The file can't be opened.
    #[error("its file can't be opened")]
    NoFile,
    /// It is no executable of this machine, or a damaged one.
    #[error("its file is damaged or no executable of this machine")]
    Malformed,
}

/// A mapped file, read.
#[derive(Debug)]
pub struct Image {
    file: File,
    /// What is added to the file's addresses where it is mapped.
    bias: u64,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    len: u64,
    writable: bool,
}

impl Image {
    /// Reads a mapped file, and the addresses in memory of symbols that it exports, `None` for
    /// those that it lacks.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn read<const N: usize>(
        process: &Process,
        mapped: &Mapped,
        names: [&str; N],
    ) -> Result<(Self, [Option<u64>; N]), ImageError> {
        let file = mapped.open(process).ok_or(ImageError::NoFile)?;
        let cache = ReadCache::new(file);
        let (bias, segments, found) =
            parse(&cache, mapped.start, names).ok_or(ImageError::Malformed)?;
        let file = cache.into_inner();
        Ok((
            Self {
                file,
                bias,
                segments,
            },
            found,
        ))
    }

    /// The bytes that the file has for `address`, as many as `N`: without the probes that memory
    /// has there. `None` if it has not as many.
    #[must_use]
    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let offset = self.offset(address)?;
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Where the parts of it lie in memory that the loader or the program may write, and how many bytes of
    /// each the file holds.
    pub fn writable(&self) -> impl Iterator<Item = (u64, u64)> {
        let writable = self.segments.iter().filter(|segment| segment.writable);
        writable.map(|segment| (segment.address.wrapping_add(self.bias), segment.len))
    }

    /// Where `bytes` are in what the file has for memory that nobody writes.
    #[must_use]
    pub fn places(&self, bytes: &[u8]) -> Vec<u64> {
        let finder = memchr::memmem::Finder::new(bytes);
        let mut places = Vec::new();
        for segment in self.segments.iter().filter(|segment| !segment.writable) {
            let len = segment.len.min(LARGEST_READ);
            let mut held = vec![0; usize::try_from(len).unwrap_or_default()];
            if self.file.read_exact_at(&mut held, segment.offset).is_err() {
                continue;
            }
            let start = segment.address.wrapping_add(self.bias);
            places.extend(
                finder
                    .find_iter(&held)
                    .map(|at| start.wrapping_add(at as u64)),
            );
        }
        places
    }

    /// Where the file holds what is in memory at `address`; `None` if it does not.
    #[must_use]
    pub fn offset(&self, address: u64) -> Option<u64> {
        let address = address.wrapping_sub(self.bias);
        self.segments.iter().find_map(|segment| {
            let into = address.checked_sub(segment.address)?;
            (into < segment.len).then(|| segment.offset.wrapping_add(into))
        })
    }
}

/// Bias, segments and addresses of symbols.
type Parsed<const N: usize> = (u64, Vec<Segment>, [Option<u64>; N]);

fn parse<const N: usize>(
    cache: &ReadCache<File>,
    start: u64,
    names: [&str; N],
) -> Option<Parsed<N>> {
    let elf = Elf::parse(Bounded(cache)).ok()?;
    let segments = elf.segments().map(|segment| {
        let (offset, len) = segment.file_range();
        let address = segment.address();
        Segment {
            address,
            offset,
            len,
            writable: matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_W != 0),
        }
    });
    let segments: Vec<Segment> = segments.collect();
    let first = segments.iter().find(|segment| segment.offset == 0)?;
    let bias = start.wrapping_sub(first.address);
    let found = values(&elf, names)?.map(|value| Some(bias.wrapping_add(value?)));
    Some((bias, segments, found))
}

type Elf<'a> = ElfFile<'a, FileHeader64<LittleEndian>, Bounded<'a>>;

/// The values of exported symbols.
fn values<const N: usize>(elf: &Elf<'_>, names: [&str; N]) -> Option<[Option<u64>; N]> {
    let table = elf.section_by_name(".dynsym")?.data().ok()?;
    let text = elf.section_by_name(".dynstr")?.data().ok()?;
    let count = table.len() / size_of::<Sym64<LittleEndian>>();
    let (symbols, _) = object::slice_from_bytes::<Sym64<LittleEndian>>(table, count).ok()?;
    let mut found = [None; N];
    for symbol in symbols {
        if symbol.st_shndx(LittleEndian) == SHN_UNDEF {
            continue;
        }
        let Some(rest) = text.get(symbol.st_name(LittleEndian) as usize..) else {
            continue;
        };
        for (name, found) in names.iter().zip(&mut found) {
            let name = name.as_bytes();
            if rest.starts_with(name) && rest.get(name.len()) == Some(&0) {
                *found = Some(symbol.st_value(LittleEndian));
            }
        }
    }
    Some(found)
}

/// A file of which only so much is read at once, whatever it says of itself.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a ReadCache<File>);

impl<'a> ReadRef<'a> for Bounded<'a> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size > LARGEST_READ {
            return Err(());
        }
        self.0.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.0.read_bytes_at_until(range, delimiter)
    }
}
