//! Takes records through the stages.

use super::files::{Content, Description};
use super::sequence::Missed;
use super::{Log, Stages};
use crate::attribution::{Call, Line, Work};
use crate::context::line;
use crate::exchange::{Begun, Draw, Ended, ExchangeEvent, Source};
use crate::facts::ProcessFacts;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::judged::{Judged, LossKind, Role, Summary};
use crate::message::{LogLine, Moved, Protocol};
use crate::record::{Data, Direction, Event, File, Place, Record, place};
use crate::stream::{Chunk, Released};
use crate::summary::Tally;

impl Stages {
    /// Looks for records that were lost before this one, as the kernel wrote it: those that the front
    /// stage takes for itself are not lost.
    pub(super) fn came(&mut self, raw: &[u8]) {
        if let Some(Place { cpu, seq, time }) = place(raw)
            && let Some(missed) = self.sequences.record(cpu, seq, time)
        {
            self.now = self.now.max(time);
            self.missed(missed);
        }
    }

    pub(super) fn released(&mut self, released: &Released<'_>) {
        match &released.decode() {
            Ok(record) => self.record(record),
            Err(_) => self.lost(LossKind::Invalid, 1, self.now, None),
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.now = self.now.max(record.time);
        if self.pauses.cuts_off(&record.event) {
            return;
        }
        self.attributor
            .thread_acted(record.tgid, record.tid, record.waited);
        match &record.event {
            Event::File(file) => self.file(record, &self.pauses.weigh(file)),
            Event::Data(data) => self.data(record, data),
            Event::Short(short) => self.corrected(short.file, record.time),
            Event::Close { file, last } => self.close(*file, *last, record),
            Event::Exit => self.exit(record.tgid, record.tid, record.time),
            Event::Exec => {
                self.process_ended(record.tgid, record.time);
                self.attributor.runs_anew(record.tgid);
            }
            Event::Fork { child } => self.attributor.process_began(record, *child),
            Event::Spawn { child, by } => self.attributor.thread_began(record, *child, *by),
            Event::Park => {
                self.end_lines(record.tgid, record.tid);
                self.attributor.thread_kept(record);
            }
            Event::Reuse { child } => self.attributor.thread_given(record, *child),
            Event::Take(take) => self.attributor.takes(record, take),
            Event::Branch(child) => {
                self.attributor
                    .execution_began(record.tgid, *child, record.time);
            }
            Event::Turn(turn) => self.attributor.turn_ended(record.tgid, turn, record.time),
            Event::Woke(woke) => self.attributor.woke(record, woke),
            Event::Heap(heap) => self.attributor.heap(record, heap),
            Event::Nudge(nudge) => self.attributor.nudged(record, nudge),
            Event::Item(item) => self.attributor.item(record, item),
            Event::Passed(passed) => self.attributor.passed(record, passed),
            // What follows for the process is in its facts: not every runtime drives sockets so.
            Event::Ring => {}
        }
    }

    fn file(&mut self, record: &Record<'_>, file: &File<'_>) {
        let Some(first) = file.left_out else {
            self.files.describe(file);
            let draw = Draw::new(file.lot, file.keep);
            return self.exchanges.renewed(file.file, draw);
        };
        let mut events = std::mem::take(&mut self.events);
        self.exchanges
            .left_out(file.file, record.time, &mut |e| events.push(e));
        self.exchange_events(events);
        self.attributor.closed(file.file);
        self.not_observed(record.tgid, Protocol::LeftOut, first == Direction::Read);
    }

    fn data(&mut self, record: &Record<'_>, data: &Data<'_>) {
        self.attributor
            .acted(record.tgid, record.tid, data, record.time);
        if let Some(execution) = data.execution.filter(|e| !e.is_published()) {
            self.attributor
                .execution_acted(record.tgid, execution, data, record.time);
        }
        let fd = self.files.descriptor(data.file, data.fd);
        let Some(description) = self.files.get(data.file) else {
            return self.lost(
                LossKind::Bytes,
                u64::from(data.len),
                record.time,
                Some(record.tgid),
            );
        };
        let pipe = description.pipe();
        match description.content(data.direction, fd) {
            Content::Connection => self.connection(record, data),
            Content::Pair(key) => {
                let pair = Data {
                    pipe_empty: true,
                    ..*data
                };
                self.pipe(key, record, &pair);
                self.connection(record, data);
            }
            Content::Pipe(key) => {
                if let Some(pipe) = pipe.filter(|_| data.direction == Direction::Read) {
                    self.relays.read(record.tgid, pipe);
                }
                self.pipe(key, record, data);
            }
            Content::Log => {
                if data.left_out {
                    self.teller.log_left_out();
                    self.relays.left_out(record.tgid, pipe, record.time);
                } else {
                    self.relays
                        .wrote(record.tgid, pipe, data.payload, record.time);
                }
                self.log(record, data, fd);
            }
            Content::Nothing => {}
        }
    }

    fn connection(&mut self, record: &Record<'_>, data: &Data<'_>) {
        self.attributor.moved(record, data);
        if data.direction == Direction::Read {
            self.attributor.touched(record.tid, data.file);
        }
        let Some(description) = self.files.get(data.file) else {
            return;
        };
        let source = Source {
            file: data.file,
            tgid: record.tgid,
            endpoint: &description.endpoint,
            draw: description.draw,
        };
        let mut events = std::mem::take(&mut self.events);
        let next = &mut self.next;
        if data.len > 0 {
            let mut seq = || number(next);
            let chunk = chunk(record, data);
            self.exchanges
                .chunk(source, data.direction, chunk, &mut seq, &mut |e| {
                    events.push(e)
                });
        }
        if let Some(end) = data.end {
            self.exchanges
                .end(source, record.tid, end, record.time, &mut |e| {
                    events.push(e)
                });
        }
        self.exchange_events(events);
    }

    /// Takes in what `events`, which is the stages' own buffer, holds.
    pub(super) fn exchange_events(&mut self, mut events: Vec<ExchangeEvent>) {
        for event in events.drain(..) {
            match event {
                ExchangeEvent::Begun(begun) => self.begun(begun),
                ExchangeEvent::Ended(ended) => self.ended(ended),
                ExchangeEvent::NotObserved {
                    tgid,
                    file,
                    protocol,
                    served,
                } => {
                    self.attributor.unfollowed(file);
                    self.not_observed(tgid, protocol, served);
                }
                ExchangeEvent::Evicted { tgid } => {
                    self.lost(LossKind::Evicted, 1, self.now, Some(tgid))
                }
                ExchangeEvent::Malformed(malformed) => self.teller.malformed(&malformed),
                ExchangeEvent::Lost { tgid } => self.lost(LossKind::Bytes, 1, self.now, Some(tgid)),
            }
        }
        self.events = events;
    }

    /// A connection of a process is not observed; `served` if it is the other side that asks.
    fn not_observed(&mut self, tgid: Tgid, protocol: Protocol, served: bool) {
        self.attributor.blind(tgid, served, self.now);
        self.teller.not_observed(tgid, protocol);
    }

    /// Takes in what is known of a process.
    pub(super) fn process(&mut self, facts: ProcessFacts) {
        self.attributor.process(&facts);
        if facts.ring {
            self.attributor.ring(facts.tgid, self.now);
        }
        self.teller.process(facts);
    }

    fn begun(&mut self, begun: Box<Begun>) {
        self.attributor.begun(&begun);
        self.teller.begun(&begun);
        let (seq, tgid, moved) = (begun.seq, begun.tgid, begun.moved);
        match begun.role {
            Role::Server => {
                self.serving.insert(seq, begun);
            }
            Role::Client => {
                self.calling.insert(seq, tgid);
                let work = Work::Call(Box::new(Call { begun, ended: None }));
                self.attributor
                    .take(seq, tgid, moved.tid, moved.since, work);
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        if let Some(begun) = self.serving.remove(&ended.seq) {
            self.attributor.ended(begun.tgid, &ended);
            self.answered.push((begun, ended));
        } else if self.calling.remove(&ended.seq).is_some() {
            self.attributor.call_ended(&ended);
        }
    }

    fn pipe(&mut self, key: crate::attribution::PipeKey, record: &Record<'_>, data: &Data<'_>) {
        if data.len == 0 {
            return;
        }
        let next = &mut self.next;
        let mut seq = || number(next);
        self.attributor.pipe(
            key,
            record.tgid,
            Moved::by(&chunk(record, data)),
            data,
            &mut seq,
        );
    }

    fn log(&mut self, record: &Record<'_>, data: &Data<'_>, fd: i32) {
        let tgid = record.tgid;
        let Self { files, pauses, .. } = self;
        let ino = files.get(data.file).map_or(0, Description::ino);
        let log = self.logs.get_or_insert_mut(data.file, || Log {
            lines: pauses.lines(ino),
            tgid,
            fd,
            binary: false,
        });
        (log.tgid, log.fd) = (tgid, fd);
        let mut lines = std::mem::take(&mut self.lines);
        let was_text = log.lines.is_text();
        log.lines
            .write(&chunk(record, data), data.more, &mut |line| {
                lines.push(line)
            });
        if log.lines.has_binary() && !log.binary {
            log.binary = true;
            self.teller.not_observed(tgid, Protocol::NotText);
        }
        if was_text && !log.lines.is_text() {
            self.exchanges.ignore(data.file);
        }
        self.log_lines(&mut lines, tgid, data.file, fd);
        self.lines = lines;
    }

    /// A thread's last lines end with it.
    fn end_lines(&mut self, tgid: Tgid, tid: Tid) {
        let mut ended = Vec::new();
        for (file, log) in self.logs.iter_mut().filter(|(_, log)| log.tgid == tgid) {
            let mut lines = Vec::new();
            log.lines.end_thread(tid, &mut |line| lines.push(line));
            if !lines.is_empty() {
                ended.push((*file, log.fd, lines));
            }
        }
        for (file, fd, mut lines) in ended {
            self.log_lines(&mut lines, tgid, file, fd);
        }
    }

    /// Tells lines whose end did not come, or of the logs that end.
    fn flush_logs(&mut self, which: impl Fn(FileId) -> bool, ending: bool) {
        let mut flushed = Vec::new();
        for (file, log) in self.logs.iter_mut().filter(|(file, _)| which(**file)) {
            let mut lines = Vec::new();
            if ending {
                log.lines.end(&mut |line| lines.push(line));
            } else {
                log.lines.flush(self.now, &mut |line| lines.push(line));
            }
            if !lines.is_empty() {
                flushed.push((*file, log.tgid, log.fd, lines));
            }
        }
        for (file, tgid, fd, mut lines) in flushed {
            self.log_lines(&mut lines, tgid, file, fd);
        }
    }

    pub(super) fn log_lines(
        &mut self,
        lines: &mut Vec<LogLine>,
        tgid: Tgid,
        file: FileId,
        fd: i32,
    ) {
        for line in lines.drain(..) {
            if self.relays.is_relayed(tgid, &line.text, line.moved.time) {
                continue;
            }
            let source = self.files.source(file, fd);
            let seq = number(&mut self.next);
            let (tid, time) = (line.moved.tid, line.moved.time);
            let context = line::scan(&line.text);
            let work = Work::Line(Box::new(Line {
                line,
                source,
                context,
            }));
            self.attributor.take(seq, tgid, tid, time, work);
        }
    }

    fn corrected(&mut self, file: FileId, time: KernelNanos) {
        let mut events = std::mem::take(&mut self.events);
        self.exchanges
            .corrected(file, time, &mut |e| events.push(e));
        self.exchange_events(events);
        let Some(log) = self.logs.get_mut(&file) else {
            return;
        };
        let mut lines = Vec::new();
        log.lines.lost(time, &mut |line| lines.push(line));
        let (tgid, fd) = (log.tgid, log.fd);
        self.log_lines(&mut lines, tgid, file, fd);
    }

    fn close(&mut self, file: FileId, last: bool, record: &Record<'_>) {
        self.attributor.touched(record.tid, file);
        if !last {
            return self.exchanges.left(file, record.tgid);
        }
        let mut events = std::mem::take(&mut self.events);
        self.exchanges
            .closed(file, record.tid, record.time, &mut |e| events.push(e));
        self.exchange_events(events);
        self.flush_logs(|f| f == file, true);
        self.attributor.closed(file);
        self.files.close(file);
        self.logs.pop(&file);
    }

    fn exit(&mut self, tgid: Tgid, tid: Tid, time: KernelNanos) {
        self.end_lines(tgid, tid);
        self.attributor.thread_ended(tid, time);
        if tid.0 == tgid.0 {
            self.process_ended(tgid, time);
        }
    }

    /// A program is over: its process ended, or runs another one, for which descriptors are closed
    /// unseen.
    fn process_ended(&mut self, tgid: Tgid, time: KernelNanos) {
        let mut events = Vec::new();
        self.exchanges
            .process_ended(tgid, time, &mut |e| events.push(e));
        self.exchange_events(events);
        self.attributor.process_ended(tgid, time);
        self.teller.process_ended(tgid);
    }

    /// Records were lost: what that touches is not judged, and those not told yet are told.
    fn missed(&mut self, missed: Missed) {
        self.attributor.lost(missed.since, missed.until);
        if missed.count > 0 {
            self.teller.lost(
                LossKind::Records,
                missed.count,
                missed.since,
                missed.until,
                None,
            );
        }
    }

    pub(super) fn tick(&mut self, now: KernelNanos, lost: u64) {
        self.now = self.now.max(now);
        if let Some(missed) = self.sequences.tick(now, lost) {
            self.missed(missed);
        }
        let mut events = std::mem::take(&mut self.events);
        self.exchanges.expire(now, &mut |e| events.push(e));
        self.exchange_events(events);
        self.flush_logs(|_| true, false);
    }

    pub(super) fn stop(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        self.exchanges.stop(self.now, &mut |e| events.push(e));
        self.exchange_events(events);
        self.flush_logs(|_| true, true);
    }

    /// Tells what is certain by now: requests that were answered, then what was decided.
    pub(super) fn judge(&mut self, stopping: bool, out: &mut Vec<Judged>) {
        for (begun, ended) in self.answered.drain(..) {
            out.push(self.teller.served(*begun, &ended));
        }
        let decided = self.attributor.decide(self.now, stopping);
        let story = self.attributor.take_story();
        self.teller.decided(&self.attributor, decided, story, out);
        self.teller.losses(out);
        self.teller.sampling(self.now, out);
    }

    pub(super) fn summary(&self) -> Summary {
        self.teller.summary(self.now, self.records)
    }

    pub(super) fn tally(&self) -> Tally {
        self.teller.tally(self.records)
    }
}

fn number(next: &mut u64) -> Seq {
    let seq = Seq(*next);
    *next += 1;
    seq
}

fn chunk<'a>(record: &Record<'a>, data: &Data<'a>) -> Chunk<'a> {
    Chunk {
        tid: record.tid,
        time: record.time,
        pos: data.pos,
        len: data.len,
        bytes: data.payload,
        nonblocking: data.nonblocking,
        execution: data.execution,
    }
}
