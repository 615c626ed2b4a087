//! Gives every process and log its facts before its first record.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem::offset_of;
use std::sync::Arc;

use observer_abi as abi;
use observer_core::engine::Input;
use observer_core::facts::{Executions, ProcessFacts};
use observer_core::ids::{KernelNanos, Tgid, Tid};
use observer_core::record::{self, Class, Event};

use super::{Enrich, Proc, workers};

/// Ages at which a process is looked at again, nanoseconds: interpreters name themselves late, and
/// servers retitle their workers when these are up.
const AGES: [u64; 2] = [1_000_000_000, 10_000_000_000];

/// The shortest time between two looks at all processes because their names may have changed.
const PAUSE: u64 = 1_000_000_000;

/// Threads whose names are remembered as looked at; beyond that all are looked at again.
const LOOKED_AT: usize = 65_536;

/// Processes remembered before those that have ended are forgotten.
const REMEMBERED: usize = 16_384;

#[derive(Debug)]
struct Known {
    facts: ProcessFacts,
    since: KernelNanos,
    looks: usize,
}

/// Which processes the pipeline was told about.
pub struct Tracker {
    proc: Proc,
    more: Option<Arc<dyn Enrich>>,
    /// Threads whose names were looked at.
    looked_at: HashSet<Tid>,
    /// What `more` knew when all were looked at last, and when that was.
    version: (u64, KernelNanos),
    known: HashMap<Tgid, Known>,
    /// The process of the last record, which mostly is that of the next one.
    last: Option<Tgid>,
    /// Facts that were read before there was anybody to tell.
    pending: Vec<ProcessFacts>,
    now: KernelNanos,
}

impl Tracker {
    /// Reads from `proc`; it is now `now`.
    #[must_use]
    pub fn new(proc: Proc, now: KernelNanos) -> Self {
        Self {
            proc,
            more: None,
            version: (0, now),
            known: HashMap::new(),
            looked_at: HashSet::new(),
            last: None,
            pending: Vec::new(),
            now,
        }
    }

    /// Asks `more` as well from now on.
    pub fn enrich(&mut self, more: Arc<dyn Enrich>) {
        self.more = Some(more);
    }

    /// Hands on a record, with what has to be known for it.
    pub fn record(&mut self, raw: &[u8], into: &mut impl FnMut(Input<'_>)) {
        let Some((kind, tgid)) = kind_and_process(raw) else {
            return into(Input::Record(raw));
        };
        let new = self.last != Some(tgid) && !self.known.contains_key(&tgid);
        if new {
            self.learn(tgid, None, into);
        }
        self.last = Some(tgid);
        if kind == abi::kind::DATA
            && let Some(tid) = workers::may_be_worker(raw)
        {
            self.look_at(tgid, tid, into);
        }
        into(Input::Record(raw));
        if matches!(kind, abi::kind::DATA | abi::kind::SHORT | abi::kind::CLOSE) {
            return;
        }
        let Ok(record) = record::decode(raw) else {
            return;
        };
        match record.event {
            Event::Exec => {
                self.looked_at.remove(&record.tid);
                if !new {
                    self.learn(tgid, Some(tgid), into);
                }
            }
            Event::Exit | Event::Park => self.forget_name(tgid, record.tid, into),
            Event::Spawn { child, .. } | Event::Reuse { child: Some(child) } => {
                self.forget_name(tgid, child, into);
            }
            Event::Fork { child } => self.learn(child, Some(tgid), into),
            Event::Ring => self.uses_ring(tgid, into),
            Event::File(file) if file.class == Class::Log => {
                if let Some(facts) = super::file(&self.proc, tgid, file.fd, file.file) {
                    into(Input::File(facts));
                }
            }
            Event::File(file) if file.class == Class::Pipe && file.fd > 2 => {
                if let Some(facts) = super::stream(&self.proc, tgid, file.ino, file.file) {
                    into(Input::File(facts));
                }
            }
            _ => {}
        }
    }

    /// Time passes: looks again at processes that are old enough to have named themselves.
    pub fn tick(&mut self, now: KernelNanos, into: &mut impl FnMut(Input<'_>)) {
        self.now = now;
        self.tell_pending(into);
        let more = self.more.as_deref();
        let version = more.map_or(0, Enrich::version);
        let renamed = version != self.version.0 && now.since(self.version.1) >= PAUSE;
        if renamed {
            self.version = (version, now);
        }
        for known in self.known.values_mut() {
            let due = AGES
                .get(known.looks)
                .is_some_and(|age| now.since(known.since) >= *age);
            if !due && !renamed {
                continue;
            }
            known.looks += usize::from(due);
            let facts = ProcessFacts {
                executions: known.facts.executions.clone(),
                workers: known.facts.workers.clone(),
                ..super::enriched(&self.proc, known.facts.tgid, more)
            };
            let facts = ProcessFacts {
                // A ring may be closed and still be in use.
                ring: facts.ring || known.facts.ring,
                ..facts
            };
            if is_alive(&facts) && facts != known.facts {
                known.facts = facts.clone();
                into(Input::Process(facts));
            }
        }
    }

    /// Adds to a process's facts whether its executions can be told apart.
    pub fn tell_executions(
        &mut self,
        tgid: Tgid,
        executions: Executions,
        into: &mut impl FnMut(Input<'_>),
    ) {
        if let Some(known) = self.known.get_mut(&tgid)
            && known.facts.executions.as_ref() != Some(&executions)
        {
            known.facts.executions = Some(executions);
            into(Input::Process(known.facts.clone()));
        }
    }

    /// Tells whether a thread of which that is not known is a worker by its name.
    fn look_at(&mut self, tgid: Tgid, tid: Tid, into: &mut impl FnMut(Input<'_>)) {
        if self.looked_at.contains(&tid) {
            return;
        }
        if self.looked_at.len() >= LOOKED_AT {
            self.looked_at.clear();
        }
        self.looked_at.insert(tid);
        let Some(known) = self.known.get_mut(&tgid) else {
            return;
        };
        let Some(runtime) = known.facts.runtime.filter(|r| workers::has_workers(*r)) else {
            return;
        };
        let name = self.proc.process(tgid.0).thread_name(tid.0);
        if name.is_some_and(|name| workers::is_worker(runtime, &name))
            && known.facts.workers.insert(tid)
        {
            into(Input::Process(known.facts.clone()));
        }
    }

    /// Something else runs in a thread from now on, or will when its number is used again.
    fn forget_name(&mut self, tgid: Tgid, tid: Tid, into: &mut impl FnMut(Input<'_>)) {
        if self.looked_at.remove(&tid)
            && let Some(known) = self.known.get_mut(&tgid)
            && known.facts.workers.remove(&tid)
        {
            into(Input::Process(known.facts.clone()));
        }
    }

    /// Takes note that a process uses an `io_uring`.
    fn uses_ring(&mut self, tgid: Tgid, into: &mut impl FnMut(Input<'_>)) {
        if let Some(known) = self.known.get_mut(&tgid)
            && !known.facts.ring
            && super::drives_sockets(&self.proc.process(tgid.0), known.facts.runtime)
        {
            known.facts.ring = true;
            into(Input::Process(known.facts.clone()));
        }
    }

    /// Whether a process's facts were handed on.
    #[must_use]
    pub fn knows(&self, tgid: Tgid) -> bool {
        self.known.contains_key(&tgid)
    }

    /// Reads a process's facts now, to be handed on before the next record: it may have ended by then.
    pub fn read_early(&mut self, tgid: Tgid) -> &ProcessFacts {
        let facts = super::enriched(&self.proc, tgid, self.more.as_deref());
        self.pending.push(facts.clone());
        self.remember(facts)
    }

    /// Hands on what was read early.
    pub fn tell_pending(&mut self, into: &mut impl FnMut(Input<'_>)) {
        for facts in self.pending.drain(..) {
            into(Input::Process(facts));
        }
    }

    /// Reads a process's facts and hands them on. One that has ended already is what `like`, itself or its
    /// parent, was.
    fn learn(&mut self, tgid: Tgid, like: Option<Tgid>, into: &mut impl FnMut(Input<'_>)) {
        let mut facts = super::enriched(&self.proc, tgid, self.more.as_deref());
        if !is_alive(&facts)
            && let Some(known) = like.and_then(|like| self.known.get(&like))
        {
            facts = ProcessFacts {
                tgid,
                workers: BTreeSet::new(),
                ..known.facts.clone()
            };
        }
        self.remember(facts.clone());
        into(Input::Process(facts));
    }

    fn remember(&mut self, facts: ProcessFacts) -> &ProcessFacts {
        if self.known.len() >= REMEMBERED {
            let proc = &self.proc;
            self.known.retain(|tgid, _| proc.process(tgid.0).exists());
        }
        let known = Known {
            since: self.now,
            looks: 0,
            facts,
        };
        &self
            .known
            .entry(known.facts.tgid)
            .insert_entry(known)
            .into_mut()
            .facts
    }
}

/// Whether a process was there when its facts were read: of one that has ended, the executable is
/// not known.
fn is_alive(facts: &ProcessFacts) -> bool {
    facts.runtime.is_some()
}

/// Kind and process of a record, read at their places; the pipeline validates the rest.
fn kind_and_process(raw: &[u8]) -> Option<(u8, Tgid)> {
    let kind = *raw.get(offset_of!(abi::Header, kind))?;
    let at = offset_of!(abi::Header, tgid);
    let tgid = u32::from_ne_bytes(*raw.get(at..)?.first_chunk()?);
    Some((kind, Tgid(tgid)))
}
