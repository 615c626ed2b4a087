//! Where a probe at a function's beginning is put.
//!
//! The kernel carries out a `push` itself that a probe has replaced (`arch/x86/kernel/uprobes.c`,
//! `push_setup_xol_ops`). Most other instructions it steps over with a second trap, which took 11 µs where it was
//! measured, ten times the rest. So a `push` is looked for.

use super::super::image::Image;

/// Bytes of a function that are looked at.
#[cfg(target_arch = "x86_64")]
const LOOK: usize = 128;

/// The place of the cheapest probe that sees the function at `address` begin, or what it continues as, with
/// its arguments and its return address where they were.
pub fn of(image: &Image, address: u64) -> u64 {
    let (own, cheap) = first(image, address);
    if cheap {
        return own;
    }
    let next = continuation(image, address).map(|next| first(image, next));
    next.filter(|(_, cheap)| *cheap).map_or(own, |(at, _)| at)
}

/// The place of a probe that sees the function at `address` begin, and nothing else: what it continues as may be what
/// others call as well.
pub fn own(image: &Image, address: u64) -> u64 {
    first(image, address).0
}

/// The first instruction that does something, and whether it is a `push`.
#[cfg(target_arch = "x86_64")]
fn first(image: &Image, address: u64) -> (u64, bool) {
    use iced_x86::Code;
    let found = instructions(image, address).find(|i| i.code() != Code::Endbr64);
    found.map_or((address, false), |i| {
        let push = matches!(i.code(), Code::Push_r64);
        (i.ip(), push)
    })
}

/// The function that this one jumps to at its end: the first jump that leaves it. What link-time
/// optimisation leaves of `PyContext_CopyCurrent` has its result made there.
#[cfg(target_arch = "x86_64")]
fn continuation(image: &Image, address: u64) -> Option<u64> {
    use iced_x86::Code;
    let inside = address..address + LOOK as u64;
    let mut jumps = instructions(image, address)
        .take_while(|i| !i.is_invalid() && !matches!(i.code(), Code::Retnq | Code::Int3))
        .filter(|i| i.code() == Code::Jmp_rel32_64);
    let target = jumps.next()?.near_branch_target();
    (!inside.contains(&target)).then_some(target)
}

#[cfg(target_arch = "x86_64")]
fn instructions(image: &Image, address: u64) -> impl Iterator<Item = iced_x86::Instruction> {
    use iced_x86::{Decoder, DecoderOptions, Instruction};
    let code: Vec<u8> = image
        .bytes::<LOOK>(address)
        .map_or_else(Vec::new, Vec::from);
    let decoder = Decoder::with_ip(64, &code, address, DecoderOptions::NONE);
    decoder
        .into_iter()
        .collect::<Vec<Instruction>>()
        .into_iter()
}

#[cfg(not(target_arch = "x86_64"))]
fn first(_image: &Image, address: u64) -> (u64, bool) {
    (address, true)
}

#[cfg(not(target_arch = "x86_64"))]
fn continuation(_image: &Image, _address: u64) -> Option<u64> {
    None
}
