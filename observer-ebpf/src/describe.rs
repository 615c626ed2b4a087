//! `File` records: the addresses of a description, sent before its first data, and the decision whether it is
//! observed at all.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use observer_abi::{File, Header, UNIX_PATH, class, file_flag, kind, lot};

use crate::{
    config::offset,
    file::{Direction, OpenFile, is_socket, same},
    maps::{ANNOUNCED, FileState, IGNORED, LEFT_OUT, REDRAW, REGULAR},
    mem, ring, sample,
};

/// Makes sure that a `File` record of this description is in the ring before its data, which moves in
/// `direction`; false if that could not be done, which counts as a loss, or if the description is left out:
/// its data must not be sent then.
///
/// `address` is that of its `struct file`, which another thread may have closed by now.
#[inline(always)]
pub fn announce(
    state: &FileState,
    address: u64,
    fd: i32,
    (pid_tgid, time): (u64, u64),
    direction: Direction,
) -> bool {
    let bits = state.bits.get();
    if bits & (ANNOUNCED | REDRAW) == ANNOUNCED {
        return true;
    }
    // What moves the other way belongs to what was observed before.
    if bits & ANNOUNCED != 0 && direction != sample::asking(bits) {
        return true;
    }
    // Left out meanwhile, by another thread: that was told.
    if bits & (IGNORED | LEFT_OUT) != 0 {
        return false;
    }
    let told = Told {
        address,
        ino: state.ino,
        id: state.id,
        pid_tgid,
        time,
        fd,
        class: state.class.get(),
        reads: direction == Direction::Read,
    };
    match describe(&told) {
        SENT => {
            state.bits.set((bits | ANNOUNCED) & !REDRAW);
            true
        }
        SILENT => {
            sample::leave_out(state, direction);
            false
        }
        _ => {
            ring::lose();
            false
        }
    }
}

/// What became of a `File` record: it is in the ring.
const SENT: i32 = 0;
/// It is in the ring, and says that nothing will follow.
const SILENT: i32 = 1;
/// There is none.
const LOST: i32 = -1;

/// What is already known of the description to describe.
struct Told {
    address: u64,
    ino: u64,
    id: u64,
    pid_tgid: u64,
    time: u64,
    fd: i32,
    class: u8,
    /// The bytes that are about to be reported come in.
    reads: bool,
}

/// Sends the record.
#[inline(never)]
fn describe(told: &Told) -> i32 {
    let Some(file) = OpenFile::at(told.address) else {
        return LOST;
    };
    let Some(mut entry) = ring::reserve::<File>() else {
        return LOST;
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
    let between = match told.class {
        class::TCP4 => tcp4(&file, record),
        class::TCP6 => tcp6(&file, record),
        class::UNIX => unix(&file, record),
        _ => 0,
    };
    let left_out = is_socket(told.class) && draw(record, between, told);
    // The description may have been closed, and its memory used again, while it was read.
    if OpenFile::at(told.address).map(|file| file.ino) != Some(told.ino) {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return LOST;
    }
    record.header = head(told);
    if left_out {
        record.header.flags = file_flag::LEFT_OUT | if told.reads { file_flag::READ } else { 0 };
    }
    entry.submit(ring::wakeup());
    if left_out { SILENT } else { SENT }
}

/// Draws the lot of the connection of `record`, and notes what that was drawn from; true if the lot falls on it.
#[inline(always)]
fn draw(record: &mut File, between: u64, told: &Told) -> bool {
    let sampling = sample::in_force();
    if let Some(state) = same(told.address, told.id) {
        state.between.set(between);
        state.sampling.set(sampling);
    }
    record.lot = lot::drawn(between, sample::window(sampling));
    record.left_out = sampling as u16;
    lot::is_left_out(record.lot, record.left_out)
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
fn tcp4(file: &OpenFile, record: &mut File) -> u64 {
    let sock = sock_of(file);
    let local: [u8; 4] = mem::kernel(sock, offset!(sock_rcv_saddr)).unwrap_or([0; 4]);
    let remote: [u8; 4] = mem::kernel(sock, offset!(sock_daddr)).unwrap_or([0; 4]);
    record.local_addr[..4].copy_from_slice(&local);
    record.remote_addr[..4].copy_from_slice(&remote);
    ports(sock, record);
    let half = |address| [0, lot::mapped(u32::from_le_bytes(address))];
    between(half(local), half(remote), record)
}

#[inline(always)]
fn tcp6(file: &OpenFile, record: &mut File) -> u64 {
    let sock = sock_of(file);
    record.local_addr = mem::kernel(sock, offset!(sock_v6_rcv_saddr)).unwrap_or([0; 16]);
    record.remote_addr = mem::kernel(sock, offset!(sock_v6_daddr)).unwrap_or([0; 16]);
    ports(sock, record);
    let local: [u64; 2] = mem::kernel(sock, offset!(sock_v6_rcv_saddr)).unwrap_or([0; 2]);
    let remote: [u64; 2] = mem::kernel(sock, offset!(sock_v6_daddr)).unwrap_or([0; 2]);
    between(local, remote, record)
}

/// What the lots of a TCP connection are drawn from, by its addresses and the ports that are noted already.
#[inline(always)]
fn between(local: [u64; 2], remote: [u64; 2], record: &File) -> u64 {
    let le = u64::from_le;
    let local = lot::end(le(local[0]), le(local[1]), record.local_port);
    let remote = lot::end(le(remote[0]), le(remote[1]), record.remote_port);
    lot::between(local, remote)
}

/// The other end's inode, and the path that either end is bound to; what lots are drawn from.
#[inline(always)]
fn unix(file: &OpenFile, record: &mut File) -> u64 {
    let sock = sock_of(file);
    let peer: u64 = mem::kernel(sock, offset!(unix_peer)).unwrap_or(0);
    let own: u64 = mem::kernel(sock, offset!(unix_addr)).unwrap_or(0);
    let mut others = 0;
    if peer != 0 {
        // Null while the connection waits to be accepted.
        let socket: u64 = mem::kernel(peer, offset!(sock_socket)).unwrap_or(0);
        if socket != 0 {
            let inode = socket + u64::from(offset!(socket_inode));
            record.peer_ino = mem::kernel(inode, offset!(inode_ino)).unwrap_or(0);
        }
        others = mem::kernel(peer, offset!(unix_addr)).unwrap_or(0);
    }
    // The client's inode is known at both ends from the beginning, the server's not before it was accepted. A socket
    // that was accepted has the address of the one that listens (`net/unix/af_unix.c`: `unix_stream_connect`).
    let named = match (own != 0, others != 0) {
        (false, true) => record.ino,
        (true, false) => record.peer_ino,
        (false, false) => record.ino.min(record.peer_ino),
        (true, true) => 0,
    };
    let between = match named {
        // Its client is bound as well, or gone: where the two `struct sock` lie. That comes again soon.
        0 => lot::between(lot::inner_end(sock), lot::inner_end(peer)),
        inode => lot::between(lot::inner_end(inode), 0),
    };
    let address = if own != 0 { own } else { others };
    if address == 0 {
        return between;
    }
    // `unix_address.len` counts `sun_family` too.
    let len: u32 = mem::kernel(address, offset!(unix_address_len)).unwrap_or(0);
    let len = len.saturating_sub(2).min(UNIX_PATH as u32);
    let from = address + u64::from(offset!(unix_address_name)) + 2;
    // SAFETY: at most as many bytes as the path has.
    if len > 0 && unsafe { mem::kernel_bytes((&raw mut record.path).cast(), len, from) } {
        record.path_len = len as u16;
    }
    between
}
