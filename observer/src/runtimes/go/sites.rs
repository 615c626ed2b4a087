//! Instructions at which probes are put.
//!
//! The kernel can carry out calls, jumps and pushes of probed instructions itself; others it has
//! to step over, with a second trap (`arch/x86/kernel/uprobes.c`: `branch_setup_xol_ops`,
//! `push_setup_xol_ops`). So these are looked for.

use super::program::Range;

/// The longest function that is decoded, bytes.
pub const CODE_LIMIT: u64 = 1 << 20;

/// Address of the call of the function at `callee` in `code`, which lies at `range`.
pub fn call(code: &[u8], range: Range, callee: u64) -> Option<u64> {
    let all = calls(code, range);
    let mut found = all.iter().filter(|call| call.callee == callee);
    let call = found.next()?.at;
    // Several would be told several times.
    found.next().is_none().then_some(call)
}

/// A call of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Address of the instruction.
    pub at: u64,
    /// Address of the function.
    pub callee: u64,
}

/// Calls in `code`, which lies at `range`, in the order of their addresses.
#[cfg(target_arch = "x86_64")]
pub fn calls(code: &[u8], range: Range) -> Vec<Call> {
    use iced_x86::Code;
    instructions(code, range)
        .filter(|i| i.code() == Code::Call_rel32_64)
        .map(|i| Call {
            at: i.ip(),
            callee: i.near_branch_target(),
        })
        .collect()
}

/// Address of an instruction that is reached once per call of a function, before any register of
/// its arguments changes: where it has made sure of its stack, else its first one.
#[cfg(target_arch = "x86_64")]
pub fn entry(code: &[u8], range: Range) -> u64 {
    use iced_x86::Code;
    // `cmp rsp, [r14+16]; jbe …; push rbp`, with a `lea r12, …` before if much stack is needed.
    let start: Vec<_> = instructions(code, range).take(4).collect();
    let checked = start
        .windows(2)
        .find(|pair| matches!(pair[0].code(), Code::Jbe_rel8_64 | Code::Jbe_rel32_64));
    match checked {
        Some([branch, push]) if push.code() == Code::Push_r64 => push.ip(),
        Some([branch, _]) => branch.ip(),
        _ => range.start,
    }
}

#[cfg(target_arch = "x86_64")]
fn instructions(code: &[u8], range: Range) -> impl Iterator<Item = iced_x86::Instruction> + '_ {
    use iced_x86::{Decoder, DecoderOptions};
    let mut decoder = Decoder::with_ip(64, code, range.start, DecoderOptions::NONE);
    std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
}

/// Calls in `code`, which lies at `range`, in the order of their addresses.
#[cfg(target_arch = "aarch64")]
pub fn calls(code: &[u8], range: Range) -> Vec<Call> {
    // `BL`: six bits, then the distance in instructions, signed.
    let target = |at: u64, word: u32| {
        (word >> 26 == 0b10_0101)
            .then(|| at.wrapping_add_signed(i64::from((word << 6) as i32 >> 4)))
    };
    let words = code.chunks_exact(4).zip((range.start..).step_by(4));
    let calls = words.filter_map(|(bytes, at)| {
        let callee = target(at, super::bytes::u32_at(bytes, 0)?)?;
        Some(Call { at, callee })
    });
    calls.collect()
}

/// Address of the first instruction of a function: reached again when its stack had to grow.
#[cfg(target_arch = "aarch64")]
pub fn entry(_code: &[u8], range: Range) -> u64 {
    range.start
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(code: &[u8]) -> Range {
        Range {
            start: 0x1000,
            len: code.len() as u64,
        }
    }

    /// `xor edi, edi; call +callee`.
    fn calls(callee: u64, times: usize) -> Vec<u8> {
        let mut code = Vec::new();
        for _ in 0..times {
            let after = 0x1000 + code.len() as u64 + 7;
            let distance = i32::try_from(callee as i64 - after as i64).expect("near");
            code.extend([0x31, 0xff, 0xe8]);
            code.extend(distance.to_le_bytes());
        }
        code
    }

    #[test]
    fn a_call_is_found_if_it_is_the_only_one() {
        let code = calls(0x9000, 1);
        assert_eq!(call(&code, range(&code), 0x9000), Some(0x1002));
        assert_eq!(call(&code, range(&code), 0x9001), None);
        let code = calls(0x9000, 2);
        assert_eq!(call(&code, range(&code), 0x9000), None);
    }

    #[test]
    fn bytes_inside_an_instruction_are_no_call() {
        // `mov rax, imm64`, whose constant holds a call.
        let mut code = vec![0x48, 0xb8, 0xe8];
        code.extend((0x9000_i32 - 0x1007).to_le_bytes());
        code.extend([0; 3]);
        assert_eq!(call(&code, range(&code), 0x9000), None);
    }

    #[test]
    fn an_entry_is_behind_the_check_of_the_stack() {
        // Since Go 1.21: lea r12, [rsp-0x1a8]; cmp r12, [r14+0x10]; jbe; push rbp.
        let pushes = [
            0x4c, 0x8d, 0xa4, 0x24, 0x58, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86,
            0x68, 0x0e, 0x00, 0x00, 0x55, 0x48, 0x89, 0xe5,
        ];
        assert_eq!(entry(&pushes, range(&pushes)), 0x1012);
        // Before: cmp rsp, [r14+0x10]; jbe; sub rsp, 0x40.
        let branches = [0x49, 0x3b, 0x66, 0x10, 0x76, 0x53, 0x48, 0x83, 0xec, 0x40];
        assert_eq!(entry(&branches, range(&branches)), 0x1004);
        // A function that needs no stack.
        let none = [0x31, 0xc0, 0xc3];
        assert_eq!(entry(&none, range(&none)), 0x1000);
        assert_eq!(entry(&[], range(&[])), 0x1000);
    }

    proptest! {
        #[test]
        fn any_code_is_survived(code: Vec<u8>, start: u64) {
            let range = Range { start, len: code.len() as u64 };
            call(&code, range, 0x9000);
            entry(&code, range);
        }
    }
}
