//! Tier 4, tasks by their makers: what a pool's thread does for a task was done for the request of the thread that made
//! the task's object.
//!
//! Java's threads make objects in buffers of their own, from which memory is taken in order. So the address of an object says
//! which thread made it, and between which two of that thread's records, whatever queue it went through, and
//! whether or not anybody waits for it. A collector moves objects; addresses are compared only between records
//! that no collection separates. A maker that serves a request made the task for that one; one
//! that worked at a task itself, the same before and after, made it for what that task was made for.
//!
//! A task that runs more than once, as those do that empty a queue of their own, may do others' work in each
//! run. So a class of tasks is believed only once enough of them were seen to run once. And clients have tasks of their own, which
//! a thread of a request makes now and then: they look after connections, for the next call on which they are taken. So of a class that is
//! believed most are made by threads that serve requests (measured: 84 % and more of what callers make, at most 41 % of what looks after connections).

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::evidence::Link;
use super::mounted::Root;
use super::process::Process;
use super::subject::{Hold, Subject};
use super::{Attributor, PROOF_PATIENCE};
use crate::feedback::Feedback;
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::judged::{Evidence, Reason};
use crate::record::{Heap, Record, Runs};

/// Threads whose last record is remembered.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Pieces of buffers of which it is remembered who filled them.
const MAX_PIECES: usize = 65_536;

/// Tasks, and work done for them, that are remembered.
const MAX_TASKS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Classes of tasks that are counted.
const MAX_CLASSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Tasks of a class after which it is known whether they run once.
const MIN_TASKS: u32 = 20;

/// Of so many, one may seem to run again.
const AGAIN: u32 = 200;

/// Of so many tasks whose maker is known, one may have been made by a thread that serves no request.
const SERVES_NOT: u32 = 5;

/// Counts of these are halved when they reach this, so that what is long past counts less.
const MAX_KNOWN: u32 = 4_096;

/// How long after a task was first seen its maker is looked for, for what is known of its class, nanoseconds: the maker's
/// next record has come by then, mostly.
const SETTLES: u64 = 1_000_000_000;

/// Records of a process after which it is asked for no more, unless threads that serve no request are seen to work in it.
const TRIAL: u32 = 4_096;

/// Processes whose records are counted.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Tasks that made each other, at most.
const MAX_REMOVE: usize = 8;

/// An object that is a task, at a place where no collection has moved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Task {
    tgid: Tgid,
    collections: u32,
    address: u64,
    class: u32,
}

/// What one record told of a thread.
#[derive(Clone, Copy, Debug)]
struct Seen {
    tgid: Tgid,
    time: KernelNanos,
    heap: Heap,
    task: Option<Task>,
}

/// A piece of a buffer that was filled between two records of its thread.
#[derive(Debug)]
struct Piece {
    end: u64,
    by: Tid,
    since: KernelNanos,
    until: KernelNanos,
    /// What the thread did then, or what ran on it.
    hold: Hold,
    /// Several may have run on the thread one after the other, so that it is nobody's.
    shared: bool,
    /// The task that it worked at before and after.
    task: Option<Task>,
}

/// A process, its collections, and an address.
type Place = (Tgid, u32, u64);

#[derive(Clone, Copy, Debug, Default)]
struct Class {
    tasks: u32,
    again: u32,
    /// Tasks whose maker is known to have served a request, or nothing.
    known: u32,
    /// Of these, how many were made by one that served.
    serving: u32,
}

/// What is known of tasks and their makers.
#[derive(Debug)]
pub(super) struct Made {
    threads: LruCache<Tid, Seen>,
    /// By where they begin.
    pieces: BTreeMap<Place, Piece>,
    order: VecDeque<Place>,
    /// What a thread worked at when it moved bytes, or took a connection.
    at: LruCache<(Tid, KernelNanos), Task>,
    work: LruCache<Seq, Task>,
    /// Who ran a task, until which record.
    runs: LruCache<Task, Tid>,
    /// Threads that were seen to run one.
    workers: LruCache<Tid, ()>,
    /// Tasks whose makers are to be counted, and since when.
    fresh: VecDeque<(KernelNanos, Task)>,
    classes: LruCache<(Tgid, u32), Class>,
    /// Records of each process.
    told: LruCache<Tgid, u32>,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            threads: LruCache::new(MAX_THREADS),
            pieces: BTreeMap::new(),
            order: VecDeque::new(),
            at: LruCache::new(MAX_TASKS),
            work: LruCache::new(MAX_TASKS),
            runs: LruCache::new(MAX_TASKS),
            workers: LruCache::new(MAX_THREADS),
            fresh: VecDeque::new(),
            classes: LruCache::new(MAX_CLASSES),
            told: LruCache::new(MAX_PROCESSES),
        }
    }
}

impl Made {
    /// What the runtime keeps of a thread of `tgid`, which since its last record did what `hold` says; when it was born, if that was
    /// seen.
    pub(super) fn saw(
        &mut self,
        (tgid, tid): (Tgid, Tid),
        time: KernelNanos,
        heap: Heap,
        hold: Hold,
        born: Option<KernelNanos>,
    ) {
        // Without a buffer a collection may be moving objects; and what a virtual thread leaves on the stack is no pool's.
        let known = heap.task != 0 && heap.start != 0 && heap.runs == Runs::Itself;
        let task = known.then_some(Task {
            tgid,
            collections: heap.collections,
            address: heap.task,
            class: heap.class,
        });
        let before = self.threads.push(
            tid,
            Seen {
                tgid,
                time,
                heap,
                task,
            },
        );
        let before = before
            .and_then(|(of, seen)| (of == tid).then_some(seen))
            .filter(|seen| born.is_none_or(|born| seen.time >= born));
        if let Some(task) = task {
            self.at.push((tid, time), task);
            self.ran((tid, time), task, before.and_then(|b| b.task) == Some(task));
        }
        let Some(before) = before else {
            // Its first buffer is its own from the beginning.
            if let Some(since) = born.filter(|_| heap.start != 0 && heap.start < heap.top) {
                let piece = Piece {
                    end: heap.top,
                    by: tid,
                    since,
                    until: time,
                    hold,
                    shared: heap.runs != Runs::Itself,
                    task: None,
                };
                self.insert((tgid, heap.collections, heap.start), piece);
            }
            return;
        };
        if before.time >= time {
            return;
        }
        let same = before.heap.start == heap.start && before.heap.collections == heap.collections;
        let shared = before.heap.runs != heap.runs || heap.runs == Runs::Unknown;
        let fill = |start, end| Piece {
            end,
            by: tid,
            since: before.time,
            until: time,
            hold: hold.clone(),
            shared,
            task: task.filter(|task| before.task == Some(*task) && start < end),
        };
        let old = if same { heap.top } else { before.heap.end };
        let pieces = [
            (before.heap, before.heap.top, old),
            (heap, heap.start, if same { 0 } else { heap.top }),
        ];
        for (of, start, end) in pieces {
            if of.start != 0 && start < end {
                self.insert((tgid, of.collections, start), fill(start, end));
            }
        }
    }

    fn insert(&mut self, place: Place, piece: Piece) {
        if self.order.len() == MAX_PIECES
            && let Some(oldest) = self.order.pop_front()
        {
            self.pieces.remove(&oldest);
        }
        self.order.push_back(place);
        self.pieces.insert(place, piece);
    }

    /// A thread runs a task; `still` if it did so at its last record.
    fn ran(&mut self, (tid, time): (Tid, KernelNanos), task: Task, still: bool) {
        let class = self
            .classes
            .get_or_insert_mut((task.tgid, task.class), Class::default);
        self.workers.put(tid, ());
        match self.runs.put(task, tid) {
            None => {
                class.tasks = class.tasks.saturating_add(1);
                if self.fresh.len() == MAX_PIECES {
                    self.fresh.pop_front();
                }
                self.fresh.push_back((time, task));
            }
            Some(before) if before == tid && still => {}
            Some(_) => class.again = class.again.saturating_add(1),
        }
    }

    /// The next task that was first seen so long ago that its maker is known by now, if it ever is.
    fn settled(&mut self, now: KernelNanos) -> Option<Task> {
        let ripe = |(since, _): &mut (KernelNanos, Task)| now.since(*since) > SETTLES;
        self.fresh.pop_front_if(ripe).map(|(_, task)| task)
    }

    /// It is known whether the maker of a task served a request.
    fn count(&mut self, task: Task, serving: bool) {
        if let Some(class) = self.classes.get_mut(&(task.tgid, task.class)) {
            if class.known == MAX_KNOWN {
                class.known /= 2;
                class.serving /= 2;
            }
            class.known += 1;
            class.serving += u32::from(serving);
        }
    }

    /// Something was done by a thread that moved bytes for it, or took its connection, at `time`.
    pub(super) fn did(&mut self, seq: Seq, tid: Tid, time: KernelNanos) {
        if let Some(task) = self.at.peek(&(tid, time)) {
            self.work.push(seq, *task);
        }
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.told.pop(&tgid);
        cache::remove(&mut self.threads, |_, seen| seen.tgid == tgid);
        self.order.retain(|(of, ..)| *of != tgid);
        let mut pieces = self.pieces.range((tgid, 0, 0)..);
        // Most processes have none, and going through those of others takes long.
        if pieces.next().is_some_and(|((of, ..), _)| *of == tgid) {
            self.pieces.retain(|(of, ..), _| *of != tgid);
        }
    }

    /// Whether tasks of that class run once, and are made by threads that serve requests, or by each other; `None` while too few of them
    /// are known.
    fn believes(&self, task: Task) -> Option<bool> {
        let class = self.classes.peek(&(task.tgid, task.class))?;
        let enough = class.tasks >= MIN_TASKS && class.known >= MIN_TASKS;
        let once = class.again.saturating_mul(AGAIN) <= class.tasks;
        let others = (class.known - class.serving).saturating_mul(SERVES_NOT);
        enough.then_some(once && others <= class.known)
    }

    /// The piece of a buffer in which a task was made.
    fn piece(&self, task: Task) -> Option<&Piece> {
        let place = (task.tgid, task.collections, task.address);
        let (found, piece) = self.pieces.range(..=place).next_back()?;
        let same = (found.0, found.1) == (task.tgid, task.collections);
        (same && task.address < piece.end).then_some(piece)
    }

    /// Where some work's task, or the one for which that was made, was made by what may have served a request, or was started for
    /// one; and whether the classes of all these tasks are believed, or it is too early to say.
    fn traced(&self, work: Seq) -> Option<(&Piece, bool)> {
        let mut task = *self.work.peek(&work)?;
        let mut proven = true;
        for _ in 0..MAX_REMOVE {
            match self.believes(task) {
                Some(true) => {}
                Some(false) => return None,
                None => proven = false,
            }
            let piece = self.piece(task).filter(|piece| !piece.shared)?;
            match (&piece.hold, piece.task) {
                (Hold::Serving(_) | Hold::Running(_), _) | (Hold::Born(_), None) => {
                    return Some((piece, proven));
                }
                (_, made_for) => task = made_for?,
            }
        }
        None
    }

    /// Where some work's task was made, as far as that is believed.
    fn origin(&self, work: Seq) -> Option<&Piece> {
        self.traced(work)
            .filter(|(_, proven)| *proven)
            .map(|(piece, _)| piece)
    }

    /// Whether it is too early to say if it is to be believed who made some work's task.
    fn is_open(&self, work: Seq) -> bool {
        self.traced(work).is_some_and(|(_, proven)| !proven)
    }

    /// Whether some work is known to have been done for a task.
    pub(super) fn has_task(&self, work: Seq) -> bool {
        self.work.contains(&work)
    }

    /// One more record of a process's threads. True once, when there were so many of them that one may ask what for.
    fn counted(&mut self, tgid: Tgid) -> bool {
        let told = self.told.get_or_insert_mut(tgid, || 0);
        *told = told.saturating_add(1);
        *told == TRIAL
    }

    /// Whether a thread was seen to run tasks.
    fn is_worker(&self, tid: Tid) -> bool {
        self.workers.contains(&tid)
    }
}

impl Attributor {
    /// What the runtime keeps of a thread that is about to move bytes, or to take a connection.
    pub fn heap(&mut self, record: &Record<'_>, heap: &Heap) {
        let hold = self.making(record, heap);
        let birth = self.threads.birth(record.tid);
        let born = birth
            .and_then(|birth| self.births.get(birth))
            .map(|birth| birth.born);
        let thread = (record.tgid, record.tid);
        self.made.saw(thread, record.time, *heap, hold, born);
        if self.made.counted(record.tgid) && !self.wakes.follows(record.tgid) {
            self.feedback.push(Feedback::NoTasks(record.tgid));
        }
    }

    /// Counts for which classes it is known by now who makes them, or ever will be when `stopping`.
    pub(super) fn look_at_makers(&mut self, now: KernelNanos, stopping: bool) {
        let by = if stopping { KernelNanos(u64::MAX) } else { now };
        while let Some(task) = self.made.settled(by) {
            if let Some(serving) = self.is_maker_serving(task, now) {
                self.made.count(task, serving);
            }
        }
    }

    /// Whether the maker of a task served a request, or was started for one; `None` if that is not known.
    fn is_maker_serving(&self, task: Task, now: KernelNanos) -> Option<bool> {
        let piece = self.made.piece(task).filter(|piece| !piece.shared)?;
        let root = match &piece.hold {
            Hold::Serving(_) => return Some(true),
            // Made for another task.
            _ if piece.task.is_some() => return None,
            Hold::Running(doer) => self.root_of(task.tgid, doer, now),
            Hold::Born(birth) => match self.births.get(*birth)?.ended {
                None if self.outlived(task.tgid, *birth, now) => Root::None,
                None => return None,
                Some(_) => self.root(task.tgid, *birth, now),
            },
            _ => Root::None,
        };
        match root {
            Root::Request(_) => Some(true),
            // What a timer's own thread makes is like what requests' threads make.
            Root::None if !self.made.is_worker(piece.by) && !self.clients.writes(piece.by) => None,
            Root::None => Some(false),
            Root::Unanswered | Root::Unsettled => None,
        }
    }

    /// Whether nothing is to come that says more about who made the task for which something was done: tasks of its class, mostly.
    pub(super) fn made_is_due(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> bool {
        !self.made.is_open(subject.seq)
            || now.since(subject.time) > PROOF_PATIENCE
            || !super::named::same_trace(process, subject).is_empty()
    }

    /// What was done by the thread that had made the task for which something was done, if that was made for a request.
    pub(super) fn made_by(&self, subject: &Subject) -> Option<&Hold> {
        self.made.origin(subject.seq).map(|piece| &piece.hold)
    }

    /// Evidence of the thread that made the task for which something was done.
    pub(super) fn made(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let piece = self.made.origin(subject.seq).ok_or(None)?;
        let link = self.worked_for(process, subject, &piece.hold, now)?;
        let served = process.served(link.request).ok_or(None)?;
        let until = served.until.ok_or(Some(Reason::StillOpen))?;
        let made_during = served.since <= piece.since && until >= piece.until;
        if !made_during || subject.time > until {
            return Err(None);
        }
        self.check(process, subject, link.request, 0)?;
        Ok(link.handed_on(Evidence::Made { by: piece.by }))
    }
}

#[cfg(test)]
mod tests;
