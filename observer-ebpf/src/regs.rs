//! The registers of a thread in a system call.

use core::mem::MaybeUninit;

use observer_abi::control::REGISTER_WORDS;

use crate::{config::register, mem};

/// A copy of the registers that system calls use. It stays where it was made: each move would be another
/// copy on a stack of 512 bytes.
pub struct Regs(MaybeUninit<[u64; REGISTER_WORDS]>);

impl Regs {
    /// Room for a copy.
    #[inline(always)]
    pub fn room() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// Copies them from the `struct pt_regs` at `address`; `None` in 32-bit code, whose calls are
    /// numbered and passed differently.
    #[inline(always)]
    pub fn read(&mut self, address: u64) -> Option<&Self> {
        let to: *mut u8 = self.0.as_mut_ptr().cast();
        let (first, second) = (register!(first_len), register!(second_len));
        let first_at = address + u64::from(register!(first_base));
        let second_at = address + u64::from(register!(second_base));
        if first as usize + second as usize > REGISTER_WORDS * 8 {
            return None;
        }
        // SAFETY: both blocks together fit, as just checked.
        unsafe {
            if !mem::kernel_bytes(to, first, first_at) {
                return None;
            }
            if second > 0 && !mem::kernel_bytes(to.add(first as usize), second, second_at) {
                return None;
            }
        }
        let mode = self.word(register!(mode)) as u32 & register!(mode_mask);
        (mode == register!(mode_native)).then_some(self)
    }

    /// Argument 0 to 5 of the call that begins.
    #[inline(always)]
    pub fn arg(&self, index: usize) -> u64 {
        self.word(register!(args[index]))
    }

    /// The first argument of the call that returns; the others stay where they were.
    #[inline(always)]
    pub fn exit_first(&self) -> u64 {
        self.word(register!(exit_first))
    }

    /// The number of the call.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        u64::from(self.word(register!(number)) as u32)
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u64 {
        let words: *const u64 = self.0.as_ptr().cast();
        // SAFETY: in bounds by the remainder, and among the words copied: the verifier knows their
        // numbers and refuses a program that uses others.
        unsafe { words.add(index as usize % REGISTER_WORDS).read() }
    }
}
