//! Instructions at which probes are put.
//!
//! The kernel can carry out calls, jumps and pushes of probed instructions itself; others it has
//! to step over, with a second trap (`arch/x86/kernel/uprobes.c`: `branch_setup_xol_ops`,
//! `push_setup_xol_ops`). So these are looked for.

use super::program::Range;

/// The longest function that is decoded, bytes.
pub const CODE_LIMIT: u64 = 1 << 20;

/// Address of the call of the function at `callee` in `code`, which lies at `range`.
#[cfg(target_arch = "x86_64")]
pub fn call(code: &[u8], range: Range, callee: u64) -> Option<u64> {
    use iced_x86::Code;
    let mut found = instructions(code, range)
        .filter(|i| i.code() == Code::Call_rel32_64 && i.near_branch_target() == callee);
    let call = found.next()?.ip();
    // Several would be told several times.
    found.next().is_none().then_some(call)
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

/// Address of the call of the function at `callee` in `code`, which lies at `range`.
#[cfg(target_arch = "aarch64")]
pub fn call(code: &[u8], range: Range, callee: u64) -> Option<u64> {
    // `BL`: six bits, then the distance in instructions, signed.
    let target = |at: u64, word: u32| {
        (word >> 26 == 0b10_0101)
            .then(|| at.wrapping_add_signed(i64::from((word << 6) as i32 >> 4)))
    };
    let words = code.chunks_exact(4).zip((range.start..).step_by(4));
    let mut found = words.filter_map(|(bytes, at)| {
        let word = super::bytes::u32_at(bytes, 0)?;
        (target(at, word) == Some(callee)).then_some(at)
    });
    let call = found.next()?;
    found.next().is_none().then_some(call)
}

/// Address of the first instruction of a function: reached again when its stack had to grow.
#[cfg(target_arch = "aarch64")]
pub fn entry(_code: &[u8], range: Range) -> u64 {
    range.start
}
