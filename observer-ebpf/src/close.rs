//! Descriptors that are closed.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use observer_abi::{Close, control::call, kind};

use crate::{
    file::OpenFile,
    maps::{ANNOUNCED, FILES},
    ring,
};

/// Looks at a call that closes a descriptor of the current process: `first` is that of `close`, and
/// `second` the one that `dup2` replaces.
#[inline(always)]
pub fn run(call: u8, first: i32, second: i32) {
    let fd = match call {
        call::DUP2 if first == second || OpenFile::of(first).is_none() => return,
        call::DUP2 => second,
        _ => first,
    };
    let Some(file) = OpenFile::of(fd) else {
        return;
    };
    let Some(state) = file.known() else {
        return;
    };
    let last = file.last_reference();
    if state.bits.get() & ANNOUNCED != 0 {
        send(state.id, fd, last);
    }
    if last {
        // Gone already if another thread was faster.
        let _ = FILES.remove(file.address);
    }
}

#[inline(always)]
fn send(file: u64, fd: i32, last: bool) {
    let Some(mut entry) = ring::reserve::<Close>() else {
        return;
    };
    let len = size_of::<Close>() as u32;
    entry.write(Close {
        header: ring::header(kind::CLOSE, len, bpf_get_current_pid_tgid(), ring::now()),
        file,
        fd,
        last: u32::from(last),
    });
    entry.submit(ring::wakeup());
}
