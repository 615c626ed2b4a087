//! Fields of records, read one by one.

use super::DecodeError;

/// Reads fields at fixed offsets of a structure of `N` bytes.
pub(super) struct Fields<'a, const N: usize>(&'a [u8; N]);

/// Where a field of a record lies.
macro_rules! offset {
    ($record:ty, $field:ident) => {
        std::mem::offset_of!($record, $field)
    };
}

impl<'a, const N: usize> Fields<'a, N> {
    pub fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let cut = DecodeError::Truncated {
            have: bytes.len(),
            need: N,
        };
        bytes.first_chunk().map(Self).ok_or(cut)
    }

    #[inline]
    pub fn array<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.0[at..at + M]);
        out
    }

    #[inline]
    pub fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    #[inline]
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    #[inline]
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    #[inline]
    pub fn i32(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.array(at))
    }

    #[inline]
    pub fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }
}

pub(super) use offset;
