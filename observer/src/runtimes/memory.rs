//! The memory of a process, read from outside.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::facts::Process;

/// The memory of a process. What is read there was written by it: nothing but bytes.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// That of `process`.
    ///
    /// # Errors
    ///
    /// If it is gone, or may not be looked into.
    pub fn of(process: &Process) -> io::Result<Self> {
        File::open(process.path("mem")).map(Self)
    }

    /// The bytes at an address, as many as `N`; `None` if not all of them can be read.
    #[must_use]
    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    /// `len` bytes at an address, of at most 16 MiB; `None` if not all of them can be read.
    #[must_use]
    pub fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        const MOST: usize = 16 << 20;
        let mut bytes = vec![0; Some(len).filter(|len| *len <= MOST)?];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    /// The word at an address.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_ne_bytes)
    }

    /// The words at an address, as many as `N`; `None` if not all of them can be read.
    #[must_use]
    pub fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let bytes = self.read(address, N * 8)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        Some(words)
    }

    /// Whether the word at `address` is known to be `value`.
    #[must_use]
    pub fn holds(&self, address: u64, value: u64) -> bool {
        self.word(address) == Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Proc;

    #[test]
    fn what_is_not_mapped_is_not_read() {
        let memory = Memory::of(&Proc::default().process(std::process::id())).expect("own");
        let value = 0x1234_5678_9abc_def0_u64;
        assert!(memory.holds(std::ptr::from_ref(&value) as u64, value));
        assert_eq!(memory.word(0), None);
        assert_eq!(memory.word(u64::MAX - 3), None);
    }
}
