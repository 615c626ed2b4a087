//! What differs between architectures: numbers of system calls and the registers of their arguments.

use observer_abi::control::{CALLS, Registers, call};

/// What the probes do with each system call of this architecture.
const TABLE: &[(libc::c_long, u8)] = &[
    (libc::SYS_read, call::READ),
    (libc::SYS_readv, call::READV),
    (libc::SYS_recvfrom, call::RECVFROM),
    (libc::SYS_recvmsg, call::RECVMSG),
    (libc::SYS_recvmmsg, call::RECVMMSG),
    (libc::SYS_preadv2, call::PREADV2),
    (libc::SYS_write, call::WRITE),
    (libc::SYS_writev, call::WRITEV),
    (libc::SYS_pwrite64, call::PWRITE),
    (libc::SYS_pwritev, call::PWRITEV),
    (libc::SYS_pwritev2, call::PWRITEV2),
    (libc::SYS_sendto, call::SENDTO),
    (libc::SYS_sendmsg, call::SENDMSG),
    (libc::SYS_sendmmsg, call::SENDMMSG),
    (libc::SYS_sendfile, call::SENDFILE),
    (libc::SYS_splice, call::SPLICE),
    (libc::SYS_vmsplice, call::VMSPLICE),
    (libc::SYS_tee, call::TEE),
    (libc::SYS_close, call::CLOSE),
    (libc::SYS_close_range, call::CLOSE_RANGE),
    (libc::SYS_dup3, call::DUP2),
    (libc::SYS_epoll_pwait, call::EVENT_LOOP),
    (libc::SYS_epoll_pwait2, call::EVENT_LOOP),
    (libc::SYS_io_uring_enter, call::RING_ENTER),
    (libc::SYS_io_uring_setup, call::RING_SETUP),
    (libc::SYS_ppoll, call::POLL),
    (libc::SYS_pselect6, call::SELECT),
    (libc::SYS_accept, call::ACCEPT),
    (libc::SYS_accept4, call::ACCEPT),
    (libc::SYS_connect, call::CONNECT),
    (libc::SYS_futex, call::FUTEX),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_dup2, call::DUP2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, call::EVENT_LOOP),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, call::POLL),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, call::SELECT),
];

/// The table of system calls, by number.
#[must_use]
pub fn calls() -> [u8; CALLS] {
    let mut calls = [call::NONE; CALLS];
    for (number, what) in TABLE {
        if let Some(entry) = usize::try_from(*number)
            .ok()
            .and_then(|at| calls.get_mut(at))
        {
            *entry = *what;
        }
    }
    calls
}

/// `struct pt_regs` of x86-64 (`arch/x86/include/asm/ptrace.h`): one block from `r10`, its eighth
/// word, to `cs`, its eighteenth: r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs. A segment
/// selector of 0x33, `__USER_CS`, is 64-bit code.
#[cfg(target_arch = "x86_64")]
pub const REGISTERS: Registers = Registers {
    first_base: 7 * 8,
    first_len: 11 * 8,
    second_base: 0,
    second_len: 0,
    args: [7, 6, 5, 0, 2, 1],
    exit_first: 7,
    number: 8,
    mode: 10,
    mode_mask: 0xffff,
    mode_native: 0x33,
};

/// `struct pt_regs` of arm64 (`arch/arm64/include/asm/ptrace.h`): `regs[0..8]`, then `pstate`,
/// `orig_x0`, `syscallno`. Bit 4 of `pstate`, `PSR_MODE32_BIT`, is 32-bit code.
#[cfg(target_arch = "aarch64")]
pub const REGISTERS: Registers = Registers {
    first_base: 0,
    first_len: 8 * 8,
    second_base: 33 * 8,
    second_len: 3 * 8,
    args: [0, 1, 2, 3, 4, 5],
    exit_first: 9,
    number: 10,
    mode: 8,
    mode_mask: 0x10,
    mode_native: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_table_is_in_reach_of_the_probes() {
        let calls = calls();
        for (number, what) in TABLE {
            let number = usize::try_from(*number).expect("not negative");
            assert_eq!(calls[number], *what, "system call {number}");
        }
    }
}
