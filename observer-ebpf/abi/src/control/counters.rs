//! What the probes count.

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
    assert!(size_of::<Reckoned>() == 16 && RECKONED * 16 <= 32 << 10);
    assert!(size_of::<CpuState>() == 72);
};
