//! What userspace tells the probes: constants handed over when the object is loaded, and memory that
//! both sides map while it runs. None of it is part of a recording.

/// What the probes do with a system call; the values of the [`CALLS`] table.
///
/// The high half of the byte is the family, so that the probes branch on it once.
pub mod call {
    /// Not looked at. Zero, so that an empty table ignores everything.
    pub const NONE: u8 = 0;

    /// Mask of the family bits.
    pub const FAMILY: u8 = 0xf0;
    /// Family: bytes come in; reported when the call returns.
    pub const READS: u8 = 0x10;
    /// `read(fd, buf, count)`.
    pub const READ: u8 = READS;
    /// `recvfrom(fd, buf, len, flags, …)`.
    pub const RECVFROM: u8 = READS | 1;
    /// `readv(fd, iov, iovcnt)`.
    pub const READV: u8 = READS | 2;
    /// `recvmsg(fd, msg, flags)`.
    pub const RECVMSG: u8 = READS | 3;
    /// `recvmmsg(fd, msgvec, vlen, flags, …)`.
    pub const RECVMMSG: u8 = READS | 4;
    /// `preadv2(fd, iov, iovcnt, pos_l, pos_h, flags)`; `preadv` and `pread64` can't read what has no
    /// positions, and of files with positions only what is written matters.
    pub const PREADV2: u8 = READS | 5;

    /// Family: bytes go out; reported when the call begins.
    pub const WRITES: u8 = 0x20;
    /// `write(fd, buf, count)`.
    pub const WRITE: u8 = WRITES;
    /// `sendto(fd, buf, len, flags, …)`.
    pub const SENDTO: u8 = WRITES | 1;
    /// `writev(fd, iov, iovcnt)`.
    pub const WRITEV: u8 = WRITES | 2;
    /// `sendmsg(fd, msg, flags)`.
    pub const SENDMSG: u8 = WRITES | 3;
    /// `pwrite64(fd, buf, count, offset)`; only logs are looked at.
    pub const PWRITE: u8 = WRITES | 5;
    /// `pwritev(fd, iov, iovcnt, pos_l, pos_h)`; only logs are looked at.
    pub const PWRITEV: u8 = WRITES | 6;
    /// `pwritev2(fd, iov, iovcnt, pos_l, pos_h, flags)`.
    pub const PWRITEV2: u8 = WRITES | 7;
    /// `vmsplice(fd, iov, nr_segs, flags)`: a write to the writing end of a pipe, a read from the other.
    pub const VMSPLICE: u8 = WRITES | 8;

    /// Family: bytes go out, and how many is known only when the call returns.
    pub const MOVES: u8 = 0x30;
    /// `sendmmsg(fd, msgvec, vlen, flags)`.
    pub const SENDMMSG: u8 = MOVES | 4;
    /// `sendfile(out_fd, in_fd, …)`.
    pub const SENDFILE: u8 = MOVES | 6;
    /// `splice(fd_in, off_in, fd_out, …)`.
    pub const SPLICE: u8 = MOVES | 7;
    /// `tee(fd_in, fd_out, …)`: takes nothing from `fd_in`.
    pub const TEE: u8 = MOVES | 8;

    /// Family: a descriptor is closed.
    pub const CLOSES: u8 = 0x40;
    /// `close(fd)`.
    pub const CLOSE: u8 = CLOSES;
    /// `dup2(oldfd, newfd)`, `dup3`: closes `newfd`.
    pub const DUP2: u8 = CLOSES | 1;
    /// `close_range(first, last, flags)`.
    pub const CLOSE_RANGE: u8 = CLOSES | 2;

    /// Family: the thread waits.
    pub const WAITS: u8 = 0x50;
    /// `epoll_wait`, `epoll_pwait`, `epoll_pwait2`.
    pub const EVENT_LOOP: u8 = WAITS;
    /// `poll`, `ppoll` (the second argument counts descriptors).
    pub const POLL: u8 = WAITS | 1;
    /// `select`, `pselect6` (the first argument is 0 where there are no descriptors).
    pub const SELECT: u8 = WAITS | 2;
    /// `accept`, `accept4`.
    pub const ACCEPT: u8 = WAITS | 3;
    /// `io_uring_enter(fd, to_submit, min_complete, …)`.
    pub const RING_ENTER: u8 = WAITS | 4;
    /// `io_uring_setup(entries, params)`: waits for nothing, but is looked at like the one above.
    pub const RING_SETUP: u8 = WAITS | 5;

    /// Family: a socket is connected.
    pub const CONNECTS: u8 = 0x60;
    /// `connect(fd, addr, addrlen)`.
    pub const CONNECT: u8 = CONNECTS;

    /// Family: threads wait for each other; looked at only in processes with [`watch::WAKES`](super::watch::WAKES) or [`KEEPS`](super::watch::KEEPS).
    pub const FUTEXES: u8 = 0x70;
    /// `futex(uaddr, op, val, …)`.
    pub const FUTEX: u8 = FUTEXES;
}

/// Entries of the table of system calls: numbers from here on are ignored (462 calls exist in 6.18).
pub const CALLS: usize = 512;

/// Bits of a process's cell in the `WATCH` map; the bits above [`GENERATION`](watch::GENERATION)
/// count how often the process was selected.
pub mod watch {
    /// Its calls are reported.
    pub const WATCHED: u8 = 1;
    /// Never reported, not even when everything is watched: the observer itself.
    pub const EXCLUDED: u8 = 2;
    /// Its runtime has an entry in the `RUNTIMES` map.
    pub const RUNTIME: u8 = 4;
    /// It is reported who wakes whom in it.
    pub const WAKES: u8 = 8;
    /// Its runtime keeps ended threads for what is to run next: it is reported when that happens.
    pub const KEEPS: u8 = 16;
    /// It is reported where its threads make objects, as its entry in the `HEAPS` map says.
    pub const HEAP: u8 = 32;
    /// What userspace, or a probe, may set and clear while the process runs.
    pub const ASPECTS: u8 = RUNTIME | WAKES | KEEPS | HEAP;
    /// The lowest bit of the generation. Calls in flight when a process is selected anew belong to
    /// an older generation, so that what their thread noted earlier is not believed.
    pub const GENERATION: u8 = 64;
}

/// Cells in one element of the `WATCH` map: one cache line.
pub const WATCH_CELLS: u32 = 64;

/// Constants that userspace sets before loading.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// 1: every process is watched but those excluded.
    pub all: u32,
    /// 1: programs executed by unwatched processes are reported too.
    pub all_execs: u32,
    /// `max_entries` of `THREADS` less one; the number is a power of two.
    pub thread_mask: u32,
    /// Base-2 logarithm of `max_entries` of `POLICY`.
    pub policy_bits: u32,
    /// Bytes of payload that one direction of a socket may capture before the direction changes.
    pub turn_budget: u32,
    /// Bytes of payload captured of one write to a log or terminal.
    pub log_bytes: u32,
    /// Not 0: what threads log is left out with the connections that they serve.
    pub sample_logs: u32,
    /// Bytes of payload captured of one read from a pipe.
    pub pipe_read_bytes: u32,
    /// Not 0 if atomic additions can return what was there before (Linux 5.12).
    pub fetches: u32,
}

/// How `struct pt_regs` of a user thread in a system call is read. Words are numbered in the order
/// in which the two blocks are copied, eight bytes each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Offset of the first block, bytes.
    pub first_base: u32,
    /// Length of the first block, bytes.
    pub first_len: u32,
    /// Offset of the second block, bytes.
    pub second_base: u32,
    /// Length of the second block, bytes; 0 when one block holds everything.
    pub second_len: u32,
    /// Word that holds each argument when the call begins.
    pub args: [u32; 6],
    /// Word that holds the first argument when the call returns.
    pub exit_first: u32,
    /// Word that holds the number of the call (its low 32 bits).
    pub number: u32,
    /// Word that tells 64-bit code from 32-bit code.
    pub mode: u32,
    /// Bits of that word to look at.
    pub mode_mask: u32,
    /// What those bits are in 64-bit code.
    pub mode_native: u32,
}

/// Words that the two blocks of [`Registers`] may hold together.
pub const REGISTER_WORDS: usize = 16;

/// Where the running kernel keeps what the probes read: byte offsets, from its BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.files`.
    pub task_files: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.thread.fsbase`: the thread pointer of x86-64. 0 where there is none.
    pub task_thread_pointer: u32,
    /// `files_struct.fdt`.
    pub files_fdt: u32,
    /// `files_struct.count`: how many tasks share it.
    pub files_count: u32,
    /// `fdtable.max_fds`; `fdtable.fd` follows it eight bytes later.
    pub fdt_max_fds: u32,
    /// `fdtable.open_fds`.
    pub fdt_open_fds: u32,
    /// Start of the bytes of `struct file` that hold `f_inode` and `f_flags`.
    pub file_block: u32,
    /// How many these are, at most [`FILE_BLOCK`].
    pub file_block_len: u32,
    /// `file.f_inode`, counted from the start of the block.
    pub file_inode: u32,
    /// `file.f_flags`, counted from the start of the block.
    pub file_flags: u32,
    /// `file.private_data`.
    pub file_private: u32,
    /// `file.f_count`, or `file.f_ref` from Linux 6.13.
    pub file_count: u32,
    /// What that counter holds while one reference exists: 1, or 0 for `f_ref`.
    pub file_count_one: u32,
    /// `inode.i_ino`.
    pub inode_ino: u32,
    /// `inode.i_mode`.
    pub inode_mode: u32,
    /// `inode.i_rdev`.
    pub inode_rdev: u32,
    /// `inode.i_pipe`.
    pub inode_pipe: u32,
    /// `pipe_inode_info.head`.
    pub pipe_head: u32,
    /// `pipe_inode_info.tail`.
    pub pipe_tail: u32,
    /// `socket.type`.
    pub socket_type: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `socket_alloc.vfs_inode`: from a `struct socket` to its inode.
    pub socket_inode: u32,
    /// `sock.sk_socket`.
    pub sock_socket: u32,
    /// `sock_common.skc_family`.
    pub sock_family: u32,
    /// `sock_common.skc_daddr`.
    pub sock_daddr: u32,
    /// `sock_common.skc_rcv_saddr`.
    pub sock_rcv_saddr: u32,
    /// `sock_common.skc_dport`.
    pub sock_dport: u32,
    /// `sock_common.skc_num`.
    pub sock_num: u32,
    /// `sock_common.skc_v6_daddr`.
    pub sock_v6_daddr: u32,
    /// `sock_common.skc_v6_rcv_saddr`.
    pub sock_v6_rcv_saddr: u32,
    /// `unix_sock.addr`.
    pub unix_addr: u32,
    /// `unix_sock.peer`.
    pub unix_peer: u32,
    /// `unix_address.len`.
    pub unix_address_len: u32,
    /// `unix_address.name`.
    pub unix_address_name: u32,
}

/// Bytes of `struct file` read at once, at most.
pub const FILE_BLOCK: usize = 64;

/// What userspace wants of one open file description, in the `POLICY` map at
/// [`policy_slot`]. Two descriptions that share a slot overwrite each other, and the one that lost
/// is captured as if it had no policy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The description, as in `Data::file`; 0 while userspace writes the other fields.
    pub file: u64,
    /// For reads (0) and writes (1): the position before which no payload is needed. Reaching it
    /// grants a fresh turn budget.
    pub skip_until: [u64; 2],
    /// 1: report nothing more.
    pub ignore: u64,
}

/// The element of a `POLICY` map of `1 << bits` elements that is for `file`.
#[must_use]
#[inline(always)]
pub const fn policy_slot(file: u64, bits: u32) -> u32 {
    // Fibonacci hashing: ids of one CPU are consecutive above their low 16 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the shift leaves `bits` bits, which are at most 32"
    )]
    let slot = (file.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as u32;
    slot
}

/// Words in a [`Layout`].
pub const LAYOUT_WORDS: usize = 28;

/// Words of the [`Layout`] of a Go program. Offsets of registers are those in `struct pt_regs`; other
/// offsets are those of fields in the structures of the program, in bytes.
pub mod go {
    /// Offset of the register that holds the running goroutine's `runtime.g`.
    pub const G: usize = 0;
    /// Offset of the stack pointer.
    pub const SP: usize = 1;
    /// `runtime.g.goid`.
    pub const GOID: usize = 2;
    /// `runtime.g.parentGoid`, from Go 1.21; 0 if there is none.
    pub const PARENT: usize = 3;
    /// `runtime.g.m`.
    pub const M: usize = 4;
    /// `runtime.m.curg`.
    pub const CURG: usize = 5;
    /// At the call of `runtime.runqput(pp, gp, next)`: offset of the register that holds `gp`.
    pub const BEGUN: usize = 6;
    /// In `net/http.(*persistConn).roundTrip`: offset of the register that holds the receiver.
    pub const RECEIVER: usize = 7;
    /// `net/http.persistConn.conn`, an interface: the address of its `itab`, then of its value.
    pub const CONN: usize = 8;
    /// Address of the description of `*net.TCPConn`; 0 if the program has none.
    pub const TCP: usize = 9;
    /// Address of the description of `*net.UnixConn`; 0 if the program has none.
    pub const UNIX: usize = 10;
    /// Address of the description of `*crypto/tls.Conn`; 0 if the program has none.
    pub const TLS: usize = 11;
    /// `crypto/tls.Conn.conn`, an interface likewise.
    pub const TLS_CONN: usize = 12;
    /// `net.TCPConn.conn.fd`, the address of a `net.netFD`; the same in `net.UnixConn`.
    pub const FD: usize = 13;
    /// `net.netFD.pfd.Sysfd`.
    pub const SYSFD: usize = 14;
    /// Offset of the register that holds the frame pointer.
    pub const FRAME: usize = 15;
    /// Offsets of the registers that hold the first three arguments of a function.
    pub const ARGUMENTS: [usize; 3] = [7, 6, 16];
    /// `runtime.sudog.g`: the goroutine that waits for a channel.
    pub const WAITS: usize = 17;
    /// `runtime.sudog.elem`: where its value is, or is to go.
    pub const ELEM: usize = 18;
    /// `runtime.g.sched.bp`: the frame pointer of a goroutine that does not run.
    pub const PARKED: usize = 19;
    /// `runtime.hchan.dataqsiz`: how many values may wait in the channel.
    pub const QUEUE: usize = 20;
    /// `runtime.hchan.buf`: where they do.
    pub const BUF: usize = 21;
    /// `runtime.hchan.elemsize`, two bytes: how long each is.
    pub const ELEM_SIZE: usize = 22;
    /// `runtime.hchan.recvx`: the number of the next one.
    pub const RECV: usize = 23;
    /// How often probes at channels have run, as they count: what they take is not to be much of what the program takes.
    pub const RUNS: usize = 24;
    /// `runtime.g.startpc`: where a goroutine began.
    pub const START: usize = 25;
    /// First address of the functions that connections of `net/http`'s client begin with, and the one behind the last:
    /// what is passed to these goroutines is not told.
    pub const CONNECTIONS: [usize; 2] = [26, 27];
}

/// How the executions of one process are read: the value of the `RUNTIMES` map, by process id.
///
/// Children inherit it, since `fork` keeps the address space; a new program has none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// One of [`runtime`](super::runtime).
    pub runtime: u64,
    /// Addresses and offsets; their meaning is that of the runtime.
    pub words: [u64; LAYOUT_WORDS],
}

/// The single element of the `CONTROL` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Set by the reader before it sleeps: wake it once this many bytes wait in the ring. Cleared by
    /// the probe that wakes it; 0 means that the reader is awake.
    pub wake_at: u32,
    /// 0 if all connections are observed. Else, in the low half, the share of those that are not, in 65 536ths: those
    /// with the highest lots ([`lot`](super::lot)); in the high half the window of time, in each of which lots are drawn anew.
    /// A connection is judged by it when its first bytes move, and whenever it has changed when a request begins.
    pub sampling: u32,
    /// Another one after each time that system calls were not looked at: nothing is known then of descriptions and threads.
    pub epoch: u32,
}

/// What one CPU counted of calls that move bytes on connections while only a share of these was observed: of one process, as the
/// server or as the client of its connections.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reckoned {
    /// Calls on connections that were left out.
    pub counted: u64,
    /// How many of these calls those on observed connections lead to expect: each stands for 1/*p* − 1 of them, where *p* is the
    /// share in which its connection is observed.
    pub expected: u64,
}

/// Elements of the `RECKONED` map: two for each number that the low bits of a process's id may be, as one value of at most the 32 KiB
/// that a per-CPU map has room for (`PCPU_MIN_UNIT_SIZE`).
pub const RECKONED: usize = 1024;

impl Reckoned {
    /// Where in the map the calls of process `tgid` are counted, on connections that it is the `client` of or serves.
    #[must_use]
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits are what is wanted"
    )]
    pub const fn place(tgid: u32, client: bool) -> u16 {
        (tgid << 1 | client as u32) as u16 % RECKONED as u16
    }

    /// Whether it is calls of clients that are counted at `place`.
    #[must_use]
    pub const fn is_of_client(place: u16) -> bool {
        place & 1 != 0
    }
}

/// What one CPU counted, in the `CPUS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// The next record's `Header::seq`.
    pub seq: u64,
    /// Identities of open file descriptions given out.
    pub ids: u64,
    /// Records put into the ring.
    pub sent: u64,
    /// Records for which the ring had no room.
    pub lost: u64,
    /// Bytes of payload put into the ring.
    pub captured: u64,
    /// Bytes moved whose payload was not put into the ring, by policy or because they could not be read.
    pub cut: u64,
    /// Payloads that could not be read from the process's memory.
    pub faults: u64,
    /// Calls on descriptions that userspace asked to ignore. Those on connections that are left out are [`Reckoned`].
    pub ignored: u64,
    /// Calls of watched processes that could not be followed from beginning to end: begun before the
    /// process was watched, or of a thread whose place in `THREADS` was taken.
    pub unpaired: u64,
}

/// Fields of [`CpuState`], all 64 bits wide.
pub const COUNTERS: usize = size_of::<CpuState>() / size_of::<u64>();

impl CpuState {
    /// The counters in the order in which they lie in memory.
    #[must_use]
    pub const fn from_words(words: [u64; COUNTERS]) -> Self {
        let [
            seq,
            ids,
            sent,
            lost,
            captured,
            cut,
            faults,
            ignored,
            unpaired,
        ] = words;
        Self {
            seq,
            ids,
            sent,
            lost,
            captured,
            cut,
            faults,
            ignored,
            unpaired,
        }
    }
}

const _: () = {
    assert!(size_of::<Config>() == 36);
    assert!(size_of::<Registers>() == 60);
    assert!(size_of::<Offsets>() == 37 * 4);
    assert!(size_of::<Policy>() == 32);
    assert!(size_of::<Control>() == 12);
    assert!(size_of::<Layout>() == 232);
    assert!(size_of::<Reckoned>() == 16 && RECKONED * 16 <= 32 << 10);
    assert!(size_of::<CpuState>() == 72);
};
