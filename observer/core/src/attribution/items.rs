//! Tier 4, items: work that is given to an executor, and taken from its queue by a thread that does it.
//!
//! The runtime's own object tells which work a thread took, and so who gave it (`observer_abi::Item`): however many threads take,
//! and in whatever order. From its taking to the next one the thread does that work alone.
//!
//! What was given while a request was served may as well be work that the process wanted anyway: a poller that
//! is started lazily never ends. The difference shows later, as for threads (`births`): nothing is concluded from an item
//! in which bytes were moved after the request's end.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::births::GRACE;
use super::evidence::{Link, either};
use super::logged::Written;
use super::process::Process;
use super::subject::{Doer, Hold, Subject};
use super::threads::Took;
use super::{Attributor, Served};
use crate::ids::{KernelNanos, Tgid, Tid};
use crate::judged::{Evidence, Reason};
use crate::record::{Item as Told, ItemHow, ItemWhat, Record};

/// Items that are remembered, and that lie in queues.
const MAX_ITEMS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Number of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemId(u64);

#[derive(Debug)]
pub(super) struct Items {
    items: LruCache<ItemId, Item>,
    /// Those that lie in queues.
    queued: LruCache<(Tgid, u64), ItemId>,
    next: u64,
}

/// What was given to an executor, or to a logger's queue.
#[derive(Debug)]
pub(super) struct Item {
    /// Who gave it.
    pub(super) by: Tid,
    /// What that thread was doing.
    pub(super) hold: Hold,
    /// The execution that gave it.
    doer: Option<Doer>,
    /// When bytes were last moved in it.
    pub(super) last: KernelNanos,
    /// Whether its thread is done with it.
    pub(super) over: bool,
    /// What was logged: what came of it.
    pub(super) written: Written,
}

impl Default for Items {
    fn default() -> Self {
        Self {
            items: LruCache::sparse(MAX_ITEMS),
            queued: LruCache::sparse(MAX_ITEMS),
            next: 0,
        }
    }
}

impl Items {
    fn given(&mut self, key: (Tgid, u64), item: Item) {
        let id = ItemId(self.next);
        self.next += 1;
        self.items.push(id, item);
        self.queued.push(key, id);
    }

    pub(super) fn get_mut(&mut self, id: ItemId) -> Option<&mut Item> {
        self.items.peek_mut(&id)
    }

    pub(super) fn get(&self, id: ItemId) -> Option<&Item> {
        self.items.peek(&id)
    }

    /// A thread is done with an item.
    pub(super) fn over(&mut self, id: ItemId) {
        if let Some(item) = self.items.peek_mut(&id) {
            item.over = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Item {
    /// Whether it is over, or long enough after the end of its request, so that nothing more is to come of it.
    fn is_done(&self, until: KernelNanos, now: KernelNanos) -> bool {
        self.over || self.last > until || now.since(until) > GRACE
    }
}

impl Attributor {
    /// Something was put into a queue, or taken out of it.
    pub fn item(&mut self, record: &Record<'_>, told: &Told) {
        if told.what == ItemWhat::Message {
            return self.message(record, told);
        }
        let key = (record.tgid, told.id);
        self.awake(record.tid);
        match told.how {
            ItemHow::Given => {
                let hold = self.threads.hands_on(record.tid);
                let doer = told.execution.filter(|e| !e.is_published());
                let item = Item {
                    by: record.tid,
                    hold: self.within_generations(hold),
                    doer: doer.map(|execution| Doer {
                        life: self.life(record.tgid, execution, record.time),
                        execution,
                        time: record.time,
                        took: false,
                    }),
                    last: record.time,
                    over: false,
                    written: Written::default(),
                };
                self.items.given(key, item);
            }
            ItemHow::Taken => {
                let took = self.items.queued.pop(&key).map(|id| {
                    if told.what == ItemWhat::Record {
                        self.record_taken(id, record.time);
                        return Took::Record(id);
                    }
                    Took::Work(id)
                });
                if let Some(done) = self.threads.takes_item(record.tid, took) {
                    self.items.over(done);
                }
            }
        }
    }

    /// A thread moved bytes: for the item that it took last.
    pub(super) fn item_moved(&mut self, tid: Tid, time: KernelNanos) {
        if !self.items.is_empty()
            && let Some(id) = self.threads.item(tid)
            && let Some(item) = self.items.items.peek_mut(&id)
        {
            item.last = item.last.max(time);
        }
    }

    /// The request for which an item was given.
    pub(super) fn by_item(
        &self,
        process: &Process,
        subject: &Subject,
        id: ItemId,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let item = self.items.get(id).ok_or(None)?;
        let link = self.giver(process, subject, item, now)?;
        let served: &Served = process.served(link.request).ok_or(None)?;
        let until = served.until.ok_or(Some(Reason::StillOpen))?;
        if item.last > until {
            return Err(Some(Reason::OutlivedRequest));
        }
        if !item.is_done(until, now) {
            return Err(Some(Reason::StillOpen));
        }
        Ok(link.handed_on(Evidence::Submitted { by: item.by }))
    }

    /// The request that whoever gave an item worked for.
    pub(super) fn giver(
        &self,
        process: &Process,
        subject: &Subject,
        item: &Item,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let held = self.worked_for(process, subject, &item.hold, now);
        let Some(doer) = &item.doer else {
            return held;
        };
        let owned = self.owner_of(subject.tgid, doer, now);
        either(self.executing(process, subject, doer, owned), held)
    }

    /// Whether nothing is to come that says more about what an item is for.
    pub(super) fn is_item_settled(&self, subject: &Subject, id: ItemId, now: KernelNanos) -> bool {
        let Some((item, process)) = self.items.get(id).zip(self.processes.get(&subject.tgid))
        else {
            return true;
        };
        if !self.is_giver_settled(subject, item, now) {
            return false;
        }
        self.giver(process, subject, item, now)
            .map_or(true, |link| {
                let until = process.served(link.request).map(|served| served.until);
                until.is_none_or(|until| until.is_some_and(|until| item.is_done(until, now)))
            })
    }

    /// Whether nothing is to come that says more about what whoever gave an item was doing then.
    pub(super) fn is_giver_settled(
        &self,
        subject: &Subject,
        item: &Item,
        now: KernelNanos,
    ) -> bool {
        let executed = |doer: &Doer| self.is_owned(subject, doer, now);
        item.doer.as_ref().is_none_or(executed) && self.is_settled(subject, &item.hold, now)
    }
}
