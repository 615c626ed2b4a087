//! A service whose threads have their calls made by a pool.

use std::collections::BTreeMap;

use observer_abi::Heap;
use observer_core::facts::Runtime;

use super::world::{Socket, Told, World, request, response, traceparent};

pub(super) const SHOP: u32 = 10;
/// The first of the threads that serve a request each.
const SERVER: u32 = 20;
/// The first of the pool's threads.
const WORKER: u32 = 40;
/// The first of those that run one thing in their lives.
const STARTED: u32 = 100;
/// The thread of a client that reads responses.
pub(super) const SELECTOR: u32 = 60;
pub(super) const LANES: u16 = 3;
const CLASS: u32 = 5;
/// The length of a thread's buffer.
const BUFFER: u64 = 0x1_0000;

/// A thread's buffer, and the task that it runs, or what it was started to run.
#[derive(Clone, Copy, Default)]
struct Thread {
    start: u64,
    top: u64,
    task: u64,
    target: u64,
}

/// A service whose threads have their calls made by a pool.
pub(super) struct Jvm {
    pub(super) w: World,
    threads: BTreeMap<u32, Thread>,
    buffers: u64,
    collections: u32,
    served: Vec<Socket>,
    pub(super) called: Vec<Socket>,
    /// What threads that were started write to and call on, and how many there were.
    stdout: Socket,
    pub(super) pooled: Socket,
    started: u32,
    /// The request that each lane serves; 0 for none.
    pub(super) open: [u64; LANES as usize],
    pub(super) requests: u64,
}

impl Jvm {
    pub(super) fn new() -> Self {
        let mut w = World::new();
        w.runs_on(SHOP, Runtime::Java);
        let served = (0..LANES).map(|i| w.tcp(SHOP, 80, 5000 + i, false));
        let served = served.collect();
        let called = (0..LANES).map(|i| w.tcp(SHOP, 6000 + i, 90, false));
        let called = called.collect();
        let stdout = w.stdout(SHOP);
        let pooled = w.tcp(SHOP, 6100, 90, false);
        Self {
            w,
            stdout,
            pooled,
            started: 0,
            threads: BTreeMap::new(),
            buffers: 0,
            collections: 1,
            served,
            called,
            open: [0; LANES as usize],
            requests: 0,
        }
    }

    /// One whose pool is known by its tasks.
    pub(super) fn proven() -> Self {
        let mut jvm = Self::new();
        jvm.proves();
        jvm
    }

    /// Its pool becomes known by its tasks.
    pub(super) fn proves(&mut self) {
        for _ in 0..30 {
            self.serves();
        }
        self.w.sleep(3_000_000_000);
        self.w.tick();
    }

    /// A request has a worker make a call. Returns that.
    fn serves(&mut self) -> String {
        self.reads(0);
        let task = self.makes(SERVER);
        self.runs(0, task);
        self.calls(0, 0);
        self.rests(0);
        self.answers(0);
        format!("/for/{}", self.requests)
    }

    /// The same beside another request.
    pub(super) fn serves_beside(&mut self) -> String {
        self.reads(1);
        let call = self.serves();
        self.answers(1);
        call
    }

    fn thread(&mut self, tid: u32) -> &mut Thread {
        let buffers = &mut self.buffers;
        let thread = self.threads.entry(tid).or_default();
        if thread.start == 0 {
            *buffers += 1;
            thread.start = *buffers * BUFFER;
            thread.top = thread.start + 0x10;
        }
        thread
    }

    /// An object is made on a thread. Returns its address.
    pub(super) fn makes(&mut self, tid: u32) -> u64 {
        let thread = self.thread(tid);
        let made = thread.top;
        thread.top += 0x40;
        made
    }

    /// What is told before the next record of a thread.
    pub(super) fn heap(&mut self, tid: u32) {
        self.makes(tid);
        let Thread {
            start,
            top,
            task,
            target,
        } = self.threads[&tid];
        let heap = Heap {
            task,
            start,
            top,
            end: start + BUFFER,
            collections: self.collections,
            class: if task == 0 { 0 } else { CLASS },
            target,
            ..Heap::default()
        };
        self.w.heap(SHOP, tid, heap);
    }

    /// A collection moves all objects. Returns where those at `tasks` are now.
    pub(super) fn collects(&mut self, tasks: &mut [u64]) {
        self.collections += 1;
        let at: BTreeMap<u64, u64> = (tasks.iter().copied())
            .chain(self.threads.values().map(|thread| thread.task))
            .filter(|task| *task != 0)
            .zip((1..).map(|n| 0x100 * n))
            .collect();
        let moved = |task: &mut u64| *task = at.get(task).copied().unwrap_or_default();
        tasks.iter_mut().for_each(moved);
        for thread in self.threads.values_mut() {
            moved(&mut thread.task);
            (thread.start, thread.top) = (0, 0);
        }
    }

    pub(super) fn reads(&mut self, lane: usize) {
        self.requests += 1;
        let n = self.requests;
        self.open[lane] = n;
        let tid = server(lane);
        self.heap(tid);
        let inbound = request(&format!("/in/{n}"), &traceparent(n, 1));
        self.w.read(tid, self.served[lane], inbound);
    }

    pub(super) fn answers(&mut self, lane: usize) {
        self.open[lane] = 0;
        let tid = server(lane);
        self.heap(tid);
        self.w.write(tid, self.served[lane], response());
        self.w.tick();
    }

    /// A worker takes a task.
    pub(super) fn runs(&mut self, worker: usize, task: u64) {
        self.thread(pooled(worker)).task = task;
    }

    /// It has no task, and does something that shows that.
    pub(super) fn rests(&mut self, worker: usize) {
        self.runs(worker, 0);
        self.heap(pooled(worker));
        self.w.sleep(super::world::STEP);
    }

    /// A worker writes a call for a lane's request.
    pub(super) fn asks(&mut self, worker: usize, lane: usize) {
        let tid = pooled(worker);
        let target = format!("/for/{}", self.open[lane]);
        self.heap(tid);
        self.w.write(tid, self.called[worker], request(&target, ""));
    }

    /// It reads the response.
    pub(super) fn is_answered(&mut self, worker: usize) {
        self.heap(pooled(worker));
        self.w.read(pooled(worker), self.called[worker], response());
    }

    pub(super) fn calls(&mut self, worker: usize, lane: usize) {
        self.asks(worker, lane);
        self.is_answered(worker);
    }

    /// The thread `by` starts one that runs `target`.
    pub(super) fn starts(&mut self, by: u32, target: u64) -> u32 {
        self.started += 1;
        let child = STARTED + self.started;
        self.heap(by);
        self.w.spawn(SHOP, by, child);
        self.thread(child).target = target;
        child
    }

    pub(super) fn logs(&mut self, tid: u32, line: &str) {
        self.heap(tid);
        self.w.write(tid, self.stdout, format!("{line}\n"));
    }

    pub(super) fn ends(&mut self, tid: u32) {
        self.w.exit(SHOP, tid);
        self.threads.remove(&tid);
    }

    pub(super) fn told(mut self) -> Told {
        self.w.sleep(10_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

pub(super) fn server(lane: usize) -> u32 {
    SERVER + u32::try_from(lane).unwrap()
}

pub(super) fn pooled(worker: usize) -> u32 {
    WORKER + u32::try_from(worker).unwrap()
}
