//! Tier 4, records: what is logged through a queue, and written by the thread that takes it from there.
//!
//! Unlike work (`items`) a record may be written long after the response: it does nothing by itself. But its line has to be told from
//! those of others. A thread that writes each record when it has taken it writes one event of it to a log; one that
//! gathers them first writes several at once, or in a row, before it takes the next. Then none of them is given to anybody.

use super::Attributor;
use super::births::GRACE;
use super::evidence::Link;
use super::items::ItemId;
use super::process::Process;
use super::subject::{Subject, Work};
use crate::ids::KernelNanos;
use crate::judged::{Evidence, Reason};
use crate::text::Text;

/// Logs that one record is written to, at most.
const MAX_LOGS: usize = 8;

/// What the thread that took a record has written since.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// When it was taken.
    taken: KernelNanos,
    /// The logs to which it wrote an event; a pipe to another thread counts as one.
    logs: Vec<Text>,
    /// It wrote another one to one of them.
    again: bool,
}

impl Written {
    fn add(&mut self, log: &Text) {
        if self.logs.len() == MAX_LOGS || self.logs.contains(log) {
            self.again = true;
        } else {
            self.logs.push(log.clone());
        }
    }
}

impl Attributor {
    pub(super) fn record_taken(&mut self, id: ItemId, time: KernelNanos) {
        if let Some(record) = self.items.get_mut(id) {
            record.last = time;
            record.written.taken = time;
        }
    }

    /// The thread that took a record did something.
    pub(super) fn wrote(&mut self, id: ItemId, work: &Work) {
        if let Some(record) = self.items.get_mut(id) {
            match work {
                Work::Line(line) => record.written.add(&line.source),
                Work::Message(_) => record.written.add(&Text::new_static("")),
                Work::Call(_) => {}
            }
        }
    }

    /// The request for which that was logged which a thread has written.
    pub(super) fn by_record(
        &self,
        process: &Process,
        subject: &Subject,
        id: ItemId,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let record = self.items.get(id).ok_or(None)?;
        let since = match &subject.work {
            Work::Line(line) => line.line.moved.since,
            Work::Message(moved) => moved.since,
            // It may deliver what many have logged.
            Work::Call(_) => return Err(None),
        };
        if record.written.again || since < record.written.taken {
            return Err(Some(Reason::Batched));
        }
        let link = self.giver(process, subject, record, now)?;
        Ok(link.handed_on(Evidence::Logged { by: record.by }))
    }

    /// Whether nothing is to come that says more about what a record was logged for, and whether its line is its own.
    pub(super) fn is_record_settled(
        &self,
        subject: &Subject,
        id: ItemId,
        now: KernelNanos,
    ) -> bool {
        self.items.get(id).is_none_or(|record| {
            (record.over || now.since(record.last) > GRACE)
                && self.is_giver_settled(subject, record, now)
        })
    }
}
