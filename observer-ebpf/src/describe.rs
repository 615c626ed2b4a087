//! `File` records: the addresses of a description, sent before its first data.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use observer_abi::{File, Header, UNIX_PATH, class, kind};

use crate::{
    config::offset,
    file::OpenFile,
    maps::{ANNOUNCED, FileState, REGULAR},
    mem, ring,
};

/// Makes sure that a `File` record of this description is in the ring before its data; false if
/// that could not be done, so that its data must not be sent.
///
/// `address` is that of its `struct file`, which another thread may have closed by now.
#[inline(always)]
pub fn announce(state: &FileState, address: u64, fd: i32, pid_tgid: u64, time: u64) -> bool {
    if state.bits.get() & ANNOUNCED != 0 {
        return true;
    }
    let told = Told {
        address,
        ino: state.ino,
        id: state.id,
        pid_tgid,
        time,
        fd,
        class: state.class.get(),
    };
    if describe(&told) != 0 {
        return false;
    }
    state.bits.set(state.bits.get() | ANNOUNCED);
    true
}

/// What is already known of the description to describe.
struct Told {
    address: u64,
    ino: u64,
    id: u64,
    pid_tgid: u64,
    time: u64,
    fd: i32,
    class: u8,
}

/// Sends the record; 0 if it is in the ring.
#[inline(never)]
fn describe(told: &Told) -> i32 {
    let Some(file) = OpenFile::at(told.address) else {
        return -1;
    };
    let Some(mut entry) = ring::reserve::<File>() else {
        return -1;
    };
    let record: *mut File = entry.as_mut_ptr();
    // SAFETY: the slot has room for one record; zeros are a valid one.
    let record = unsafe {
        record.write_bytes(0, 1);
        &mut *record
    };
    record.file = told.id;
    record.ino = told.ino;
    record.fd = told.fd;
    record.open_flags = file.flags;
    record.class = told.class & !REGULAR;
    match told.class {
        class::TCP4 => tcp4(&file, record),
        class::TCP6 => tcp6(&file, record),
        class::UNIX => unix(&file, record),
        _ => {}
    }
    // The description may have been closed, and its memory used again, while it was read.
    if OpenFile::at(told.address).map(|file| file.ino) != Some(told.ino) {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return -1;
    }
    record.header = head(told);
    entry.submit(ring::wakeup());
    0
}

#[inline(always)]
fn head(told: &Told) -> Header {
    let len = size_of::<File>() as u32;
    ring::header(kind::FILE, len, told.pid_tgid, told.time)
}

#[inline(always)]
fn sock_of(file: &OpenFile) -> u64 {
    file.socket()
        .and_then(|socket| mem::kernel(socket, offset!(socket_sk)))
        .unwrap_or(0)
}

#[inline(always)]
fn ports(sock: u64, record: &mut File) {
    record.local_port = mem::kernel(sock, offset!(sock_num)).unwrap_or(0);
    record.remote_port = u16::from_be(mem::kernel(sock, offset!(sock_dport)).unwrap_or(0));
}

#[inline(always)]
fn tcp4(file: &OpenFile, record: &mut File) {
    let sock = sock_of(file);
    let local: [u8; 4] = mem::kernel(sock, offset!(sock_rcv_saddr)).unwrap_or([0; 4]);
    let remote: [u8; 4] = mem::kernel(sock, offset!(sock_daddr)).unwrap_or([0; 4]);
    record.local_addr[..4].copy_from_slice(&local);
    record.remote_addr[..4].copy_from_slice(&remote);
    ports(sock, record);
}

#[inline(always)]
fn tcp6(file: &OpenFile, record: &mut File) {
    let sock = sock_of(file);
    record.local_addr = mem::kernel(sock, offset!(sock_v6_rcv_saddr)).unwrap_or([0; 16]);
    record.remote_addr = mem::kernel(sock, offset!(sock_v6_daddr)).unwrap_or([0; 16]);
    ports(sock, record);
}

/// The other end's inode, and the path that either end is bound to.
#[inline(always)]
fn unix(file: &OpenFile, record: &mut File) {
    let sock = sock_of(file);
    let peer: u64 = mem::kernel(sock, offset!(unix_peer)).unwrap_or(0);
    let mut address: u64 = mem::kernel(sock, offset!(unix_addr)).unwrap_or(0);
    if peer != 0 {
        // Null while the connection waits to be accepted.
        let socket: u64 = mem::kernel(peer, offset!(sock_socket)).unwrap_or(0);
        if socket != 0 {
            let inode = socket + u64::from(offset!(socket_inode));
            record.peer_ino = mem::kernel(inode, offset!(inode_ino)).unwrap_or(0);
        }
        if address == 0 {
            address = mem::kernel(peer, offset!(unix_addr)).unwrap_or(0);
        }
    }
    if address == 0 {
        return;
    }
    // `unix_address.len` counts `sun_family` too.
    let len: u32 = mem::kernel(address, offset!(unix_address_len)).unwrap_or(0);
    let len = len.saturating_sub(2).min(UNIX_PATH as u32);
    let from = address + u64::from(offset!(unix_address_name)) + 2;
    // SAFETY: at most as many bytes as the path has.
    if len > 0 && unsafe { mem::kernel_bytes((&raw mut record.path).cast(), len, from) } {
        record.path_len = len as u16;
    }
}
