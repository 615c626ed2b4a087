//! Puts together what belongs to one request.
//!
//! The pipeline tells a request when it is complete, and what was done for it at about the same time.
//! Whatever comes before its request waits for it, a bounded time and in bounded number; what
//! comes after its request was shown is shown by itself.

use std::collections::{BTreeMap, HashMap, VecDeque};

use observer_core::ids::KernelNanos;
use observer_core::judged::{Address, Exchange, ExchangeId, Judged, Log, Role, WallTime};
use observer_core::text::Text;

/// How long a part waits for its request, nanoseconds of recorded time.
const PATIENCE: u64 = 30_000_000_000;
/// How many parts wait at most.
const WAITING: usize = 20_000;
/// How many requests are remembered after they were shown.
const REMEMBERED: usize = 4_096;

/// Something done for a request.
#[derive(Clone, Debug)]
pub enum Part {
    /// A call.
    Call(Box<Exchange>),
    /// A logged event.
    Line(Box<Log>),
}

impl Part {
    /// When it began.
    pub fn time(&self) -> WallTime {
        match self {
            Self::Call(call) => call.start,
            Self::Line(line) => line.time,
        }
    }

    fn request(&self) -> Option<ExchangeId> {
        match self {
            Self::Call(call) => call.request,
            Self::Line(line) => line.request,
        }
    }

    fn judged(self) -> Judged {
        match self {
            Self::Call(call) => Judged::Exchange(call),
            Self::Line(line) => Judged::Log(line),
        }
    }
}

/// A request that was shown before.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Its name.
    pub id: ExchangeId,
    /// Its method.
    pub method: Text,
    /// Its target.
    pub target: Text,
    /// Who made it: address and, if known, service.
    pub peer: (Address, Option<Text>),
}

/// A request with what was done for it; or, without a request, one thing by itself.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The request.
    pub request: Option<Box<Exchange>>,
    /// Without a request: the one that this was done for, shown earlier.
    pub earlier: Option<Earlier>,
    /// What was done for it, in the order of time.
    pub parts: Vec<Part>,
}

impl Tree {
    /// When it began.
    pub fn time(&self) -> Option<WallTime> {
        match &self.request {
            Some(request) => Some(request.start),
            None => self.parts.first().map(Part::time),
        }
    }

    /// Its objects, the request first.
    pub fn into_judged(self) -> impl Iterator<Item = Judged> {
        let request = self.request.map(Judged::Exchange);
        request
            .into_iter()
            .chain(self.parts.into_iter().map(Part::judged))
    }
}

/// Parts that wait for one request.
#[derive(Debug)]
struct Waiting {
    since: KernelNanos,
    parts: Vec<Part>,
}

/// Collects judged things into trees.
#[derive(Debug, Default)]
pub struct Trees {
    now: KernelNanos,
    /// Complete ones, to be shown at the next tick.
    ready: Vec<Tree>,
    waiting: BTreeMap<ExchangeId, Waiting>,
    /// Parts in `waiting`.
    held: usize,
    /// Requests that were shown, and the order in which they were.
    earlier: HashMap<ExchangeId, Earlier>,
    order: VecDeque<ExchangeId>,
}

impl Trees {
    /// Takes an exchange or a log line.
    pub fn add(&mut self, part: Part) {
        match part {
            Part::Call(request) if request.role == Role::Server => self.ready.push(Tree {
                request: Some(request),
                ..Tree::default()
            }),
            part => self.add_part(part),
        }
    }

    fn add_part(&mut self, part: Part) {
        let alone = |earlier, part| Tree {
            earlier,
            parts: vec![part],
            ..Tree::default()
        };
        let Some(id) = part.request() else {
            return self.ready.push(alone(None, part));
        };
        if let Some(earlier) = self.earlier.get(&id) {
            return self.ready.push(alone(Some(earlier.clone()), part));
        }
        if self.held >= WAITING {
            self.release_oldest();
        }
        self.held += 1;
        let now = self.now;
        self.waiting
            .entry(id)
            .or_insert_with(|| Waiting {
                since: now,
                parts: Vec::new(),
            })
            .parts
            .push(part);
    }

    /// What can be shown now, in the order of time.
    pub fn tick(&mut self, now: KernelNanos) -> Vec<Tree> {
        self.now = now;
        let mut ready = self.complete();
        let overdue: Vec<ExchangeId> = self
            .waiting
            .iter()
            .filter(|(_, w)| now.since(w.since) > PATIENCE)
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            self.release(id);
        }
        ready.append(&mut self.ready);
        ready.sort_by_key(Tree::time);
        ready
    }

    /// Everything that is left.
    pub fn finish(&mut self) -> Vec<Tree> {
        let mut ready = self.complete();
        while !self.waiting.is_empty() {
            self.release_oldest();
        }
        ready.append(&mut self.ready);
        ready.sort_by_key(Tree::time);
        ready
    }

    /// Gives requests that are ready their parts.
    fn complete(&mut self) -> Vec<Tree> {
        let mut ready = std::mem::take(&mut self.ready);
        for tree in &mut ready {
            let Some(request) = &tree.request else {
                continue;
            };
            if let Some(waiting) = self.waiting.remove(&request.id) {
                self.held -= waiting.parts.len();
                tree.parts = waiting.parts;
                tree.parts.sort_by_key(Part::time);
            }
            if self.order.len() == REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.earlier.remove(&oldest);
            }
            self.order.push_back(request.id);
            let earlier = Earlier {
                id: request.id,
                method: request.method.clone(),
                target: request.target.clone(),
                peer: (request.peer.clone(), request.peer_service.clone()),
            };
            self.earlier.insert(request.id, earlier);
        }
        ready
    }

    fn release_oldest(&mut self) {
        if let Some(id) = self.waiting.keys().next().copied() {
            self.release(id);
        }
    }

    /// Shows parts without their request.
    fn release(&mut self, id: ExchangeId) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.held -= waiting.parts.len();
            self.ready
                .extend(waiting.parts.into_iter().map(|part| Tree {
                    parts: vec![part],
                    ..Tree::default()
                }));
        }
    }
}

#[cfg(test)]
mod tests {
    use observer_core::judged::LogVerdict;

    use super::*;
    use crate::sink::samples;

    fn line(request: Option<u64>, at: u64) -> Part {
        let mut line = samples::log(LogVerdict::Linked);
        line.request = request.map(samples::id);
        line.time = WallTime(at);
        Part::Line(Box::new(line))
    }

    fn request(id: u64) -> Part {
        let mut request = samples::server();
        request.id = samples::id(id);
        Part::Call(Box::new(request))
    }

    /// (request shown, request shown earlier, number of parts) of each tree.
    fn shape(trees: Vec<Tree>) -> Vec<(bool, bool, usize)> {
        trees
            .into_iter()
            .map(|t| (t.request.is_some(), t.earlier.is_some(), t.parts.len()))
            .collect()
    }

    #[test]
    fn parts_wait_for_their_request_and_come_in_order() {
        let mut trees = Trees::default();
        trees.add(line(Some(1), 30));
        assert!(trees.tick(KernelNanos(1)).is_empty());
        trees.add(request(1));
        trees.add(line(Some(1), 20));
        let shown = trees.tick(KernelNanos(2));
        let times: Vec<u64> = shown[0].parts.iter().map(|p| p.time().0).collect();
        assert_eq!(times, [20, 30]);
        assert_eq!(shape(shown), [(true, false, 2)]);
    }

    #[test]
    fn a_late_part_names_its_request() {
        let mut trees = Trees::default();
        trees.add(request(1));
        trees.tick(KernelNanos(1));
        trees.add(line(Some(1), 30));
        assert_eq!(shape(trees.tick(KernelNanos(2))), [(false, true, 1)]);
    }

    #[test]
    fn patience_and_room_are_bounded() {
        let mut trees = Trees::default();
        trees.add(line(Some(1), 30));
        assert!(trees.tick(KernelNanos(PATIENCE)).is_empty());
        assert_eq!(
            shape(trees.tick(KernelNanos(PATIENCE + 1))),
            [(false, false, 1)]
        );
        for n in 0..=WAITING as u64 {
            trees.add(line(Some(n + 2), n));
        }
        assert_eq!(trees.tick(KernelNanos(PATIENCE + 2)).len(), 1);
        assert_eq!(trees.finish().len(), WAITING);
    }
}
