//! Tier 4, wakes: threads of a pool work for the thread that wakes them, and wake the one that waits for
//! the result.
//!
//! What a worker did, since it last woke such a thread, was done for the request of the one that it wakes then.
//! Whom a worker was woken by says less: workers take each other's tasks. So that decides nothing, but where both
//! name the same request in nearly all cases, the process's wakes are believed.
//!
//! A lock that two threads contend for wakes them in just that way. So a wake counts as the end of a task
//! only if the worker got the response to a call meanwhile, which no lock is held for that serving
//! threads wait for. And a worker that finds work in its queue goes on without a pause, so that two tasks, of
//! which only the second one was waited for, look like one. Hence of what a worker did only the shortest
//! ending is taken that was often a whole task in this process ([`Tasks`]).
//!
//! Records of one thread may be released late, so what happened is looked at in order of time, a moment later.
//!
//! Which process needs it shows by work of several threads that serve no request: the probes are asked then ([`Following`]).

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::following::Following;
use super::subject::Hold;
use super::tasks::{Item, Task, Tasks};
use super::words::Words;
use crate::ids::{KernelNanos, Seq, Tgid, Tid};

/// How long after it happened something is looked at, nanoseconds: what the front stage holds back has come by then.
pub(super) const DELAY: u64 = 150_000_000;

/// What waits to be looked at, at most; beyond that it is forgotten.
const MAX_COMING: usize = 200_000;

/// Threads that are followed.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Processes that are followed.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Work for which it is remembered what wakes say.
const MAX_FOUND: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// What one thread may do in one task; of more the beginning is forgotten.
const MAX_ITEMS: usize = 64;

/// Ends of tasks after which it is known what they look like.
const MIN_ENDS: u32 = 20;

/// Of so many ends of tasks one may look like that of a lock.
const CROSSED: u32 = 100;

/// A wait of a thread that serves a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Address of the futex.
    pub(super) word: u64,
    /// When it began.
    pub(super) since: KernelNanos,
    /// When the thread had moved bytes last.
    pub(super) acted: KernelNanos,
}

/// Where in what a thread did a task begins.
struct TaskEnd {
    /// The earliest that it may have begun.
    whole: usize,
    /// Where it began if the thread waited for it.
    last: usize,
    /// The other thread waited before the call was made, and this one did not wait after it.
    plain: bool,
}

/// Who waited for some work, if that is part of the task.
#[derive(Debug)]
struct Found {
    tgid: Tgid,
    word: u64,
    /// See [`TaskEnd::plain`].
    plain: bool,
    task: Task,
    /// Which part of what was done it is.
    at: usize,
}

/// A thread at the other end of a wake, and what it was doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) tid: Tid,
    pub(super) hold: Hold,
}

#[derive(Debug)]
pub(super) struct Wakes {
    processes: LruCache<Tgid, Process>,
    threads: LruCache<Tid, Thread>,
    words: Words,
    coming: BTreeMap<(KernelNanos, u64), Event>,
    next: u64,
    /// What happened before was looked at.
    until: KernelNanos,
    awaited: LruCache<Seq, Found>,
    /// Work of threads that had been woken before.
    woken: LruCache<Seq, ()>,
    /// Whether both kinds named the same request, since this was asked last.
    compared: Vec<(Tgid, Other, Other)>,
}

/// What is known of a process whose threads do work without serving requests.
#[derive(Debug, Default)]
struct Process {
    following: Following,
    tasks: Tasks,
    /// Tasks that ended.
    ends: u32,
    /// How often a thread that serves a request woke another one after a call.
    crossed: u32,
}

/// A thread that is looked at.
#[derive(Debug, Default)]
struct Thread {
    /// When it last moved bytes.
    acted: KernelNanos,
    /// When it last read from a connection.
    read: KernelNanos,
    /// What it did since its last task ended.
    items: Vec<Item>,
    /// When it was woken last.
    waited: Option<KernelNanos>,
    start: Start,
    /// Calls since then.
    calls: u32,
}

/// By whom a thread was woken before it did what it did.
#[derive(Debug, Default)]
enum Start {
    #[default]
    Unknown,
    One(Other),
    Several,
}

/// What happened to a worker.
#[derive(Debug)]
pub(super) enum Event {
    /// It did something; `own` if it moved the bytes itself.
    Did { tid: Tid, item: Item, own: bool },
    /// It read the response to a call.
    Answered {
        tid: Tid,
        call: Seq,
        time: KernelNanos,
    },
    /// It was woken.
    Woken {
        tid: Tid,
        by: Other,
        time: KernelNanos,
    },
    /// It woke a thread that served a request.
    Woke {
        tid: Tid,
        tgid: Tgid,
        other: Other,
        wait: Wait,
        /// It served a request itself.
        serves: bool,
    },
    /// It ended.
    Ended { tid: Tid },
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            processes: LruCache::sparse(MAX_PROCESSES),
            threads: LruCache::sparse(MAX_THREADS),
            words: Words::default(),
            coming: BTreeMap::new(),
            next: 0,
            until: KernelNanos(0),
            awaited: LruCache::sparse(MAX_FOUND),
            woken: LruCache::sparse(MAX_FOUND),
            compared: Vec::new(),
        }
    }
}

impl Wakes {
    /// Whether it is asked who wakes whom in a process.
    pub(super) fn following(&mut self, tgid: Tgid) -> &mut Following {
        let process = self.processes.get_or_insert_mut(tgid, Process::default);
        &mut process.following
    }

    /// Whether the process is followed.
    pub(super) fn follows(&self, tgid: Tgid) -> bool {
        let process = self.processes.peek(&tgid);
        process.is_some_and(|process| process.following.is_on())
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
    }

    /// A thread moved bytes; `read` if it read from a connection.
    pub(super) fn acted(&mut self, tid: Tid, time: KernelNanos, read: bool) {
        let thread = self.threads.get_or_insert_mut(tid, Thread::default);
        thread.acted = time;
        if read {
            thread.read = time;
        }
    }

    /// Whether what workers of a process wake others for looks like the ends of tasks, not of locks.
    pub(super) fn looks_like_tasks(&self, tgid: Tgid) -> bool {
        self.processes
            .peek(&tgid)
            .is_some_and(|p| p.ends >= MIN_ENDS && p.crossed.saturating_mul(CROSSED) <= p.ends)
    }

    /// When a thread last moved bytes.
    pub(super) fn last_act(&self, tid: Tid) -> Option<KernelNanos> {
        self.threads.peek(&tid).map(|thread| thread.acted)
    }

    /// Something happened; what comes too late is forgotten.
    pub(super) fn happened(&mut self, time: KernelNanos, event: Event) {
        if time > self.until && self.coming.len() < MAX_COMING {
            self.coming.insert((time, self.next), event);
            self.next += 1;
        }
    }

    /// Looks at what happened a moment before `now`; at everything when `stopping`.
    pub(super) fn look(&mut self, now: KernelNanos, stopping: bool) {
        let until = if stopping {
            KernelNanos(u64::MAX)
        } else {
            KernelNanos(now.0.saturating_sub(DELAY))
        };
        self.until = self.until.max(until.min(now));
        while let Some(first) = self.coming.first_entry()
            && first.key().0 <= until
        {
            let event = first.remove();
            self.apply(event);
        }
    }

    /// Whether anything is followed.
    pub(super) fn has_threads(&self) -> bool {
        !self.threads.is_empty()
    }

    /// Who waited for some work, if that is known.
    pub(super) fn awaited(&self, work: Seq) -> Option<&Other> {
        let Found {
            tgid,
            word,
            plain,
            task,
            at,
        } = self.awaited.peek(&work)?;
        let tasks = &self.processes.peek(tgid)?.tasks;
        let ends = self.words.is_for_ends(*tgid, *word, *plain);
        (ends && task.covers(*at, tasks)).then_some(&task.waiter)
    }

    /// Whether it may still become known who waited for some work.
    pub(super) fn is_open(&self, work: Seq) -> bool {
        self.awaited.contains(&work)
    }

    /// Whether a worker did some work that had been woken, or that woke somebody afterwards.
    pub(super) fn is_pooled(&self, work: Seq) -> bool {
        self.woken.contains(&work) || self.is_open(work)
    }

    /// Those who had woken a worker and those who waited for it, of each task where both are known.
    pub(super) fn take_compared(&mut self) -> Vec<(Tgid, Other, Other)> {
        std::mem::take(&mut self.compared)
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Did { tid, item, own } => self.did(tid, item, own),
            Event::Answered { tid, call, time } => {
                let thread = self.threads.get_mut(&tid);
                let items = thread.map(|t| t.items.iter_mut().rev());
                if let Some(item) = items.and_then(|mut items| items.find(|i| i.seq == call)) {
                    item.answered = Some(time);
                }
            }
            Event::Woken { tid, by, time } => {
                let thread = self.threads.get_or_insert_mut(tid, Thread::default);
                thread.waited = Some(time);
                if thread.calls > 0 || thread.items.iter().any(|i| !i.before_wait) {
                    thread.start = Start::Unknown;
                    thread.calls = 0;
                    thread.items.iter_mut().for_each(|i| i.before_wait = true);
                }
                thread.start = match std::mem::take(&mut thread.start) {
                    Start::Unknown => Start::One(by),
                    Start::One(first) if first == by => Start::One(first),
                    Start::One(_) | Start::Several => Start::Several,
                };
            }
            Event::Woke {
                tid,
                tgid,
                other,
                wait,
                serves,
            } if serves => {
                let read = self.threads.peek(&tid).map(|t| t.read);
                if read.is_some_and(|read| read > wait.since) {
                    self.crossed(tgid);
                }
                self.words.lock(tgid, wait.word);
                drop(other);
            }
            Event::Woke {
                tid,
                tgid,
                other,
                wait,
                ..
            } => self.woke(tid, tgid, other, wait),
            Event::Ended { tid } => {
                self.threads.pop(&tid);
            }
        }
    }

    /// A thread that serves a request has woken another one after a call: a lock is held during calls.
    fn crossed(&mut self, tgid: Tgid) {
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.crossed = process.crossed.saturating_add(1);
        }
    }

    fn did(&mut self, tid: Tid, item: Item, own: bool) {
        let thread = self.threads.get_or_insert_mut(tid, Thread::default);
        thread.calls += u32::from(item.call);
        if !matches!(thread.start, Start::Unknown) {
            self.woken.push(item.seq, ());
        }
        if own {
            if thread.items.len() == MAX_ITEMS {
                thread.items.remove(0);
            }
            thread.items.push(item);
        }
    }

    fn woke(&mut self, tid: Tid, tgid: Tgid, waiter: Other, wait: Wait) {
        let Some((thread, end)) = self.threads.get_mut(&tid).and_then(|thread| {
            let end = thread.end_of_task(&wait)?;
            Some((thread, end))
        }) else {
            return self.words.lock(tgid, wait.word);
        };
        self.words.end(tgid, wait.word, end.plain);
        let items = &thread.items[end.whole..];
        let process = self.processes.get_or_insert_mut(tgid, Process::default);
        process.tasks.saw(&thread.items[end.last..]);
        process.ends = process.ends.saturating_add(1);
        let task = Task::new(waiter.clone(), items, |item| wait.saw(item));
        for (at, item) in items.iter().enumerate() {
            let found = Found {
                tgid,
                word: wait.word,
                plain: end.plain,
                task: task.clone(),
                at,
            };
            self.awaited.push(item.seq, found);
        }
        if let Start::One(by) = &thread.start
            && thread.calls <= 1
            && matches!(by.hold, Hold::Serving(_))
        {
            self.compared.push((tgid, by.clone(), waiter));
        }
        thread.items.clear();
        thread.start = Start::Unknown;
        thread.calls = 0;
    }
}

impl Thread {
    /// Where in what it did the task begins that ended when it woke who made this wait; `None` if none did.
    fn end_of_task(&self, wait: &Wait) -> Option<TaskEnd> {
        let whole = self.items.partition_point(|i| i.time <= wait.acted);
        let items = &self.items[whole..];
        let open = items.iter().any(|i| i.call && i.answered.is_none());
        if open || !items.iter().any(|i| wait.saw(i)) {
            return None;
        }
        let waited = items.iter().rposition(|i| i.before_wait);
        let last = waited.map_or(0, |at| at + 1);
        let after = items[last..].iter().any(|i| wait.saw(i));
        let call = items.iter().rposition(|i| i.call);
        let plain = call.is_some_and(|at| {
            wait.since < items[at].time && self.waited.is_none_or(|w| items[at].answered > Some(w))
        });
        Some(TaskEnd {
            plain,
            whole,
            last: whole + if after { last } else { 0 },
        })
    }
}

impl Wait {
    /// Whether it lasted when the response to a call came.
    fn saw(&self, item: &Item) -> bool {
        item.answered.is_some_and(|answered| answered > self.since)
    }
}
