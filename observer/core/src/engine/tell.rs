//! Puts what was decided into the output's words, and counts it.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use hashbrown::HashMap;
use lru::LruCache;

use super::Config;
use super::names::Names;
use crate::attribution::{Attributor, Call, Decision, Doer, Line, Served, Story, Subject, Work};
use crate::context::line::LineId;
use crate::context::{Carrier, TraceId};
use crate::exchange::{Begun, Ended, Malformed};
use crate::facts::{PeerFacts, ProcessFacts};
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::judged::counts::{Cell, Name, Reckoned, Unread};
use crate::judged::{
    Candidate, Exchange, ExchangeId, Explanation, Finding, Judged, Log, LogContext, LogId, Loss,
    LossKind, Reason, Sampling, Shares, SubjectId, Summary, share,
};
use crate::message::Protocol;
use crate::redact::redact;
use crate::summary::{Circumstances, Counter, Tally};
use crate::text::{Text, printable_lines, printable_text};
use crate::verdict::{CallJudgement, LineJudgement, judge_call, judge_line};

/// Requests whose calls' traces are remembered, for judging lines that carry them.
const MAX_TRACES: usize = 16_384;

/// Losses of one kind and process that are told apart before they are told.
const MAX_LOSSES: usize = 1_024;

#[derive(Debug)]
pub(super) struct Teller {
    config: Config,
    names: Names,
    /// Traces that calls made for a request carry.
    traces: LruCache<Seq, Vec<TraceId>>,
    counter: Counter,
    untold: Vec<Loss>,
    lost: HashMap<LossKind, Loss>,
    /// The share of connections that is observed, or the part of the time, is another one, which was not told yet.
    other_share: bool,
    shares: Option<Shares>,
    /// The part of the time in which anything is observed.
    watched: f64,
    /// Writes to logs that were left out.
    log_writes_left_out: u64,
}

/// Who did something, and when.
#[derive(Clone, Copy)]
struct By {
    tgid: Tgid,
    tid: Tid,
    time: KernelNanos,
}

pub(super) fn limit(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

impl Teller {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            names: Names::new(),
            traces: LruCache::sparse(limit(MAX_TRACES)),
            counter: Counter::default(),
            untold: Vec::new(),
            lost: HashMap::new(),
            other_share: false,
            shares: None,
            watched: 1.0,
            log_writes_left_out: 0,
        }
    }

    /// Takes note of a process.
    pub(super) fn process(&mut self, facts: ProcessFacts) {
        let tgid = facts.tgid;
        if self.names.process(facts) {
            self.not_observed(tgid, Protocol::IoUring);
        }
    }

    pub(super) fn peer(&mut self, facts: PeerFacts) {
        self.names.peer(facts);
    }

    pub(super) fn begun(&mut self, begun: &Begun) {
        self.names.begun(begun);
    }

    pub(super) fn not_observed(&mut self, tgid: Tgid, protocol: Protocol) {
        let service = self.names.of(tgid);
        self.counter.not_observed(service, protocol);
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed) {
        let service = self.names.of(malformed.tgid);
        let unread = Unread {
            role: malformed.role,
            message: malformed.message,
            flaw: malformed.flaw,
        };
        self.counter
            .unreadable(service, &malformed.endpoint.peer, unread);
    }

    pub(super) fn lost(
        &mut self,
        what: LossKind,
        count: u64,
        since: KernelNanos,
        until: KernelNanos,
        tgid: Option<Tgid>,
    ) {
        let (since, until) = (
            self.config.anchor.wall(since),
            self.config.anchor.wall(until),
        );
        let loss = Loss {
            what,
            count,
            since,
            until,
            pid: tgid,
            service: tgid.map(|t| self.names.service(t)),
        };
        let touched = tgid.map(|t| self.names.of(t));
        self.counter.lost(touched, what, count);
        let total = self.lost.entry(what).or_insert_with(|| Loss {
            count: 0,
            pid: None,
            service: None,
            ..loss.clone()
        });
        total.count += count;
        total.until = until;
        let same = |l: &&mut Loss| l.what == what && l.pid == tgid;
        if let Some(told) = self.untold.iter_mut().find(same) {
            told.count += count;
            told.until = until;
        } else if self.untold.len() < MAX_LOSSES {
            self.untold.push(loss);
        }
    }

    pub(super) fn losses(&mut self, out: &mut Vec<Judged>) {
        out.extend(self.untold.drain(..).map(Judged::Loss));
    }

    /// The share `keep` of connections is observed from now on, in 65 536ths.
    pub(super) fn sampled(&mut self, keep: u32) {
        let share = share(keep);
        if self.shares.map_or(1.0, |shares| shares.last) != share {
            self.other_share = true;
            self.shares = Some(Shares::with(self.shares, share));
        }
    }

    /// What system calls came to on connections of the processes that are counted at `place`.
    pub(super) fn reckoned(&mut self, place: u16, calls: Reckoned) {
        let (services, role) = self.names.counted_at(place);
        for service in services {
            self.counter.reckoned(service, role, calls);
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.names.ended(tgid);
    }

    /// Nothing was observed for `nanos`; what is from now on is a part of the time, one in `every`.
    pub(super) fn paused(&mut self, nanos: u64, every: u32) {
        let watched = 1.0 / f64::from(every);
        self.shares = Some(Shares::paused(self.shares, nanos, watched));
        self.other_share |= self.watched != watched;
        self.watched = watched;
    }

    /// A write to a log is left out with the connection that its thread served.
    pub(super) fn log_left_out(&mut self) {
        self.log_writes_left_out += 1;
    }

    /// Tells which share of connections is observed, and for which part of the time, if that has changed.
    pub(super) fn sampling(&mut self, now: KernelNanos, out: &mut Vec<Judged>) {
        if !std::mem::take(&mut self.other_share) {
            return;
        }
        out.push(Judged::Sampling(Sampling {
            time: self.config.anchor.wall(now),
            share: self.shares.map_or(1.0, |shares| shares.last),
            watched: self.watched,
        }));
    }

    pub(super) fn served(&mut self, begun: Begun, ended: &Ended) -> Judged {
        let mut findings = own_findings(&begun.head.carrier);
        if begun.head.telemetry {
            findings.push(Finding::TelemetryExport);
        }
        let (service, circumstances) = self.circumstances(begun.tgid);
        let circumstances = Circumstances {
            left_out: begun.left_out,
            ..circumstances
        };
        let mut exchange = self.exchange(service, None, begun, Some(ended));
        exchange.findings = findings;
        self.counter.exchange(&exchange, &circumstances);
        Judged::Exchange(Box::new(exchange))
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
                let traces = self.traces.get_or_insert_mut(owner.request, Vec::new);
                if let Some(context) = call.begun.head.carrier.context()
                    && !traces.contains(&context.trace_id)
                    && traces.len() < 16
                {
                    traces.push(context.trace_id.clone());
                }
            }
        }
        out.reserve(decided.len());
        for (subject, decision) in decided {
            let by = By {
                tgid: subject.tgid,
                tid: subject.tid,
                time: subject.time,
            };
            if self.config.explain == Some(SubjectId(subject.seq))
                && let Some((doer, story)) = story.take()
            {
                out.push(self.explanation(&subject, doer, story));
            }
            match subject.work {
                Work::Call(call) => out.push(self.call(attributor, by, *call, decision)),
                Work::Line(line) => {
                    out.push(self.line(attributor, subject.seq, by, *line, decision));
                }
                Work::Message(_) => {}
            }
        }
    }

    fn call(&mut self, attributor: &Attributor, by: By, call: Call, decision: Decision) -> Judged {
        let served = |request: Seq| attributor.served(by.tgid, request);
        let owner = decision.owner.and_then(|o| served(o.request));
        let same = decision.same_trace.iter().filter_map(|r| served(*r));
        // With what the process sent to itself, whoever began that goes on.
        let (own, same): (Vec<&Served>, Vec<&Served>) = same.partition(|s| s.own);
        let same: Vec<&Carrier> = same.into_iter().map(|s| &*s.carrier).collect();
        let outbound = &call.begun.head.carrier;
        let asker = decision.owner.map(|o| o.request);
        let begun_here = own
            .iter()
            .all(|s| asker.is_some_and(|asker| attributor.is_made_for(by.tgid, s, asker)));
        let (verdict, findings, doubt) = judge_call(&CallJudgement {
            inbound: owner.map(inbound),
            same_trace: &same,
            outbound,
            ids_certain: decision.ids_certain && begun_here,
            reason: decision.attribution.reason.as_ref(),
        });
        let doubt = match doubt {
            Some(Reason::RecordsLost) if !begun_here => Some(Reason::SameIdTwice {
                candidates: own.iter().map(|served| ExchangeId(served.seq)).collect(),
            }),
            doubt => doubted(doubt, &decision),
        };
        let same_format = owner.is_none_or(|s| shares_format(inbound(s), outbound));
        let same_execution = decision.owner.is_some_and(|o| o.same_execution);
        let trace = owner.and_then(|s| trace_of(inbound(s)));
        let (peer_namespace, peer_service) = match self.names.other_side(&call.begun) {
            Some(Name { namespace, name }) => (namespace, Some(name)),
            None => (Text::default(), None),
        };
        let (service, circumstances) = self.circumstances(by.tgid);
        let circumstances = Circumstances {
            peer_namespace,
            same_execution,
            same_format,
            trace,
            left_out: call.begun.left_out,
            ..circumstances
        };
        let exchange = Exchange {
            request: decision.owner.map(|o| ExchangeId(o.request)),
            attribution: Some(decision.attribution.or_reason(doubt)),
            inferred: decision.inferred,
            verdict: Some(verdict),
            findings,
            ..self.exchange(service, peer_service, *call.begun, call.ended.as_ref())
        };
        self.counter.exchange(&exchange, &circumstances);
        Judged::Exchange(Box::new(exchange))
    }

    fn explanation(&self, subject: &Subject, doer: Option<Doer>, story: Story) -> Judged {
        let wall = |time| self.config.anchor.wall(time);
        let of = match subject.work {
            Work::Line(_) => LogId(subject.seq).to_string(),
            _ => ExchangeId(subject.seq).to_string(),
        };
        let execution = doer.map(|doer| {
            let took = if doer.took {
                " (it took the connection)"
            } else {
                ""
            };
            format!("{} {}{took}", doer.execution.kind, doer.execution.id)
        });
        let candidates = story.candidates.into_iter();
        Judged::Explanation(Box::new(Explanation {
            of: of.into(),
            pid: subject.tgid,
            tid: subject.tid,
            execution: execution.map(Text::from),
            time: wall(subject.time),
            candidates: candidates
                .map(|(request, tid, since, until, claim)| Candidate {
                    request: ExchangeId(request),
                    tid,
                    since: wall(since),
                    until: until.map(wall),
                    thread: claim.to_string().into(),
                })
                .collect(),
            evidence: story.evidence,
            same_trace: story.same_trace.into_iter().map(ExchangeId).collect(),
            request: story.request.map(ExchangeId),
            attribution: story.attribution,
        }))
    }

    fn line(
        &mut self,
        attributor: &Attributor,
        seq: Seq,
        by: By,
        line: Line,
        decision: Decision,
    ) -> Judged {
        let request = decision.owner.map(|o| o.request);
        let owner = request.and_then(|r| attributor.served(by.tgid, r));
        let trace = owner.and_then(|s| trace_of(inbound(s)));
        let own_traces = request
            .and_then(|r| self.traces.peek(&r))
            .map_or(&[][..], Vec::as_slice);
        let (verdict, doubt) = judge_line(&LineJudgement {
            inbound: owner.map(inbound),
            own_traces,
            known: !decision.same_trace.is_empty(),
            ids_certain: decision.ids_certain,
            carries: &line.context,
            cut: line.line.cut,
            reason: decision.attribution.reason.as_ref(),
        });
        let doubt = doubted(doubt, &decision);
        let shown = match printable_lines(&line.line.text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(shown) => Some(shown),
        };
        let (service, circumstances) = self.circumstances(by.tgid);
        let circumstances = Circumstances {
            trace,
            ..circumstances
        };
        let log = Log {
            id: LogId(seq),
            pid: by.tgid,
            tid: by.tid,
            service,
            source: line.source,
            time: self.config.anchor.wall(by.time),
            line: shown.unwrap_or(line.line.text),
            context: log_context(line.context.id),
            request: request.map(ExchangeId),
            attribution: decision.attribution.or_reason(doubt),
            inferred: decision.inferred,
            verdict,
        };
        self.counter.log(&log, &circumstances);
        Judged::Log(Box::new(log))
    }

    /// An exchange of `service`, with what is known by itself.
    fn exchange(
        &self,
        service: Text,
        peer_service: Option<Text>,
        begun: Begun,
        ended: Option<&Ended>,
    ) -> Exchange {
        let complete = ended.filter(|e| e.outcome.is_ok());
        let head = begun.head;
        Exchange {
            id: ExchangeId(begun.seq),
            role: begun.role,
            pid: begun.tgid,
            tid: begun.moved.tid,
            service,
            protocol: head.version.name(),
            tls: false,
            start: self.config.anchor.wall(begun.moved.since),
            duration_ns: complete.map(|e| e.time.since(begun.moved.since)),
            method: printable_text(&head.method),
            target: redact(printable_text(&head.target), self.config.show_query),
            host: head.host.as_ref().map(printable_text),
            status: ended.and_then(|e| e.status),
            local: begun.endpoint.local.clone(),
            peer: begun.endpoint.peer.clone(),
            peer_service,
            context: head.carrier.context().cloned(),
            request: None,
            parent: begun.other_end.map(ExchangeId),
            attribution: None,
            inferred: None,
            verdict: None,
            findings: Vec::new(),
            unfinished: ended.and_then(|e| e.outcome.err()),
            flaw: ended.and_then(|e| e.flaw),
            until: ended.map(|e| self.config.anchor.wall(e.time)),
            identity: begun.sighting.identity(self.config.anchor),
        }
    }

    /// The service of a process, and what of its exchanges and lines is the same for all.
    fn circumstances(&self, tgid: Tgid) -> (Text, Circumstances) {
        let (Name { namespace, name }, runtime) = self.names.who(tgid);
        let circumstances = Circumstances {
            namespace,
            runtime,
            ..Circumstances::default()
        };
        (name, circumstances)
    }

    /// What was counted, with the records that the pipeline took in.
    pub(super) fn tally(&self, records: u64) -> Tally {
        let mut tally = self.counter.tally().clone();
        tally.add(Cell::Records, records);
        tally
    }

    pub(super) fn summary(&self, now: KernelNanos, records: u64) -> Summary {
        let tally = self.tally(records);
        let totals = tally.totals();
        let mut losses: Vec<Loss> = self.lost.values().cloned().collect();
        losses.sort_by_key(|l| l.what);
        let mut services = tally.services();
        for service in &mut services {
            service.executions = self.names.executions(service);
        }
        Summary {
            start: self.config.anchor.wall(self.config.anchor.monotonic),
            end: self.config.anchor.wall(now),
            services,
            verdicts: totals.calls,
            log_verdicts: totals.lines,
            not_observed: tally.unobserved(),
            unreadable: tally.unreadable(),
            losses,
            sampling: self.shares.map(|shares| Shares {
                log_writes_left_out: self.log_writes_left_out,
                ..shares
            }),
            records,
            counted: tally.counted(),
        }
    }
}

/// Why an id can't be called unknown: what was not seen may not have been lost.
fn doubted(doubt: Option<Reason>, decision: &Decision) -> Option<Reason> {
    match doubt {
        Some(Reason::RecordsLost) => decision.ids_doubt.clone().or(Some(Reason::RecordsLost)),
        doubt => doubt,
    }
}

fn trace_of(carrier: &Carrier) -> Option<TraceId> {
    carrier.context().map(|c| c.trace_id.clone())
}

fn inbound(served: &Served) -> &Carrier {
    &served.carrier
}

fn own_findings(carrier: &Carrier) -> Vec<Finding> {
    judge_call(&CallJudgement {
        inbound: None,
        same_trace: &[],
        outbound: carrier,
        ids_certain: false,
        reason: None,
    })
    .1
}

fn shares_format(inbound: &Carrier, outbound: &Carrier) -> bool {
    let came = |format| inbound.contexts.iter().any(|c| c.format == format);
    outbound.contexts.iter().any(|c| came(c.format))
}

fn log_context(id: LineId) -> Option<LogContext> {
    let (field, trace_id) = match id {
        LineId::None => return None,
        LineId::Zero { field } => (field, Text::new_static("0")),
        LineId::Id { trace, field } => (field, printable_text(trace.raw())),
        LineId::Malformed { raw, field } => (field, printable_text(&raw)),
    };
    Some(LogContext { field, trace_id })
}
