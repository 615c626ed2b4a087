//! What the pipeline is fed, in the order in which it happened. A recording is the sequence of
//! these inputs; feeding it again gives the same output.

use crate::facts::{FileFacts, PeerFacts, ProcessFacts};
use crate::ids::KernelNanos;
use crate::judged::SubjectId;

/// One input.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A record as the kernel wrote it.
    Record(&'a [u8]),
    /// What is known about a process; before its first record where possible, and again when it changes.
    Process(ProcessFacts),
    /// What is known about an open file description.
    File(FileFacts),
    /// Who is behind an address. Exchanges that are told later have that name for their peer.
    Peer(PeerFacts),
    /// Only a share of connections is observed from now on: both ends of a connection, or none. Which these are is in the
    /// records of their descriptions; those that are left out count as not observed, so nothing is concluded from their absence.
    Sampling {
        /// The share, in 65 536ths.
        keep: u32,
    },
    /// What system calls came to on connections while only a share of these was observed, since that was last told. It is counted of many processes at
    /// once, and so for all of them that there are.
    Reckoned {
        /// Of processes with these low bits of their id, as the side of the connections that [`Reckoned::place`](observer_abi::control::Reckoned::place) says.
        place: u16,
        /// Calls on connections that were left out.
        counted: u64,
        /// How many of these those on observed connections lead to expect.
        expected: u64,
    },
    /// System calls are not observed from `since` on: what moves, is closed or is waited for is not seen. No record of a system call
    /// that began later comes before [`Resume`](Self::Resume), and all of those that began before came already. What is under way is not judged.
    Pause {
        /// `CLOCK_MONOTONIC`: before it, everything was observed.
        since: KernelNanos,
    },
    /// System calls are observed again. Descriptions are described anew, under identities that were not used before.
    Resume {
        /// `CLOCK_MONOTONIC`: after it, everything is observed.
        until: KernelNanos,
        /// What is observed from now on stands for the pause before it as well: for so many times the time that it lasts, a power of two.
        every: u32,
    },
    /// The time is now `now`. Judgement happens only here: a verdict is final when a tick later
    /// than everything that it rests on has confirmed that nothing was lost meanwhile.
    Tick {
        /// `CLOCK_MONOTONIC`: all records made before it have been handed in.
        now: KernelNanos,
        /// Records lost by the kernel since capturing began; those lost before `now` are among them,
        /// and none of those lost later.
        lost: u64,
    },
}

/// How the pipeline works; part of a recording's header where it changes what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Config {
    /// Ties record times to the wall clock.
    pub anchor: crate::judged::ClockAnchor,
    /// The call or line whose attribution is to be explained.
    pub explain: Option<SubjectId>,
    /// Show query values in targets instead of redacting them.
    pub show_query: bool,
    /// Infer the likeliest request of what no evidence links to one, and tell it beside the judgement,
    /// which it does not change.
    #[serde(default)]
    pub infer: bool,
}
