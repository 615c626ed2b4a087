//! Thread-local storage of executables, as x86-64 lays it out.

use object::{LittleEndian, elf::ProgramHeader64, read::elf::ProgramHeader as _};

/// A file's image of thread-local storage, and what that takes.
#[derive(Clone, Copy, Debug)]
pub struct Tls {
    address: u64,
    /// Bytes.
    pub size: u64,
    align: u64,
}

impl Tls {
    /// What a header of type `PT_TLS` says.
    pub fn of(header: &ProgramHeader64<LittleEndian>) -> Self {
        let align = header.p_align(LittleEndian);
        Self {
            address: header.p_vaddr(LittleEndian),
            size: header.p_memsz(LittleEndian),
            align: if align.is_power_of_two() { align } else { 1 },
        }
    }

    /// Where in an executable's block the byte at `value` lies, as counted from the thread pointer, which is the
    /// block's end, aligned (ELF handling for thread-local storage, variant II).
    pub fn offset(&self, value: u64) -> i64 {
        let end = self.address.wrapping_add(self.size);
        let padding = end.wrapping_neg() & (self.align - 1);
        value
            .wrapping_sub(self.size)
            .wrapping_sub(padding)
            .cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_locals_lie_below_the_thread_pointer() {
        let tls = |address, size, align| Tls {
            address,
            size,
            align,
        };
        // What compilers made of it: `fs:-0x1e8` for the word at 0x28 + 0x30, `fs:-0x340` for that at 0x78 + 0x28.
        assert_eq!(tls(0x12a_b8d0, 0x240, 8).offset(0x58), -0x1e8);
        assert_eq!(tls(0x141_5ad0, 0x3e0, 8).offset(0xa0), -0x340);
        // An end that is not aligned.
        assert_eq!(tls(0x1000, 0x3c, 0x20).offset(0), -0x40);
    }
}
