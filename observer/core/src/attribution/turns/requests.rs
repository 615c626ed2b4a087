//! What becomes of requests, and whether they were answered where they should have been.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::gaps::Gaps;
use super::thread::STARTING;
use super::{Changes, findings};
use crate::ids::{KernelNanos, Seq, Tgid};

/// Requests that are remembered.
const MAX_REQUESTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Processes that are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Of this many requests one may be answered in another's turn; if there are more, nothing of the process counts.
const TOLERATED: u32 = 2_000;

/// Of this many requests one may be answered in a turn of none: after a timer, or in an immediate that a client keeps for whoever
/// comes. If more are, they are woken by what wakes others too.
const TOLERATED_LOST: u32 = 20;

/// Answers after which the process is known well enough not to wait for more.
const KNOWN: u32 = 100;

/// Answers up to which it is waited whether the process turns out better than its beginning.
const YOUNG: u32 = 1_000;

/// Counts are halved when they reach this, so that what is long past counts less.
const MAX_COUNT: u32 = 4_096;

#[derive(Debug)]
pub(super) struct Requests {
    requests: LruCache<Seq, Request>,
    processes: LruCache<Tgid, Process>,
}

#[derive(Debug, Default)]
struct Process {
    counts: Counts,
    gaps: Gaps,
    /// When the first of its workers was first seen that answered a request in a turn of none while it started.
    began: Option<KernelNanos>,
}

#[derive(Debug)]
struct Request {
    until: Option<(KernelNanos, Seq)>,
    /// The turn in which it was answered goes on.
    answering: bool,
    /// The turn in which it was read was its own.
    followed: bool,
    /// It was answered in a turn of its own.
    proven: bool,
    /// Another request was answered in a turn of it, or something that was begun for it goes on.
    spoilt: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    own: u32,
    foreign: u32,
    /// Answered in a turn of none.
    lost: u32,
}

/// What a request's turns are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known of it.
    Forgotten,
    /// It has not been answered.
    Open,
    /// It has been answered since then, in a turn that goes on.
    Answering(KernelNanos),
    /// It was not seen to be answered in one of its turns.
    Unproven,
    /// Something that may speak against it was not seen, as the process was not watched then.
    Unwatched,
    /// Its turns serve others too.
    Shared,
    /// So many requests were not answered in their own turns that nothing of the process counts.
    Doubtful {
        /// When it was answered, if it was.
        since: Option<KernelNanos>,
        /// So few were answered yet that this may change.
        young: bool,
    },
    /// It was answered in one of its turns.
    Proven {
        /// When.
        until: KernelNanos,
        /// Requests with a lower number had begun by then.
        watermark: Seq,
        /// So many others were, too, that the process hardly answers requests in others' turns.
        usual: bool,
    },
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            requests: LruCache::sparse(MAX_REQUESTS),
            processes: LruCache::sparse(MAX_PROCESSES),
        }
    }
}

impl Requests {
    pub(super) fn begun(&mut self, tgid: Tgid, request: Seq, changes: &mut Changes) {
        self.process(tgid, changes).gaps.begun(request);
        let forgotten = self.requests.push(
            request,
            Request {
                until: None,
                answering: false,
                followed: false,
                proven: false,
                spoilt: false,
            },
        );
        changes.changed(findings::request(request));
        if let Some((forgotten, _)) = forgotten {
            changes.changed(findings::request(forgotten));
        }
    }

    pub(super) fn ended(
        &mut self,
        request: Seq,
        time: KernelNanos,
        watermark: Seq,
        changes: &mut Changes,
    ) {
        if let Some(request) = self.changing(request, changes) {
            request.until = Some((time, watermark));
        }
    }

    fn changing(&mut self, request: Seq, changes: &mut Changes) -> Option<&mut Request> {
        changes.changed(findings::request(request));
        self.requests.get_mut(&request)
    }

    fn process(&mut self, tgid: Tgid, changes: &mut Changes) -> &mut Process {
        if self.processes.len() == self.processes.cap().get() && !self.processes.contains(&tgid) {
            // Another one is forgotten.
            changes.all_changed();
        }
        self.processes.get_or_insert_mut(tgid, Process::default)
    }

    /// The turns of a process are seen from now on, or not.
    pub(super) fn watched(&mut self, tgid: Tgid, watched: bool, changes: &mut Changes) {
        changes.changed(findings::process(tgid));
        self.process(tgid, changes).gaps.watched(watched);
    }

    /// A turn that was seen ended.
    pub(super) fn turn_ended(&mut self, tgid: Tgid, time: KernelNanos, changes: &mut Changes) {
        if self.process(tgid, changes).gaps.turn_ended(time) {
            changes.changed(findings::process(tgid));
        }
    }

    pub(super) fn is_sampled(&self, tgid: Tgid) -> bool {
        self.processes
            .peek(&tgid)
            .is_some_and(|process| process.gaps.any())
    }

    /// A request was answered, and in which turn is not known; requests below `watermark` had begun by then.
    pub(super) fn unseen(
        &mut self,
        tgid: Tgid,
        request: Seq,
        watermark: Seq,
        changes: &mut Changes,
    ) {
        changes.changed(findings::process(tgid));
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.gaps.unseen(request, watermark);
        }
    }

    /// Whether a request was still to be answered at `time`.
    pub(super) fn is_open(&self, request: Seq, time: KernelNanos) -> bool {
        let request = self.requests.peek(&request);
        request.is_some_and(|r| r.until.is_none_or(|(until, _)| until >= time))
    }

    /// A request was answered in a turn that goes on.
    pub(super) fn answering(&mut self, request: Seq, changes: &mut Changes) {
        if let Some(request) = self.changing(request, changes) {
            request.answering = true;
        }
    }

    /// A request was answered in a turn of `owner`.
    pub(super) fn answered_by(
        &mut self,
        tgid: Tgid,
        request: Seq,
        owner: Option<Seq>,
        changes: &mut Changes,
    ) {
        let mut followed = false;
        if let Some(request) = self.changing(request, changes) {
            request.answering = false;
            followed = request.followed;
        }
        let process = self.process(tgid, changes);
        let spans = process.gaps.spans(request);
        let before = process.worth();
        let counts = &mut process.counts;
        if counts.own.max(counts.foreign).max(counts.lost) >= MAX_COUNT {
            counts.own /= 2;
            counts.foreign /= 2;
            counts.lost /= 2;
        }
        match owner {
            Some(owner) if owner == request => counts.own += 1,
            Some(_) => counts.foreign += 1,
            // Which turn it was of may have been seen no better than the rest of its life.
            None => counts.lost += u32::from(!spans && followed),
        }
        if process.worth() != before {
            changes.changed(findings::process(tgid));
        }
        match owner {
            Some(owner) if owner == request => {
                if let Some(request) = self.changing(request, changes) {
                    request.proven = true;
                }
            }
            Some(other) => {
                self.spoil(other, changes);
                self.spoil(request, changes);
            }
            None => {}
        }
    }

    /// Whether a worker that starts, first seen at `since`, does so as the process's workers begin. Workers that come and go all the time are
    /// always just starting: what they answer in turns of none would never speak against the process.
    pub(super) fn is_beginning(
        &mut self,
        tgid: Tgid,
        since: KernelNanos,
        changes: &mut Changes,
    ) -> bool {
        let process = self.process(tgid, changes);
        if process.began.is_none() {
            changes.changed(findings::process(tgid));
        }
        since.since(*process.began.get_or_insert(since)) < STARTING
    }

    /// A request was answered in a turn of none, which says nothing.
    pub(super) fn answered_while_starting(&mut self, request: Seq, changes: &mut Changes) {
        if let Some(request) = self.changing(request, changes) {
            request.answering = false;
        }
    }

    /// The turn in which a request was read has ended, and was its own.
    pub(super) fn followed(&mut self, request: Seq) {
        if let Some(request) = self.requests.get_mut(&request) {
            request.followed = true;
        }
    }

    /// What was done in turns of a request is not known to be done for it.
    pub(super) fn spoil(&mut self, request: Seq, changes: &mut Changes) {
        if let Some(request) = self.changing(request, changes) {
            request.spoilt = true;
        }
    }

    /// What the turns of a request are worth by evidence that may turn out wrong for `wait` nanoseconds after its answer.
    pub(super) fn standing(&self, tgid: Tgid, seq: Seq, wait: u64) -> Standing {
        let Some((request, process)) = self.requests.peek(&seq).zip(self.processes.peek(&tgid))
        else {
            return Standing::Forgotten;
        };
        let Process { counts, gaps, .. } = process;
        match request.until {
            _ if request.spoilt => Standing::Shared,
            _ if counts.mixed() => Standing::Doubtful {
                since: request.until.map(|(until, _)| until),
                young: counts.young(),
            },
            None => Standing::Open,
            Some((until, _)) if request.answering => Standing::Answering(until),
            Some((until, watermark)) if gaps.hide(seq, watermark, until, wait) => {
                Standing::Unwatched
            }
            Some((until, watermark)) if request.proven => Standing::Proven {
                until,
                watermark,
                usual: process.is_known(),
            },
            Some(_) => Standing::Unproven,
        }
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
    }
}

impl Process {
    /// Whether so many requests were answered in turns of their own that the process hardly answers any in others'.
    fn is_known(&self) -> bool {
        // What its beginning hides shows later.
        let enough = if self.began.is_some() { YOUNG } else { KNOWN };
        self.counts.own >= enough
    }

    /// All that the standing of its requests depends on, except for what was not seen.
    fn worth(&self) -> (bool, bool, bool) {
        let counts = self.counts;
        (counts.mixed(), counts.young(), self.is_known())
    }
}

impl Counts {
    /// Whether requests are answered elsewhere than in their own turns more than now and then.
    fn mixed(self) -> bool {
        self.foreign * TOLERATED > self.own || self.lost * TOLERATED_LOST > self.own
    }

    /// Whether so few requests were answered, none in another's turn, that those of the beginning weigh too much: connections are opened then,
    /// and what is read first was written before the watch.
    fn young(self) -> bool {
        self.foreign == 0 && self.own + self.lost < YOUNG
    }
}
