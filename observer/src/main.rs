//! The program; see the library.

use std::ffi::{c_int, c_long};

/// The pipeline takes and gives back small pieces all the time: with the allocator of the C library that is a
/// fifth of its work (docs/journal/cost.md).
#[global_allocator]
static ALLOCATOR: observer::allocator::Allocator = observer::allocator::Allocator;

/// `mi_option_purge_delay`: for how long memory that is free is kept, milliseconds.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    /// Of mimalloc (`mimalloc.h`), which ignores options that it does not know.
    fn mi_option_set(option: c_int, value: c_long);
}

fn main() -> std::process::ExitCode {
    // Two or three ticks: longer, and what is read at the start, such as the kernel's types, stays resident beside
    // what is taken next; shorter, and what one tick gives back is given to the kernel before the next one takes it.
    // SAFETY: takes two numbers, and there is no other thread yet.
    unsafe { mi_option_set(PURGE_DELAY, 50) };
    observer::main()
}
