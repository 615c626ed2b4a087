//! Stories of Java's pools: tasks by the threads that made them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::BTreeMap;

use observer_abi::Heap;
use observer_core::facts::Runtime;
use observer_core::judged::{Reason, Role};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// The first of the threads that serve a request each.
const SERVER: u32 = 20;
/// The first of the pool's threads.
const WORKER: u32 = 40;
/// The first of those that run one thing in their lives.
const STARTED: u32 = 100;
/// The thread of a client that reads responses.
const SELECTOR: u32 = 60;
const LANES: u16 = 3;
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
struct Jvm {
    w: World,
    threads: BTreeMap<u32, Thread>,
    buffers: u64,
    collections: u32,
    served: Vec<Socket>,
    called: Vec<Socket>,
    /// What threads that were started write to and call on, and how many there were.
    stdout: Socket,
    pooled: Socket,
    started: u32,
    /// The request that each lane serves; 0 for none.
    open: [u64; LANES as usize],
    requests: u64,
}

impl Jvm {
    fn new() -> Self {
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
    fn proven() -> Self {
        let mut jvm = Self::new();
        jvm.proves();
        jvm
    }

    /// Its pool becomes known by its tasks.
    fn proves(&mut self) {
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
    fn serves_beside(&mut self) -> String {
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
    fn makes(&mut self, tid: u32) -> u64 {
        let thread = self.thread(tid);
        let made = thread.top;
        thread.top += 0x40;
        made
    }

    /// What is told before the next record of a thread.
    fn heap(&mut self, tid: u32) {
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
    fn collects(&mut self, tasks: &mut [u64]) {
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

    fn reads(&mut self, lane: usize) {
        self.requests += 1;
        let n = self.requests;
        self.open[lane] = n;
        let tid = server(lane);
        self.heap(tid);
        let inbound = request(&format!("/in/{n}"), &traceparent(n, 1));
        self.w.read(tid, self.served[lane], inbound);
    }

    fn answers(&mut self, lane: usize) {
        self.open[lane] = 0;
        let tid = server(lane);
        self.heap(tid);
        self.w.write(tid, self.served[lane], response());
        self.w.tick();
    }

    /// A worker takes a task.
    fn runs(&mut self, worker: usize, task: u64) {
        self.thread(pooled(worker)).task = task;
    }

    /// It has no task, and does something that shows that.
    fn rests(&mut self, worker: usize) {
        self.runs(worker, 0);
        self.heap(pooled(worker));
        self.w.sleep(world::STEP);
    }

    /// A worker writes a call for a lane's request.
    fn asks(&mut self, worker: usize, lane: usize) {
        let tid = pooled(worker);
        let target = format!("/for/{}", self.open[lane]);
        self.heap(tid);
        self.w.write(tid, self.called[worker], request(&target, ""));
    }

    /// It reads the response.
    fn is_answered(&mut self, worker: usize) {
        self.heap(pooled(worker));
        self.w.read(pooled(worker), self.called[worker], response());
    }

    fn calls(&mut self, worker: usize, lane: usize) {
        self.asks(worker, lane);
        self.is_answered(worker);
    }

    /// The thread `by` starts one that runs `target`.
    fn starts(&mut self, by: u32, target: u64) -> u32 {
        self.started += 1;
        let child = STARTED + self.started;
        self.heap(by);
        self.w.spawn(SHOP, by, child);
        self.thread(child).target = target;
        child
    }

    fn logs(&mut self, tid: u32, line: &str) {
        self.heap(tid);
        self.w.write(tid, self.stdout, format!("{line}\n"));
    }

    fn ends(&mut self, tid: u32) {
        self.w.exit(SHOP, tid);
        self.threads.remove(&tid);
    }

    fn told(mut self) -> Told {
        self.w.sleep(10_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

fn server(lane: usize) -> u32 {
    SERVER + u32::try_from(lane).unwrap()
}

fn pooled(worker: usize) -> u32 {
    WORKER + u32::try_from(worker).unwrap()
}

/// The request to which a call is given.
fn owner(told: &Told, call: &str) -> Option<String> {
    told.owner(call).0
}

#[test]
fn a_task_belongs_to_the_request_whose_thread_made_it() {
    let mut jvm = Jvm::proven();
    let (a, b) = (jvm.requests + 1, jvm.requests + 2);
    jvm.reads(0);
    jvm.reads(1);
    let (of_a, of_b) = (jvm.makes(server(0)), jvm.makes(server(1)));
    jvm.runs(1, of_a);
    jvm.runs(0, of_b);
    jvm.calls(1, 0);
    jvm.calls(0, 1);
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(owner(&told, &format!("/for/{a}")), Some(format!("/in/{a}")));
    assert_eq!(owner(&told, &format!("/for/{b}")), Some(format!("/in/{b}")));
}

#[test]
fn what_was_seen_before_virtual_threads_were_known_tells_nothing() {
    let mut jvm = Jvm::proven();
    let before = jvm.serves_beside();
    jvm.w.sleep(10_000_000_000);
    jvm.w.tick();
    jvm.w.carries(SHOP);
    let first = jvm.serves_beside();
    jvm.w.sleep(10_000_000_000);
    jvm.w.tick();
    jvm.proves();
    let later = jvm.serves_beside();
    let told = jvm.told();
    assert!(owner(&told, &before).is_some());
    assert_eq!(
        owner(&told, &first),
        None,
        "it may be of what a carrier carried"
    );
    assert!(owner(&told, &later).is_some());
}

/// A list that the task of whoever finds it empty empties, as `SubmissionPublisher` does; a collection comes in between, or not.
fn emptied(collects: bool) -> (Told, String) {
    let mut jvm = Jvm::proven();
    let b = jvm.requests + 2;
    jvm.reads(0);
    let mut task = [jvm.makes(server(0))];
    jvm.runs(1, task[0]);
    jvm.calls(1, 0);
    jvm.reads(1);
    // The first item is done, and the task goes on with the other's, as the first request is about to be answered.
    jvm.asks(1, 1);
    if collects {
        jvm.collects(&mut task);
    }
    jvm.answers(0);
    jvm.is_answered(1);
    jvm.rests(1);
    jvm.answers(1);
    (jvm.told(), format!("/for/{b}"))
}

#[test]
fn a_task_that_goes_on_after_its_request_has_worked_for_others() {
    for collects in [false, true] {
        let (told, call) = emptied(collects);
        assert_eq!(owner(&told, &call), None, "{collects}");
        let reason = |call: &str| told.call(call).attribution.as_ref().unwrap().reason.clone();
        assert_eq!(reason(&call), Some(Reason::OutlivedRequest));
    }
}

#[test]
fn what_a_task_logs_that_is_seen_to_go_on_later_is_nobody_s() {
    let mut jvm = Jvm::proven();
    let stdout = jvm.w.stdout(SHOP);
    jvm.reads(0);
    let mut task = [jvm.makes(server(0))];
    jvm.runs(1, task[0]);
    jvm.reads(1);
    jvm.heap(pooled(1));
    jvm.w.write(pooled(1), stdout, "for the other\n");
    jvm.answers(0);
    jvm.collects(&mut task);
    jvm.calls(1, 1);
    jvm.rests(1);
    jvm.answers(1);
    let told = jvm.told();
    assert_eq!(told.line("for the other").request, None);
}

/// The request to which a line is given.
fn logger(told: &Told, line: &str) -> Option<String> {
    let given = told.line(line).request?;
    let served = told.exchanges(Role::Server);
    let owner = served.iter().find(|s| s.id == given);
    owner.map(|owner| owner.target.to_string())
}

#[test]
fn what_a_thread_was_started_to_run_is_of_whoever_made_it() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    jvm.reads(1);
    let (of_a, of_b) = (jvm.makes(server(0)), jvm.makes(server(1)));
    // A worker completes both futures.
    jvm.heap(pooled(0));
    let (b, a) = (jvm.starts(pooled(0), of_b), jvm.starts(pooled(0), of_a));
    for (tid, line) in [(a, "for a"), (b, "for b")] {
        jvm.logs(tid, line);
        jvm.ends(tid);
    }
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "for a"), Some("/in/1".to_owned()));
    assert_eq!(logger(&told, "for b"), Some("/in/2".to_owned()));
}

#[test]
fn one_that_goes_on_after_the_request_serves_the_process() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    let target = jvm.makes(server(0));
    let tid = jvm.starts(pooled(0), target);
    jvm.logs(tid, "early");
    jvm.answers(0);
    jvm.heap(tid);
    jvm.w.write(tid, jvm.pooled, request("/late", ""));
    jvm.w.read(tid, jvm.pooled, response());
    jvm.ends(tid);
    let told = jvm.told();
    assert_eq!(logger(&told, "early"), None);
    assert_eq!(owner(&told, "/late"), None);
}

#[test]
fn what_several_threads_were_started_to_run_is_of_nobody() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    // Made lazily for a timer, which has it run again and again.
    let target = jvm.makes(server(0));
    for line in ["once", "again"] {
        let tid = jvm.starts(pooled(0), target);
        jvm.logs(tid, line);
        jvm.ends(tid);
    }
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "once"), None);
    assert_eq!(logger(&told, "again"), None);
}

#[test]
fn who_starts_a_thread_for_another_one_does_not_get_what_that_does() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    jvm.reads(1);
    // The second request completes the future that the first one waits for.
    let target = jvm.makes(server(0));
    let tid = jvm.starts(server(1), target);
    jvm.logs(tid, "for the first");
    jvm.ends(tid);
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "for the first"), None);
    let reason = told.line("for the first").attribution.reason.clone();
    assert!(
        matches!(reason, Some(Reason::Conflict { .. })),
        "{reason:?}"
    );
}

#[test]
fn what_a_collection_has_moved_before_it_runs_is_of_nobody() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    let mut target = [jvm.makes(server(0))];
    jvm.collects(&mut target);
    let tid = jvm.starts(pooled(0), target[0]);
    jvm.logs(tid, "moved");
    jvm.ends(tid);
    jvm.answers(0);
    assert_eq!(logger(&jvm.told(), "moved"), None);
}

#[test]
fn who_takes_a_connection_for_a_task_may_write_the_call_in_another_one() {
    let mut jvm = Jvm::proven();
    let a = jvm.requests + 1;
    jvm.reads(0);
    let task = jvm.makes(server(0));
    jvm.runs(1, task);
    jvm.heap(pooled(1));
    jvm.w
        .touch(pooled(1), jvm.called[1], observer_abi::take::PROBE);
    // The client's own, made by its selector.
    let own = jvm.makes(SELECTOR);
    jvm.heap(SELECTOR);
    jvm.runs(1, own);
    jvm.calls(1, 0);
    jvm.rests(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(owner(&told, &format!("/for/{a}")), Some(format!("/in/{a}")));
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request is read, or if one is open whose tasks are done, answered.
    Turn(usize),
    /// Its thread makes a task, which waits.
    Submit(usize),
    /// A worker that has none takes the oldest, or goes on with its own.
    Work(usize),
    /// The oldest thing that is to run in a thread of its own does, started by this worker, or by the thread that made it.
    Start(usize, bool),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let lane = || 0..usize::from(LANES);
    prop_oneof![
        6 => lane().prop_map(Step::Turn),
        6 => lane().prop_map(Step::Submit),
        12 => lane().prop_map(Step::Work),
        4 => (lane(), any::<bool>()).prop_map(|(by, own)| Step::Start(by, own)),
        1 => Just(Step::Collect),
    ]
}

/// Plays the steps; each call names the request for which it is made.
fn play(steps: &[Step]) -> Jvm {
    const DONE: u8 = 2;
    let mut jvm = Jvm::proven();
    let mut queue: Vec<(u64, usize)> = Vec::new();
    let mut at: BTreeMap<usize, (usize, u8)> = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Turn(lane) if jvm.open[lane] == 0 => jvm.reads(lane),
            Step::Turn(lane) => {
                let waits = queue.iter().any(|(_, of)| *of == lane);
                if !waits && !at.values().any(|(of, _)| *of == lane) {
                    jvm.answers(lane);
                }
            }
            Step::Submit(lane) if jvm.open[lane] != 0 => {
                let task = jvm.makes(server(lane));
                queue.push((task, lane));
            }
            Step::Submit(_) => {}
            Step::Work(worker) => match at.get_mut(&worker) {
                Some((_, DONE)) => {
                    at.remove(&worker);
                    jvm.rests(worker);
                }
                Some((lane, did)) => {
                    *did += 1;
                    let lane = *lane;
                    jvm.calls(worker, lane);
                }
                None if !queue.is_empty() => {
                    let (task, lane) = queue.remove(0);
                    jvm.runs(worker, task);
                    at.insert(worker, (lane, 0));
                }
                None => {}
            },
            Step::Start(by, own) if !queue.is_empty() => {
                let (target, lane) = queue.remove(0);
                let by = if own { server(lane) } else { pooled(by) };
                let tid = jvm.starts(by, target);
                let call = request(&format!("/for/{}", jvm.open[lane]), "");
                jvm.heap(tid);
                jvm.w.write(tid, jvm.pooled, call);
                jvm.w.read(tid, jvm.pooled, response());
                jvm.ends(tid);
            }
            Step::Start(..) => {}
            Step::Collect => {
                let mut tasks: Vec<u64> = queue.iter().map(|(task, _)| *task).collect();
                jvm.collects(&mut tasks);
                queue
                    .iter_mut()
                    .zip(tasks)
                    .for_each(|((task, _), now)| *task = now);
            }
        }
    }
    jvm
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_call_is_given_to_a_request_that_did_not_make_it(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        prop_assert_eq!(play(&steps).told().misgiven(), []);
    }

    #[test]
    fn nor_if_records_are_lost(
        steps in proptest::collection::vec(step(), 1..120),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        prop_assert_eq!(play(&steps).w.told_without(&lost).misgiven(), []);
    }
}
