//! What is told of threads while it is not known yet for whom a turn of theirs was.
//!
//! A thread may take a message, and be done with it, before the turn ends in which another one gave it; only that end says for whom it worked. What is
//! told of the taker from the end of its own turn on is kept until then, in order, and heard afterwards as if it came only then.

use std::collections::VecDeque;

use lru::LruCache;

use super::thread::{Resumes, Taken, Thread};
use super::{COUNT, Position, ThreadKey, Turns};
use crate::ids::{FileId, KernelNanos, Seq, Tgid};
use crate::record::{Execution, Turn};

/// Threads of which something is kept, at most. Beyond that it is given up to know for whom a turn was.
const MAX_THREADS: usize = 64;

/// What is kept of one thread, at most.
const MAX_TOLD: usize = 1_024;

/// How long the end of another thread's turn is waited for, nanoseconds: it may be lost, or never come.
const PATIENCE: u64 = 1_000_000_000;

/// What is told of the turns of a thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// Something moved, read from `read` if it was read; the last record of a call if `whole`.
    Acted {
        at: Position,
        read: Option<FileId>,
        whole: bool,
    },
    /// What was read last from a connection completes a request.
    Began { file: FileId, request: Seq },
    /// A request was written.
    Called { file: FileId, at: Position },
    /// A connection was used in a turn that is not known.
    Unseen { file: FileId },
    /// A request was answered.
    Answered { request: Seq, at: Position },
    /// A message was taken, which `giver` gave, if that is known.
    Took {
        at: Position,
        giver: Option<Position>,
        time: KernelNanos,
    },
    /// The turn ended.
    Ended { turn: Turn, time: KernelNanos },
}

/// All that is kept.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Waiting>);

/// A thread that waits for the end of another one's turn.
#[derive(Debug)]
struct Waiting {
    thread: ThreadKey,
    /// Whose end is waited for; `None` if that was given up.
    giver: Option<Position>,
    since: KernelNanos,
    /// What was told, beginning with the end of the turn that is not understood.
    told: VecDeque<Told>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A turn of `thread` ended at `time`, of which the end of the turn of `giver` will tell for whom it was. False if there is
    /// no room to wait for that.
    fn wait(&mut self, thread: ThreadKey, giver: Position, ended: Told, time: KernelNanos) -> bool {
        if self.0.len() == MAX_THREADS {
            return false;
        }
        self.0.push(Waiting {
            thread,
            giver: Some(giver),
            since: time,
            told: VecDeque::from([ended]),
        });
        true
    }

    /// Keeps what is told of a thread that waits; returns it if the thread does not.
    fn keep(&mut self, thread: ThreadKey, told: Told) -> Option<Told> {
        let Some(waiting) = self.0.iter_mut().find(|w| w.thread == thread) else {
            return Some(told);
        };
        waiting.told.push_back(told);
        let overdue =
            matches!(told, Told::Ended { time, .. } if time.since(waiting.since) > PATIENCE);
        if overdue || waiting.told.len() >= MAX_TOLD {
            waiting.giver = None;
        }
        None
    }

    /// A thread that need not wait any more, as the turn that it waited for is over, or this was given up.
    fn next(&mut self, is_over: impl Fn(Position) -> bool) -> Option<Waiting> {
        let ready = |waiting: &Waiting| waiting.giver.is_none_or(&is_over);
        let at = self.0.iter().position(ready)?;
        Some(self.0.remove(at))
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.0.retain(|waiting| waiting.thread.0 != tgid);
    }
}

impl Turns {
    /// Hears what is told of a thread, now or when it need not wait for another one any more.
    pub(super) fn tell(&mut self, thread: ThreadKey, told: Told) {
        if let Some(told) = self.held.keep(thread, told) {
            self.hear(thread, told);
        }
        while !self.held.is_empty() {
            let threads = &self.threads;
            let Some(waited) = self.held.next(|giver| is_over(threads, giver)) else {
                return;
            };
            if waited.giver.is_none()
                && let Some(thread) = self.threads.get_mut(&waited.thread)
            {
                thread.running.message = Taken::Unclear;
            }
            for told in waited.told {
                if let Some(told) = self.held.keep(waited.thread, told) {
                    self.hear(waited.thread, told);
                }
            }
        }
    }

    fn hear(&mut self, thread: ThreadKey, told: Told) {
        match told {
            Told::Acted { at, read, whole } => {
                let resumes = read.and_then(|file| self.connections.get(&file).copied());
                let running = self.running(at);
                match read {
                    Some(file) => running.read(file, resumes, whole),
                    None => running.at(at.current, at.trigger),
                }
            }
            Told::Began { file, request } => {
                self.connections.push(file, Resumes::Request(request));
                let reader = self.threads.get_mut(&thread);
                if let Some(reader) = reader.filter(|reader| reader.running.has_read(file)) {
                    reader.running.begins(request);
                }
            }
            Told::Called { file, at } => {
                let known = self.connections.peek(&file);
                let before = match known {
                    Some(Resumes::Caller(before) | Resumes::First(before)) => Some(*before),
                    _ => None,
                };
                let resumes = match known {
                    Some(_) => Resumes::Caller(at),
                    None => Resumes::First(at),
                };
                self.passed.called(file, at, before);
                self.connections.push(file, resumes);
            }
            Told::Unseen { file } => {
                self.connections.push(file, Resumes::Nobody);
            }
            Told::Answered { request, at } => {
                let running = self.running(at);
                if running.turn == at.turn {
                    running.answers.push((request, at));
                } else {
                    self.check_answer(request, at);
                }
            }
            Told::Took { at, giver, time } => self.running(at).takes(giver, time),
            Told::Ended { turn, time } => {
                if let Some(giver) = self.awaits(thread, &turn) {
                    if self.held.wait(thread, giver, told, time) {
                        return;
                    }
                    if let Some(thread) = self.threads.get_mut(&thread) {
                        thread.running.message = Taken::Unclear;
                    }
                }
                self.end(thread.0, &turn, time);
            }
        }
    }

    /// The giver of the message that was taken in the running turn of a thread, which ends, if its own turn goes on.
    fn awaits(&self, thread: ThreadKey, turn: &Turn) -> Option<Position> {
        let running = &self.threads.peek(&thread)?.running;
        let giver = running.message.giver()?;
        let this = running.turn == turn.execution.id & COUNT;
        (this && giver.thread != thread && !is_over(&self.threads, giver)).then_some(giver)
    }

    /// Whether what is told of a turn is kept until another thread's ends.
    pub(in crate::attribution) fn is_held(&self, tgid: Tgid, execution: Execution) -> bool {
        let thread = Position::of(tgid, execution).thread;
        self.held.0.iter().any(|waiting| waiting.thread == thread)
    }
}

/// Whether a turn is over, or its thread is forgotten.
fn is_over(threads: &LruCache<ThreadKey, Thread>, at: Position) -> bool {
    let thread = threads.peek(&at.thread);
    thread.is_none_or(|thread| thread.running.turn > at.turn)
}
