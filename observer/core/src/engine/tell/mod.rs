//! Puts what was decided into the output's words, and counts it.

mod common;
mod coverage;
mod exchanges;
mod explained;
mod lines;
mod losses;
mod names;

use common::{By, Common};
use coverage::Coverage;
use lines::Traces;
use losses::Losses;

use super::Config;
use crate::attribution::{Attributor, Decision, Doer, Story, Subject, Work};
use crate::exchange::{Begun, Ended, Malformed};
use crate::facts::{PeerFacts, ProcessFacts};
use crate::ids::{KernelNanos, Tgid};
use crate::judged::counts::{Cell, Reckoned, Unread};
use crate::judged::{Judged, Loss, LossKind, SubjectId, Summary};
use crate::message::Protocol;
use crate::summary::Tally;

#[derive(Debug)]
pub(super) struct Teller {
    common: Common,
    traces: Traces,
    losses: Losses,
    coverage: Coverage,
}

impl Teller {
    pub(super) fn new(config: Config) -> Self {
        Self {
            common: Common::new(config),
            traces: Traces::new(),
            losses: Losses::default(),
            coverage: Coverage::new(),
        }
    }

    /// Takes note of a process.
    pub(super) fn process(&mut self, facts: ProcessFacts) {
        let tgid = facts.tgid;
        if self.common.names.process(facts) {
            self.not_observed(tgid, Protocol::IoUring);
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.common.names.ended(tgid);
    }

    pub(super) fn peer(&mut self, facts: PeerFacts) {
        self.common.names.peer(facts);
    }

    pub(super) fn begun(&mut self, begun: &Begun) {
        self.common.names.begun(begun);
    }

    pub(super) fn not_observed(&mut self, tgid: Tgid, protocol: Protocol) {
        let service = self.common.names.of(tgid);
        self.common.counter.not_observed(service, protocol);
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed) {
        let service = self.common.names.of(malformed.tgid);
        let unread = Unread {
            role: malformed.role,
            message: malformed.message,
            flaw: malformed.flaw,
        };
        let peer = &malformed.endpoint.peer;
        self.common.counter.unreadable(service, peer, unread);
    }

    pub(super) fn lost(
        &mut self,
        what: LossKind,
        count: u64,
        since: KernelNanos,
        until: KernelNanos,
        tgid: Option<Tgid>,
    ) {
        let touched = tgid.map(|t| self.common.names.of(t));
        self.common.counter.lost(touched, what, count);
        self.losses.add(Loss {
            what,
            count,
            since: self.common.wall(since),
            until: self.common.wall(until),
            pid: tgid,
            service: tgid.map(|t| self.common.names.service(t)),
        });
    }

    pub(super) fn losses(&mut self, out: &mut Vec<Judged>) {
        self.losses.tell(out);
    }

    /// The share `keep` of connections is observed from now on, in 65 536ths.
    pub(super) fn sampled(&mut self, keep: u32) {
        self.coverage.sampled(keep);
    }

    /// What system calls came to on connections of the processes that are counted at `place`.
    pub(super) fn reckoned(&mut self, place: u16, calls: Reckoned) {
        let (services, role) = self.common.names.counted_at(place);
        for service in services {
            self.common.counter.reckoned(service, role, calls);
        }
    }

    /// Nothing was observed for `nanos`; what is from now on is a part of the time, one in `every`.
    pub(super) fn paused(&mut self, nanos: u64, every: u32) {
        self.coverage.paused(nanos, every);
    }

    /// A write to a log is left out with the connection that its thread served.
    pub(super) fn log_left_out(&mut self) {
        self.coverage.log_left_out();
    }

    /// Tells which share of connections is observed, and for which part of the time, if that has changed.
    pub(super) fn sampling(&mut self, now: KernelNanos, out: &mut Vec<Judged>) {
        let change = self.coverage.change(self.common.wall(now));
        out.extend(change.map(Judged::Sampling));
    }

    pub(super) fn served(&mut self, begun: Begun, ended: &Ended) -> Judged {
        exchanges::served(&mut self.common, begun, ended)
    }

    pub(super) fn decided(
        &mut self,
        attributor: &Attributor,
        decided: Vec<(Box<Subject>, Decision)>,
        story: Option<(Option<Doer>, Story)>,
        out: &mut Vec<Judged>,
    ) {
        let mut story = story;
        for (subject, decision) in &decided {
            if let (Work::Call(call), Some(owner)) = (&subject.work, &decision.owner) {
                self.traces.called(owner.request, &call.begun.head.carrier);
            }
        }
        out.reserve(decided.len());
        let Self { common, traces, .. } = self;
        for (subject, decision) in decided {
            let by = By {
                tgid: subject.tgid,
                tid: subject.tid,
                time: subject.time,
            };
            if common.config.explain == Some(SubjectId(subject.seq))
                && let Some((doer, story)) = story.take()
            {
                out.push(explained::explanation(common, &subject, doer, story));
            }
            match subject.work {
                Work::Call(call) => {
                    out.push(exchanges::call(common, attributor, by, *call, decision));
                }
                Work::Line(line) => {
                    let seq = subject.seq;
                    out.push(lines::line(
                        common, traces, attributor, seq, by, *line, decision,
                    ));
                }
                Work::Message(_) => {}
            }
        }
    }

    /// What was counted, with the records that the pipeline took in.
    pub(super) fn tally(&self, records: u64) -> Tally {
        let mut tally = self.common.counter.tally().clone();
        tally.add(Cell::Records, records);
        tally
    }

    pub(super) fn summary(&self, now: KernelNanos, records: u64) -> Summary {
        let tally = self.tally(records);
        let totals = tally.totals();
        let mut services = tally.services();
        for service in &mut services {
            service.executions = self.common.names.executions(service);
        }
        Summary {
            start: self.common.wall(self.common.config.anchor.monotonic),
            end: self.common.wall(now),
            services,
            verdicts: totals.calls,
            log_verdicts: totals.lines,
            not_observed: tally.unobserved(),
            unreadable: tally.unreadable(),
            losses: self.losses.totals(),
            sampling: self.coverage.shares(),
            records,
            counted: tally.counted(),
        }
    }
}
