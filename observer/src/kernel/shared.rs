//! Memory of a map that the probes and this process both see.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::CaptureError;

/// The elements of an array map that was created to be mapped (`BPF_F_MMAPABLE`, Linux 5.5), or the positions of a ring.
pub struct Shared {
    start: NonNull<u8>,
    len: usize,
    /// The array.
    #[expect(dead_code, reason = "kept open")]
    map: Option<MapData>,
}

// SAFETY: the memory is reached through atomics only.
unsafe impl Send for Shared {}

impl Shared {
    /// Maps all elements, `size` bytes each, of the array `name`.
    pub fn of(object: &mut Ebpf, name: &'static str, size: usize) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::Map { name, source };
        let Some(Map::Array(map)) = object.take_map(name) else {
            return Err(failed(io::ErrorKind::NotFound.into()));
        };
        let count = map
            .info()
            .map_err(|error| failed(io::Error::other(error)))?;
        let count = count.max_entries() as usize;
        // Elements are as far apart as their size rounded up to eight bytes.
        let len = count * size.next_multiple_of(8);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let start = mapped(map.fd().as_fd(), len, access).map_err(failed)?;
        Ok(Self {
            start,
            len: whole_pages(len),
            map: Some(map),
        })
    }

    /// Maps how far a ring's reader and its writers are, to be read alone: two pages, each of which begins with a position
    /// (`kernel/bpf/ringbuf.c`: `struct bpf_ringbuf`). The mapping keeps the ring alive.
    pub fn positions(ring: BorrowedFd<'_>) -> io::Result<Self> {
        let len = 2 * rustix::param::page_size();
        Ok(Self {
            start: mapped(ring, len, ProtFlags::READ)?,
            len,
            map: None,
        })
    }

    /// The byte at `offset`; `None` beyond the end.
    pub fn byte(&self, offset: usize) -> Option<&AtomicU8> {
        let at = self.at::<AtomicU8>(offset)?;
        // SAFETY: inside the mapping, which lives as long as `self`; both sides access it as a whole.
        Some(unsafe { at.as_ref() })
    }

    /// The 32-bit word at `offset`; `None` beyond the end or off its alignment.
    pub fn word(&self, offset: usize) -> Option<&AtomicU32> {
        let at = self.at::<AtomicU32>(offset)?;
        // SAFETY: as in `byte`.
        Some(unsafe { at.as_ref() })
    }

    /// The 64-bit word at `offset`; `None` beyond the end or off its alignment.
    pub fn long(&self, offset: usize) -> Option<&AtomicU64> {
        let at = self.at::<AtomicU64>(offset)?;
        // SAFETY: as in `byte`.
        Some(unsafe { at.as_ref() })
    }

    fn at<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let inside = offset.checked_add(size_of::<T>())? <= self.len;
        // SAFETY: inside the mapping.
        (inside && offset.is_multiple_of(align_of::<T>()))
            .then(|| unsafe { self.start.add(offset) }.cast())
    }
}

fn whole_pages(len: usize) -> usize {
    len.next_multiple_of(rustix::param::page_size())
}

/// Maps the first `len` bytes of a map.
fn mapped(map: BorrowedFd<'_>, len: usize, access: ProtFlags) -> io::Result<NonNull<u8>> {
    let len = whole_pages(len);
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, map, 0) }?;
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::Other.into())
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`; no reference outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}
