//! What attribution knows about one process.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::correlation::Correlations;
use super::ends::Ends;
use super::exclusive::Exclusive;
use super::ids::Ids;
use super::parted::When;
use super::pinned::Pinned;
use super::served::{Broken, Claim, Reader, Served};
use super::siblings::Siblings;
use super::traces::{Traces, share_trace};
use super::trust::Trust;
use super::workers::{Conduct, Workers};
use crate::exchange::{Begun, Ended};
use crate::ids::{FileId, KernelNanos, Seq, Tid};
use crate::judged::Reason;

/// How long after an answer work for its request may still go on unseen, nanoseconds.
const AFTERWORK: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Process {
    served: HashMap<Seq, Box<Served>>,
    open: BTreeSet<Seq>,
    /// The latest one that came in.
    latest: Option<Seq>,
    /// Calls that are not decided yet, and the requests that they are.
    own_calls: HashMap<Seq, Seq>,
    last_end: Option<KernelNanos>,
    pub(super) ends: Ends,
    pub(super) traces: Traces,
    pub(super) correlations: Correlations,
    pub(super) exclusive: Exclusive,
    pub(super) trust: Trust,
    pub(super) ids: Ids,
    pub(super) siblings: Siblings,
    pub(super) workers: Workers,
    pub(super) pinned: Pinned,
    /// Requests may be in flight that can't be seen.
    pub(super) blind: bool,
    /// It is asked over a protocol that is not observed.
    pub(super) serves_unseen: bool,
    /// System calls were not observed for a time in its life: it may have been asked then what goes on still.
    pub(super) paused: bool,
    /// It may read and write through an `io_uring`, so that its threads do what is not seen.
    pub(super) ring: bool,
}

/// A request that has ended.
pub(super) struct Confirmed {
    /// Whether one thread did all of it.
    pub(super) confirmed: bool,
    pub(super) file: FileId,
    /// The thread that had read it.
    pub(super) reader: Tid,
    pub(super) since: KernelNanos,
}

impl Process {
    pub(super) fn new(now: KernelNanos) -> Self {
        Self {
            served: HashMap::new(),
            open: BTreeSet::new(),
            latest: None,
            own_calls: HashMap::new(),
            last_end: None,
            ends: Ends::default(),
            traces: Traces::default(),
            correlations: Correlations::default(),
            exclusive: Exclusive::new(now),
            trust: Trust::default(),
            ids: Ids::default(),
            siblings: Siblings::default(),
            workers: Workers::default(),
            pinned: Pinned::default(),
            blind: false,
            serves_unseen: false,
            paused: false,
            ring: false,
        }
    }

    /// Why it may be working for a request that was not seen to come in, if so.
    pub(super) fn asked_unseen(&self) -> Option<Reason> {
        match self.serves_unseen {
            true => Some(Reason::ServesUnseen),
            false => self.paused.then_some(Reason::Paused),
        }
    }

    /// A request came in, which is this call of the process itself, if any.
    pub(super) fn serve(&mut self, begun: &Begun, by: Reader, own: Option<Seq>) {
        if let Some(call) = own {
            self.own_calls.insert(call, begun.seq);
        }
        if by.worker {
            self.workers.reads(begun.moved.tid);
        }
        if self.open.is_empty() {
            self.exclusive.busy(begun.moved.since);
        }
        // Of several that were open, none was alone before.
        if let (1, Some(sole)) = self.in_flight()
            && let Some(served) = self.served.get_mut(&sole)
        {
            served.alone = false;
        }
        self.ends.numbered(begun.seq);
        self.open.insert(begun.seq);
        self.latest = Some(begun.seq);
        self.note_trace(begun);
        self.traces.insert(begun.seq, &begun.head.carrier);
        self.correlations.insert(begun.seq, &begun.head.carrier);
        let overlaps = self.open.len() > 1;
        let served = Served::new(begun, by, overlaps, own.is_some());
        self.served.insert(begun.seq, Box::new(served));
    }

    /// A request comes in with a trace, perhaps with that of another one.
    fn note_trace(&mut self, begun: &Begun) {
        let contexts = &begun.head.carrier.contexts;
        if contexts.is_empty() {
            return;
        }
        let has_sibling = contexts
            .iter()
            .flat_map(|context| self.traces.candidates(&context.trace_id))
            .filter_map(|request| self.served(request))
            .any(|served| share_trace(contexts, &served.carrier.contexts));
        self.siblings.note(begun.left_out, has_sibling);
    }

    /// It is decided for which request a call was made.
    pub(super) fn called(&mut self, call: Seq, asker: Option<Seq>) {
        if let Some(request) = self.own_calls.remove(&call)
            && let Some(served) = self.served.get_mut(&request)
        {
            served.asker = asker;
        }
    }

    /// A call of a kind is over that carries the id of a request; `when` tells how it lay, given when that was answered.
    pub(super) fn parted(
        &mut self,
        request: Seq,
        kind: u64,
        when: impl Fn(Option<KernelNanos>) -> When,
    ) {
        // One that the process made itself carries the id of whoever made it.
        if let Some(served) = self.served.get_mut(&request).filter(|s| !s.own) {
            let when = when(served.until);
            self.ids.parted.saw(&mut served.carrying, kind, when);
        }
    }

    fn end(&mut self, ended: &Ended) -> Option<&mut Served> {
        if self.open.remove(&ended.seq) && self.open.is_empty() {
            self.exclusive.idle(ended.time);
        }
        self.ends.ended(ended.time, self.oldest_open());
        let served = self.served.get_mut(&ended.seq)?;
        self.last_end = Some(ended.time);
        Some(served)
    }

    /// A request has ended: settles the claim.
    pub(super) fn confirm(&mut self, ended: &Ended) -> Option<Confirmed> {
        let served = self.end(ended)?;
        let told = Confirmed {
            confirmed: served.confirm(ended),
            file: served.file,
            reader: served.tid,
            since: served.since,
        };
        if let Some(served) = self.served.get(&ended.seq) {
            self.workers.ended(served);
            // Another was in flight when it came in, or came in while it was.
            if served.overlaps || self.latest != Some(ended.seq) {
                self.pinned.ended(served, ended);
            }
        }
        Some(told)
    }

    /// Whether a request is in flight that came in before `time`.
    pub(super) fn serves_since(&self, time: KernelNanos) -> bool {
        let oldest = self.open.first().and_then(|seq| self.served.get(seq));
        oldest.is_some_and(|s| s.since <= time)
    }

    /// What is to be thought of the thread that served a request of its from its reading to its answer.
    pub(super) fn conduct(&self, served: &Served) -> Conduct {
        self.workers.conduct(served, !self.serves_unseen)
    }

    /// Whether that may still change.
    pub(super) fn is_conduct_open(&self, served: &Served) -> bool {
        self.conduct(served) == Conduct::Unknown || self.workers.is_young(served)
    }

    pub(super) fn break_claim(&mut self, request: Seq, why: Broken) {
        if let Some(served) = self.served.get_mut(&request)
            && matches!(served.claim, Claim::Held(_))
        {
            served.claim = Claim::Broken(why);
        }
    }

    /// Whether any request was ever seen to come in.
    pub(super) fn has_served(&self) -> bool {
        self.latest.is_some()
    }

    /// How many requests are in flight, and which one if it is only one.
    pub(super) fn in_flight(&self) -> (usize, Option<Seq>) {
        let sole = if self.open.len() == 1 {
            self.open.first().copied()
        } else {
            None
        };
        (self.open.len(), sole)
    }

    /// The requests in flight, oldest first.
    pub(super) fn open(&self) -> impl Iterator<Item = &Served> {
        self.open.iter().filter_map(|seq| self.served(*seq))
    }

    /// Whether a request ended at `time` or later.
    pub(super) fn ended_since(&self, time: KernelNanos) -> bool {
        self.last_end.is_some_and(|end| end >= time)
    }

    /// The oldest request that is open.
    pub(super) fn oldest_open(&self) -> Option<Seq> {
        self.open.first().copied()
    }

    /// A number that is above those of all requests that are open.
    pub(super) fn next_request(&self) -> Seq {
        Seq(self.open.last().map_or(0, |last| last.0 + 1))
    }

    /// Whether all requests that were open when something with the number `seq` was done, at `since`, had
    /// ended by `time`.
    pub(super) fn all_ended_by(&self, seq: Seq, since: KernelNanos, time: KernelNanos) -> bool {
        self.oldest_open().is_none_or(|open| open > seq) && self.ends.all_by(seq, since, time)
    }

    /// Whether it has served nothing since, and serves nothing.
    pub(super) fn is_idle_since(&self, time: KernelNanos) -> bool {
        self.open.is_empty() && self.last_end.is_none_or(|end| end <= time)
    }

    /// Whether a request has been answered so lately that work for it may still go on.
    pub(super) fn just_ended(&self, at: KernelNanos) -> bool {
        self.last_end.is_some_and(|end| at.since(end) < AFTERWORK)
    }

    pub(super) fn served(&self, seq: Seq) -> Option<&Served> {
        self.served.get(&seq).map(Box::as_ref)
    }

    /// The requests that it was serving at a moment, oldest first.
    pub(super) fn serving_at(
        &self,
        time: KernelNanos,
    ) -> Vec<(Seq, Tid, KernelNanos, Option<KernelNanos>, Claim)> {
        let mut serving: Vec<_> = self
            .served
            .values()
            .filter(|s| s.since <= time && s.until.is_none_or(|until| until >= time))
            .map(|s| (s.seq, s.tid, s.since, s.until, s.claim))
            .collect();
        serving.sort_unstable_by_key(|(seq, ..)| *seq);
        serving
    }

    pub(super) fn forget(&mut self, seq: Seq) {
        if let Some(served) = self.served.remove(&seq) {
            self.traces.remove(seq, &served.carrier);
            self.correlations.remove(seq, &served.carrier);
        }
    }
}
