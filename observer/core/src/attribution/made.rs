//! Tier 4, tasks by their makers: what a pool's thread does for a task was done for the request of the thread that made
//! the task's object.
//!
//! Java's threads make objects in buffers of their own, from which memory is taken in order. So the address of an object says
//! which thread made it, and between which two of that thread's records, whatever queue it went through, and
//! whether or not anybody waits for it. A collector moves objects; addresses are compared only between records
//! that no collection separates. A maker that serves a request made the task for that one; one
//! that worked at a task itself, the same before and after, made it for what that task was made for.
//!
//! A task may do others' work as well: one that empties a list is made by the request that finds the list empty, and goes on with what others
//! put into it meanwhile. That goes on when the request is over. So nothing is concluded from a task that was seen to run after its request's
//! end, nor of a call whose response came later.
//!
//! A task that runs more than once, as those do that empty a queue of their own, may do others' work in each
//! run. So a class of tasks is believed only once enough of them were seen to run once. And clients have tasks of their own, which
//! a thread of a request makes now and then: they look after connections, for the next call on which they are taken. So of a class that is
//! believed most are made by threads that serve requests (measured: 84 % and more of what callers make, at most 41 % of what looks after connections).
//!
//! Virtual threads share the buffer of the thread that carries them. What one of them makes before it leaves, with no call in between, lies in a piece that
//! others may have filled as well; it is told by where it lies there ([`usual`]).
//!
//! A thread that is started for one piece of work, whoever starts it (the one that completes a future starts a thread for each of what others had waiting), runs
//! one object in its life, its *target*. That was made by whoever wanted the work done. It is believed as births are: if the thread ends
//! with the request.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;
use pieces::{Piece, Pieces, Place};
use targets::Targets;
use usual::Usual;

use super::cache;
use super::subject::{Doer, Hold};
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::record::{Heap, Runs};

/// Threads whose last record is remembered.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

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

/// An object that is a task, at a place where no collection has moved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Task {
    tgid: Tgid,
    collections: u32,
    address: u64,
    class: u32,
}

impl Task {
    fn place(self) -> Place {
        (self.tgid, self.collections, self.address)
    }
}

/// What one record told of a thread.
#[derive(Clone, Copy, Debug)]
struct Seen {
    tgid: Tgid,
    time: KernelNanos,
    heap: Heap,
    task: Option<Task>,
    /// The task that it may be at: that of an earlier record where this one does not tell.
    at: Option<Task>,
    /// The virtual thread that ran on it, unless that may have left it there.
    goes_on: Option<Doer>,
}

/// What was seen of the run of a task.
#[derive(Clone, Copy, Debug)]
struct Run {
    tid: Tid,
    /// The last record of its thread that names it.
    last: KernelNanos,
    /// What the same object may be called since a collection has moved it.
    moved: Option<Task>,
}

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
    pieces: Pieces,
    /// Threads that were seen to carry virtual threads.
    carriers: LruCache<Tid, ()>,
    /// Where a virtual thread was seen last.
    carried: LruCache<(Tgid, u64), Tid>,
    /// What a thread worked at when it moved bytes, or took a connection.
    at: LruCache<(Tid, KernelNanos), Task>,
    work: LruCache<Seq, Task>,
    runs: LruCache<Task, Run>,
    /// Threads that were seen to run one.
    workers: LruCache<Tid, ()>,
    targets: Targets,
    usual: Usual,
    /// Tasks whose makers are to be counted, and since when.
    fresh: VecDeque<(KernelNanos, Task)>,
    classes: LruCache<(Tgid, u32), Class>,
    /// Records of each process.
    told: LruCache<Tgid, u32>,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            threads: LruCache::sparse(MAX_THREADS),
            pieces: Pieces::default(),
            carriers: LruCache::sparse(MAX_THREADS),
            carried: LruCache::sparse(MAX_TASKS),
            at: LruCache::sparse(MAX_TASKS),
            work: LruCache::sparse(MAX_TASKS),
            runs: LruCache::sparse(MAX_TASKS),
            workers: LruCache::sparse(MAX_THREADS),
            targets: Targets::default(),
            usual: Usual::default(),
            fresh: VecDeque::new(),
            classes: LruCache::sparse(MAX_CLASSES),
            told: LruCache::sparse(MAX_PROCESSES),
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
        let before = self.threads.peek(&tid).copied();
        let before =
            before.filter(|seen| seen.tgid == tgid && born.is_none_or(|born| seen.time >= born));
        let goes_on = match &hold {
            Hold::Running(doer) => Some(*doer),
            _ => None,
        };
        let task = self.now_at((tgid, tid), time, heap, before, goes_on);
        let alone = self.is_alone((tgid, tid), heap.runs, before);
        let Some(before) = before else {
            // Its first buffer is its own from the beginning.
            if let Some(since) = born.filter(|_| heap.start != 0 && heap.start < heap.top) {
                let piece = Piece {
                    start: heap.start,
                    end: heap.top,
                    by: tid,
                    since,
                    until: time,
                    hold,
                    first: None,
                    shared: heap.runs != Runs::Itself,
                    task: None,
                };
                self.pieces
                    .insert((tgid, heap.collections, heap.start), piece);
            }
            return;
        };
        if before.time >= time {
            return;
        }
        let same = before.heap.start == heap.start && before.heap.collections == heap.collections;
        let fill = |start, end| Piece {
            start,
            end,
            by: tid,
            since: before.time,
            until: time,
            hold: hold.clone(),
            first: before
                .goes_on
                .filter(|_| start == before.heap.top)
                .map(Hold::Running),
            shared: !alone,
            task: task.filter(|task| before.task == Some(*task) && start < end),
        };
        let old = if same { heap.top } else { before.heap.end };
        let pieces = [
            (before.heap, before.heap.top, old),
            (heap, heap.start, if same { 0 } else { heap.top }),
        ];
        for (of, start, end) in pieces {
            if of.start != 0 && start < end {
                self.pieces
                    .insert((tgid, of.collections, start), fill(start, end));
            }
        }
    }

    /// The task at which a thread is by a record, if that tells.
    fn now_at(
        &mut self,
        (tgid, tid): (Tgid, Tid),
        time: KernelNanos,
        heap: Heap,
        before: Option<Seen>,
        goes_on: Option<Doer>,
    ) -> Option<Task> {
        // Without a buffer a collection may be moving objects; and what a virtual thread leaves on the stack is no pool's.
        let told = heap.start != 0 && heap.runs == Runs::Itself;
        let task = (told && heap.task != 0).then_some(Task {
            tgid,
            collections: heap.collections,
            address: heap.task,
            class: heap.class,
        });
        // After a collection a task may not be found at once.
        let none = told
            && heap.task == 0
            && before.is_none_or(|before| before.heap.collections == heap.collections);
        let was_at = before.and_then(|before| before.at);
        let at = if none { None } else { task.or(was_at) };
        let seen = Seen {
            tgid,
            time,
            heap,
            task,
            at,
            goes_on,
        };
        self.threads.push(tid, seen);
        let task = task?;
        self.at.push((tid, time), task);
        if let Some(was_at) = was_at
            && was_at.collections != task.collections
            && was_at.class == task.class
            && let Some(run) = self.runs.get_mut(&was_at)
        {
            run.moved = Some(task);
        }
        self.ran((tid, time), task, was_at == Some(task));
        Some(task)
    }

    /// Whether one alone has filled a thread's buffer since `before`, where it can be known: a virtual thread that was elsewhere in between has
    /// left it to others.
    fn is_alone(&mut self, (tgid, tid): (Tgid, Tid), runs: Runs, before: Option<Seen>) -> bool {
        let stayed = match runs {
            Runs::Itself => true,
            Runs::Virtual(id) => {
                self.carriers.put(tid, ());
                self.carried.put((tgid, id), tid) == Some(tid)
            }
            Runs::Unknown => false,
        };
        stayed && before.is_some_and(|before| before.heap.runs == runs)
    }

    /// A thread runs a task; `still` if it did so at its last record.
    fn ran(&mut self, (tid, time): (Tid, KernelNanos), task: Task, still: bool) {
        let class = self
            .classes
            .get_or_insert_mut((task.tgid, task.class), Class::default);
        self.workers.put(tid, ());
        let run = Run {
            tid,
            last: time,
            moved: None,
        };
        match self.runs.put(task, run) {
            None => {
                class.tasks = class.tasks.saturating_add(1);
                if self.fresh.len() == MAX_TASKS.get() {
                    self.fresh.pop_front();
                }
                self.fresh.push_back((time, task));
            }
            Some(before) if before.tid == tid && still => {}
            Some(_) => class.again = class.again.saturating_add(1),
        }
    }

    /// The next task that was first seen so long ago that its maker is known by now, if it ever is.
    fn settled(&mut self, now: KernelNanos) -> Option<Task> {
        let ripe = |(since, _): &mut (KernelNanos, Task)| now.since(*since) > SETTLES;
        let (_, task) = self.fresh.pop_front_if(ripe)?;
        if let Some(piece) = self.pieces.find(task.place()) {
            self.usual.learn(task, piece);
        }
        Some(task)
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

    /// A thread moves bytes, or takes a connection: what runs on it may leave it then.
    pub(super) fn may_leave(&mut self, tid: Tid, time: KernelNanos) {
        if self.threads.is_empty() {
            return;
        }
        if let Some(seen) = self.threads.peek_mut(&tid).filter(|seen| seen.time == time) {
            seen.goes_on = None;
        }
    }

    /// Something was done by a thread that moved bytes for it, or took its connection, at `time`.
    pub(super) fn did(&mut self, seq: Seq, tid: Tid, time: KernelNanos) {
        if let Some(task) = self.at.peek(&(tid, time)) {
            self.work.push(seq, *task);
        }
    }

    /// Whether it is known which task a thread worked at as it took a connection at `time`.
    pub(super) fn is_at_task(&self, tid: Tid, time: KernelNanos) -> bool {
        self.at.contains(&(tid, time))
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.told.pop(&tgid);
        cache::remove(&mut self.threads, |_, seen| seen.tgid == tgid);
        cache::remove(&mut self.classes, |(of, _), _| *of == tgid);
        cache::remove(&mut self.runs, |task, _| task.tgid == tgid);
        cache::remove(&mut self.carried, |(of, _), _| *of == tgid);
        self.targets.process_ended(tgid);
        self.usual.process_ended(tgid);
        self.pieces.process_ended(tgid);
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

mod origins;
mod pieces;
mod targets;
mod usual;
mod weigh;

#[cfg(test)]
mod tests;
