//! What userspace tells the probes: constants handed over when the object is loaded, and memory that
//! both sides map while it runs. None of it is part of a recording.

pub mod call;
mod counters;
mod kernel;

pub use counters::{COUNTERS, CpuState, RECKONED, Reckoned};
pub use kernel::{FILE_BLOCK, Offsets, REGISTER_WORDS, Registers};

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

const _: () = {
    assert!(size_of::<Config>() == 36);
    assert!(size_of::<Policy>() == 32);
    assert!(size_of::<Control>() == 12);
    assert!(size_of::<Layout>() == 232);
};
