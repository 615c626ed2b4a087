//! Tier 3, threads: the thread that read a request, did nothing else, and wrote its response owned
//! it in between.
//!
//! A thread is evidence only while it serves one request exclusively. What makes that certain is
//! that it reads the request with a call that *could have blocked*: a thread that takes care of
//! several connections never does that, since it would leave the others waiting. (Measured for
//! Werkzeug, gunicorn's gthread, the JDK's HttpServer and Rust's standard library: the descriptor
//! is blocking when the request is read; Node, asyncio, Go, tokio, nginx and every selector read
//! with descriptors that are not.) On top of that the claim breaks when the thread waits for
//! several descriptors, or reads or answers another request before it has answered this one.
//!
//! A worker of PHP-FPM takes its next request when the last one is over, and not before (php-src,
//! `sapi/fpm/fpm/fpm_main.c`: `fcgi_accept_request` heads the loop). What scripts wait for between,
//! such as `curl_multi` for several connections, does not speak against it.

use hashbrown::HashMap;

use super::births::BirthId;
use super::items::ItemId;
use super::pipes::Carried;
use super::served::{Broken, Claim};
use super::subject::Hold;
use crate::exchange::Begun;
use crate::ids::{FileId, Seq, Tid};
use crate::judged::Reason;
use crate::record::Waited;

/// Threads with state, at most; beyond that new ones get none and so give no evidence.
const MAX_THREADS: usize = 65_536;

/// Subjects that one thread may have waiting for the proof that it stayed with its connection.
const MAX_STAYING: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Threads {
    threads: HashMap<Tid, Thread>,
    /// Which thread has answered on a connection last.
    stays: HashMap<FileId, Tid>,
}

#[derive(Debug, Default)]
struct Thread {
    doing: Doing,
    carries: Option<Carried>,
    /// What it took from a queue last.
    took: Option<Took>,
    /// Its birth, if that was seen.
    birth: Option<BirthId>,
}

/// What a thread has taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// Work, which it does.
    Work(ItemId),
    /// What another thread has logged, which it writes.
    Record(ItemId),
}

/// What a thread is doing, as far as it is known.
#[derive(Debug, Default)]
enum Doing {
    #[default]
    Unknown,
    /// It has read a request, and nothing speaks against its serving that one alone; `steady` if
    /// nothing that it waits for does.
    Serving { request: Seq, steady: bool },
    /// It has answered a request; these subjects came after.
    Answered {
        request: Seq,
        file: FileId,
        since: Vec<Seq>,
    },
    /// It serves several requests at once.
    Shared,
}

/// What is known of the server that a thread belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Even a thread that reads without blocking may serve one request at a time.
    pub(super) workers: bool,
    /// It takes one request after the other, by design: what its thread waits for meanwhile, it waits
    /// for on behalf of the request.
    pub(super) one_by_one: bool,
}

/// What reading a request means for its thread.
pub(super) struct Held {
    pub(super) claim: Claim,
    /// The request that it had not answered yet.
    pub(super) interrupted: Option<Seq>,
}

impl Threads {
    /// A thread has read a request.
    pub(super) fn read_request(&mut self, begun: &Begun, server: Server) -> Held {
        let moved = &begun.moved;
        let Some(thread) = self.thread(moved.tid) else {
            return Held {
                claim: Claim::Broken(Broken::Shared),
                interrupted: None,
            };
        };
        thread.carries = None;
        thread.took = None;
        let interrupted = match thread.doing {
            Doing::Serving { request, .. } => Some(request),
            _ => None,
        };
        let claim = if (moved.nonblocking && !server.workers) || !moved.one_thread {
            Claim::Broken(Broken::Shared)
        } else if interrupted.is_some() {
            Claim::Broken(Broken::Interleaved)
        } else {
            Claim::Held(moved.tid)
        };
        thread.doing = match claim {
            Claim::Held(_) => Doing::Serving {
                request: begun.seq,
                steady: server.one_by_one,
            },
            _ => Doing::Shared,
        };
        Held { claim, interrupted }
    }

    /// A request has ended, `confirmed` if one thread did it all. Returns the request that the
    /// answering thread was serving, if that is another one.
    pub(super) fn request_ended(
        &mut self,
        request: Seq,
        file: FileId,
        writer: Option<Tid>,
        confirmed: bool,
    ) -> Option<Seq> {
        let writer = writer?;
        let thread = self.threads.get_mut(&writer)?;
        match thread.doing {
            Doing::Serving {
                request: current, ..
            } if current == request => {
                let room = self.stays.len() < MAX_THREADS || self.stays.contains_key(&file);
                thread.doing = if confirmed && room {
                    self.stays.insert(file, writer);
                    Doing::Answered {
                        request,
                        file,
                        since: Vec::new(),
                    }
                } else {
                    Doing::Unknown
                };
                None
            }
            Doing::Serving { request: other, .. } => {
                thread.doing = Doing::Shared;
                Some(other)
            }
            // What it did since its last answer was for this one.
            Doing::Answered { request: last, .. } if last != request => {
                thread.doing = Doing::Unknown;
                None
            }
            _ => None,
        }
    }

    /// Another thread has answered the request that a thread had read.
    pub(super) fn relieved(&mut self, tid: Tid, request: Seq) {
        if let Some(thread) = self.threads.get_mut(&tid)
            && matches!(thread.doing, Doing::Serving { request: current, .. } if current == request)
        {
            thread.doing = Doing::Unknown;
        }
    }

    /// A thread has waited. Returns the request that it can no longer be evidence for.
    pub(super) fn waited(&mut self, tid: Tid, waited: Waited) -> Option<Seq> {
        if !(waited.event_loop() || waited.poll_many() || waited.accept()) {
            return None;
        }
        let thread = self.threads.get_mut(&tid)?;
        thread.carries = None;
        match thread.doing {
            Doing::Serving { steady: true, .. } if !waited.accept() => None,
            Doing::Serving { request, .. } => {
                thread.doing = Doing::Shared;
                Some(request)
            }
            _ => None,
        }
    }

    /// What a thread's work at this moment can be held to belong to.
    pub(super) fn hold(&mut self, tid: Tid, subject: Seq) -> Hold {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return Hold::Nothing(None);
        };
        match &mut thread.doing {
            Doing::Serving { request, .. } => Hold::Serving(*request),
            Doing::Answered { request, since, .. } if since.len() < MAX_STAYING => {
                since.push(subject);
                Hold::After(*request)
            }
            Doing::Shared => Hold::Nothing(Some(Reason::SharedThread)),
            Doing::Answered { .. } | Doing::Unknown => thread.otherwise(),
        }
    }

    /// What a thread hands on at this moment.
    pub(super) fn hands_on(&self, tid: Tid) -> Hold {
        match self.threads.get(&tid) {
            Some(thread) => match &thread.doing {
                Doing::Serving { request, .. } => Hold::Serving(*request),
                Doing::Shared => Hold::Nothing(Some(Reason::SharedThread)),
                Doing::Answered { .. } => Hold::Nothing(None),
                Doing::Unknown => match thread.otherwise() {
                    // What writes records hands none of its own on.
                    Hold::Record(_) => Hold::Nothing(None),
                    hold => hold,
                },
            },
            None => Hold::Nothing(None),
        }
    }

    /// A thread began.
    pub(super) fn began(&mut self, tid: Tid, birth: BirthId) {
        self.threads.remove(&tid);
        if let Some(thread) = self.thread(tid) {
            thread.birth = Some(birth);
        }
    }

    /// The birth of a thread, if that was seen.
    pub(super) fn birth(&self, tid: Tid) -> Option<BirthId> {
        self.threads.get(&tid)?.birth
    }

    /// A thread used a connection: what it did since it answered there, in order. Another one that has answered there, and
    /// comes back later, may have been elsewhere meanwhile.
    pub(super) fn stayed(&mut self, tid: Tid, file: FileId) -> Vec<Seq> {
        if self.stays.get(&file).is_some_and(|other| *other != tid) {
            self.unfollowed(file);
        }
        match self.threads.get_mut(&tid).map(|t| &mut t.doing) {
            Some(Doing::Answered {
                file: own, since, ..
            }) if *own == file => std::mem::take(since),
            _ => Vec::new(),
        }
    }

    /// What is done on a connection shows no more that the thread which answered there last has stayed.
    pub(super) fn unfollowed(&mut self, file: FileId) {
        if let Some(tid) = self.stays.remove(&file)
            && let Some(thread) = self.threads.get_mut(&tid)
            && matches!(thread.doing, Doing::Answered { file: own, .. } if own == file)
        {
            thread.doing = Doing::Unknown;
        }
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, file: FileId) {
        self.stays.remove(&file);
    }

    /// A thread has taken up something else.
    pub(super) fn left(&mut self, tid: Tid) {
        if let Some(thread) = self.threads.get_mut(&tid)
            && matches!(thread.doing, Doing::Answered { .. })
        {
            thread.doing = Doing::Unknown;
        }
    }

    /// A thread has taken messages from a pipe.
    pub(super) fn carries(&mut self, tid: Tid, carried: Carried) {
        if let Some(thread) = self.thread(tid) {
            if matches!(thread.doing, Doing::Answered { .. }) {
                thread.doing = Doing::Unknown;
            }
            thread.carries = Some(carried);
        }
    }

    /// A thread has taken something from a queue, of which nothing is known if `None`. Returns what it took before.
    pub(super) fn takes_item(&mut self, tid: Tid, took: Option<Took>) -> Option<ItemId> {
        let thread = self.thread(tid)?;
        thread.carries = None;
        std::mem::replace(&mut thread.took, took).map(Took::item)
    }

    /// What a thread took from a queue last.
    pub(super) fn item(&self, tid: Tid) -> Option<ItemId> {
        self.threads.get(&tid)?.took.map(Took::item)
    }

    /// A thread ended. Returns its birth, if that was seen.
    pub(super) fn remove(&mut self, tid: Tid) -> Option<BirthId> {
        self.threads.remove(&tid)?.birth
    }

    fn thread(&mut self, tid: Tid) -> Option<&mut Thread> {
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&tid) {
            return None;
        }
        Some(self.threads.entry(tid).or_default())
    }
}

impl Took {
    fn item(self) -> ItemId {
        let (Self::Work(item) | Self::Record(item)) = self;
        item
    }
}

impl Thread {
    /// What it works on if it serves no request.
    fn otherwise(&self) -> Hold {
        match (&self.carries, self.took, self.birth) {
            (Some(carried), _, _) => Hold::Messages(carried.messages.clone()),
            (None, Some(Took::Work(item)), _) => Hold::Item(item),
            (None, Some(Took::Record(item)), _) => Hold::Record(item),
            (None, None, Some(birth)) => Hold::Born(birth),
            (None, None, None) => Hold::Nothing(None),
        }
    }
}
