//! Where the kernel keeps the registers to which Go's calling convention assigns something
//! (`src/cmd/compile/abi-internal.md`): offsets in `struct pt_regs`, bytes.

/// R14: the running goroutine (`arch/x86/include/asm/ptrace.h`: r15, r14, r13, r12, bp, bx, …).
#[cfg(target_arch = "x86_64")]
pub const G: u64 = 8;
/// The stack pointer.
#[cfg(target_arch = "x86_64")]
pub const SP: u64 = 19 * 8;
/// RBP: the frame pointer.
#[cfg(target_arch = "x86_64")]
pub const FRAME: u64 = 4 * 8;
/// The first three arguments: AX, BX, CX.
#[cfg(target_arch = "x86_64")]
pub const ARGUMENTS: [u64; 3] = [10 * 8, 5 * 8, 11 * 8];

/// R28: the running goroutine (`arch/arm64/include/uapi/asm/ptrace.h`: regs[31], sp, …).
#[cfg(target_arch = "aarch64")]
pub const G: u64 = 28 * 8;
/// The stack pointer.
#[cfg(target_arch = "aarch64")]
pub const SP: u64 = 31 * 8;
/// R29: the frame pointer.
#[cfg(target_arch = "aarch64")]
pub const FRAME: u64 = 29 * 8;
/// The first three arguments: R0, R1, R2.
#[cfg(target_arch = "aarch64")]
pub const ARGUMENTS: [u64; 3] = [0, 8, 16];
