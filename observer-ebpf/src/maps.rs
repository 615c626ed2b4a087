//! The maps. Sizes are placeholders where userspace sets them before loading.

use core::cell::Cell;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use observer_abi::control::{Control, CpuState, Layout, Policy, RECKONED, Reckoned, WATCH_CELLS};

use crate::{
    emit::Piece,
    gather::Gathered,
    wake::{Word, WordKey},
};

/// What is known of an open file description, keyed by the address of its `struct file`.
#[repr(C)]
pub struct FileState {
    /// Inode number; another one means that the address belongs to another description now.
    pub ino: u64,
    /// Identity given out, `Data::file`.
    pub id: u64,
    /// Bytes read (0) and written (1) so far.
    pub pos: [Cell<u64>; 2],
    /// The `Policy::skip_until` for which a fresh budget was granted last, per direction.
    pub granted: [Cell<u64>; 2],
    /// Bytes that may still be captured in this turn, per direction.
    pub left: [Cell<u32>; 2],
    /// `f_flags` that the class of a regular file depends on.
    pub flags: u32,
    /// One of `observer_abi::class`, or [`REGULAR`].
    pub class: Cell<u8>,
    /// [`ANNOUNCED`], [`IGNORED`], [`CLIENT`], [`LEFT_OUT`], [`REDRAW`].
    pub bits: Cell<u8>,
    /// Direction of the last data, [`NO_TURN`] before any.
    pub turn: Cell<u8>,
    /// Descriptors of it that the call that is closing many has closed by now.
    pub closing: Cell<u8>,
    /// With [`CLIENT`]: the thread that read last, or tried to.
    pub reader: Cell<u32>,
    /// A connection: the [`Control::sampling`] by which it was described or left out last.
    pub sampling: Cell<u32>,
    /// A connection: what its lots are drawn from, once it was described.
    pub between: Cell<u64>,
    /// When it was given its identity ([`epoch`](crate::epoch)): in another one, the address may belong to another description.
    pub epoch: u32,
    /// No meaning yet.
    pub reserved: u32,
}

// SAFETY: each cell is read and written as a whole by single instructions; positions, where that is
// not enough, change by atomic addition.
unsafe impl Sync for FileState {}

/// [`FileState::class`]: a regular file, a log once it is written through descriptor 1 or 2.
pub const REGULAR: u8 = 0x80;

/// [`FileState::bits`]: a `File` record is in the ring.
pub const ANNOUNCED: u8 = 1;
/// [`FileState::bits`]: userspace wants to hear no more of it.
pub const IGNORED: u8 = 2;
/// [`FileState::bits`]: a socket that was connected here, or first written to.
pub const CLIENT: u8 = 4;
/// [`FileState::bits`]: a connection that is left out by its lot.
pub const LEFT_OUT: u8 = 8;
/// [`FileState::bits`]: a connection to be described again, or left out, before its next data.
pub const REDRAW: u8 = 16;

/// [`FileState::turn`]: no data yet.
pub const NO_TURN: u8 = 2;

/// What a thread is doing, so that the return of a call is paired with its beginning.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ThreadState {
    /// The thread that owns this element; 0 if none does.
    pub tid: u32,
    /// The cell of its process when it was last seen: another generation is not believed.
    pub watch: u8,
    /// [`PENDING`] and what goes with it.
    pub bits: u8,
    /// `observer_abi::waited` since its last data record.
    pub waited: u8,
    /// The call in flight, one of `call`; of those with the same effect, the plainest.
    pub call: u8,
    /// First argument: the descriptor.
    pub fd: i32,
    /// `data_flag`s that hold for the whole call.
    pub flags: u32,
    /// Second argument: buffer, vector or message header.
    pub buffer: u64,
    /// Third argument: bytes, elements or messages. `splice` and `tee`: the descriptor written to.
    pub count: u64,
    /// Address of the `struct file` in use.
    pub file: u64,
    /// Its identity when the call began.
    pub id: u64,
    /// A write: its position. `splice`, `tee`: address of the `struct file` written to.
    pub pos: u64,
    /// A write: bytes offered, in the low half, and bytes reported at the beginning, in the high
    /// half. `splice`, `tee`: identity of the description written to.
    pub offered: u64,
    /// Reads from sockets that the thread began; wraps.
    pub reads: u32,
    /// 1: it was told that the thread uses an `io_uring`.
    pub ring: u16,
    /// With [`left_out`](Self::left_out): where calls on that connection are counted ([`Reckoned::place`]).
    pub reckoned_at: u16,
    /// Not 0: the thread's last call that moved bytes was about a connection that is left out while
    /// [`Control::sampling`] is this.
    pub left_out: u32,
    /// The descriptor of that connection.
    pub left_out_fd: i32,
    /// Not 0: the connection that the thread served last is left out while [`Control::sampling`] is this.
    pub serves_left_out: u32,
    /// When this was noted ([`epoch`](crate::epoch)): in another one, it is not known what the thread is doing.
    pub epoch: u32,
}

/// [`ThreadState::bits`]: a call whose return is to be looked at is in flight.
pub const PENDING: u8 = 1;
/// [`ThreadState::bits`]: nothing was reported when the call began, and no position was advanced.
pub const UNREPORTED: u8 = 2;
/// [`ThreadState::bits`]: a read from a connection that was left out when the call began.
pub const UNOBSERVED: u8 = 4;

/// One element of a vectored call, `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IoVec {
    /// User address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// Elements of a vector that are read; of longer ones the rest is reported as one piece.
pub const VECTOR: usize = 64;

/// Processes: one cell of `control::watch` bits per process id, a cache line per element.
#[map]
pub static WATCH: Array<[u8; WATCH_CELLS as usize]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// How the executions of a process are read, by process id. Without an entry there are none.
#[map]
pub static RUNTIMES: LruHashMap<u32, Layout> = LruHashMap::with_max_entries(RUNTIME_PROCESSES, 0);

/// Processes whose executions can be read at once.
const RUNTIME_PROCESSES: u32 = 4096;

/// Futexes that threads of processes with `watch::WAKES` have waited for.
#[map]
pub static WORDS: LruHashMap<WordKey, Word> = LruHashMap::with_max_entries(8192, 0);

/// Traces that another observer tells threads to work in, by `pid_tgid`: trace-id and span-id as they are on the wire. Its own
/// map stands in for this one, where it has pinned one (`traces_ctx_v1`).
#[map]
pub static TRACES_CTX: HashMap<u64, [u64; 3]> = HashMap::with_max_entries(1, 0);

/// Threads, at the element that the low bits of their id name.
#[map]
pub static THREADS: Array<ThreadState> = Array::with_max_entries(1, 0);

/// Open file descriptions, by the address of their `struct file`.
#[map]
pub static FILES: LruHashMap<u64, FileState> = LruHashMap::with_max_entries(1, 0);

/// What userspace wants of single descriptions.
#[map]
pub static POLICY: Array<Policy> = Array::with_max_entries(2, BPF_F_MMAPABLE);

/// What the reader tells the probes while both run.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Counters of each CPU.
#[map]
pub static CPUS: PerCpuArray<CpuState> = PerCpuArray::with_max_entries(1, 0);

/// What calls on connections come to where only a share of these is observed, at [`Reckoned::place`]. One value, for the reader to get at once.
#[map]
pub static RECKONED_CALLS: PerCpuArray<[Reckoned; RECKONED]> = PerCpuArray::with_max_entries(1, 0);

/// Room for a vector that is being walked: element 0 for `sys_enter`, 1 for `sys_exit`.
#[map]
pub static VECTORS: PerCpuArray<[IoVec; VECTOR]> = PerCpuArray::with_max_entries(2, 0);

/// The record in the making: element 0 for `sys_enter`, 1 for `sys_exit`.
#[map]
pub static PIECES: PerCpuArray<Piece> = PerCpuArray::with_max_entries(2, 0);

/// Room for records that are gathered: element 0 for `sys_enter`, 1 for `sys_exit`.
#[map]
pub static GATHERED: PerCpuArray<Gathered> = PerCpuArray::with_max_entries(2, 0);

/// The records.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(4096, 0);
