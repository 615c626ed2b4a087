//! Several event loops in one process, which send each other messages.

use proptest::prelude::*;

use super::super::*;
use super::owner_later;
use crate::ids::Tid;
use crate::record::ExecutionKind;

const NODE: Tgid = Tgid(7);
/// The async id of every connection's handle, and of every port, given out long ago.
const HANDLE: u64 = 5;
const MAIN: usize = 0;

/// The event loops of a main thread and its workers.
struct Loops {
    turns: Turns,
    threads: Vec<One>,
    now: u64,
    messages: u64,
}

/// One of them.
#[derive(Default)]
struct One {
    turn: u64,
    reads: u32,
    ids: u64,
    /// Its turn goes on, though all is done in it.
    ending: bool,
}

impl Loops {
    fn new(threads: usize) -> Self {
        let mut this = Self {
            turns: Turns::default(),
            threads: Vec::new(),
            now: 1_000,
            messages: 0,
        };
        for _ in 0..threads {
            this.begins();
        }
        this
    }

    /// Another one begins.
    fn begins(&mut self) -> usize {
        let thread = self.threads.len();
        self.threads.push(One::default());
        for _ in 0..2 {
            self.threads[thread].ids += 10;
            self.end(thread);
        }
        thread
    }

    fn at(&mut self, thread: usize) -> Execution {
        if std::mem::take(&mut self.threads[thread].ending) {
            self.end(thread);
        }
        Execution {
            kind: ExecutionKind::NodeAsync,
            id: tid(thread) << 40 | self.threads[thread].turn,
            origin: 0,
        }
    }

    fn time(&mut self) -> KernelNanos {
        self.now += 10;
        KernelNanos(self.now)
    }

    fn read(&mut self, thread: usize, file: u64) {
        let at = self.at(thread);
        self.threads[thread].reads += 1;
        self.turns.acted(NODE, at, Some(FileId(file)), true);
    }

    fn request(&mut self, request: u64) {
        self.read(MAIN, request);
        let at = self.at(MAIN);
        self.turns.began(NODE, FileId(request), at, Seq(request));
    }

    fn calls(&mut self, thread: usize, file: u64) -> Execution {
        let at = self.at(thread);
        self.turns.acted(NODE, at, None, true);
        self.turns.called(NODE, FileId(file), at);
        at
    }

    fn gives(&mut self, thread: usize) -> u64 {
        let at = self.at(thread);
        self.messages += 1;
        self.turns.gave(NODE, at, self.messages);
        self.messages
    }

    fn takes(&mut self, thread: usize, message: u64) {
        let at = self.at(thread);
        let time = self.time();
        self.turns.took(NODE, at, message, time);
    }

    fn answers(&mut self, request: u64) {
        let at = self.at(MAIN);
        self.turns.acted(NODE, at, None, true);
        let time = self.time();
        self.turns
            .answered(NODE, Seq(request), Some(at), time, Seq(1_000_000));
    }

    fn end(&mut self, thread: usize) {
        let time = self.time();
        let one = &mut self.threads[thread];
        let turn = Turn {
            execution: Execution {
                kind: ExecutionKind::NodeAsync,
                id: tid(thread) << 40 | one.turn,
                origin: 0,
            },
            root: HANDLE,
            newest: one.ids,
            reads: one.reads,
        };
        one.turn += 1;
        one.reads = 0;
        self.turns.ended(NODE, &turn, time);
    }

    /// The turn ends now, or not before the thread does something else.
    fn ends(&mut self, thread: usize, late: bool) {
        self.threads[thread].ending = late;
        if !late {
            self.end(thread);
        }
    }

    fn owner(&self, at: Execution) -> Option<u64> {
        owner_later(&self.turns, self.now, at)
    }

    /// Request `request` comes in and is given to `worker`, which calls. The main thread's turn ends at once, or `late`.
    fn given(&mut self, request: u64, worker: usize, late: bool) -> Execution {
        self.request(request);
        let message = self.gives(MAIN);
        self.ends(MAIN, late);
        self.takes(worker, message);
        let call = self.calls(worker, request + 10_000);
        self.ends(worker, late);
        call
    }

    /// The response to that call comes, and the main thread answers.
    fn given_back(&mut self, request: u64, worker: usize, late: bool) {
        self.read(worker, request + 10_000);
        let message = self.gives(worker);
        self.ends(worker, late);
        self.takes(MAIN, message);
        self.answers(request);
        self.ends(MAIN, late);
    }

    /// All turns end.
    fn rest(&mut self) {
        for thread in 0..self.threads.len() {
            self.at(thread);
        }
    }
}

fn tid(thread: usize) -> u64 {
    7 + thread as u64
}

#[test]
fn a_worker_does_what_the_message_that_it_took_was_given_for() {
    for late in [false, true] {
        let mut l = Loops::new(2);
        let first = l.given(1, 1, late);
        let second = l.given(2, 1, late);
        l.given_back(2, 1, late);
        l.given_back(1, 1, late);
        l.rest();
        let told = [first, second].map(|at| l.owner(at));
        assert_eq!(told, [Some(1), Some(2)], "{late}");
    }
}

#[test]
fn nothing_is_settled_before_the_giver_s_turn_ends() {
    let mut l = Loops::new(2);
    let call = l.given(1, 1, true);
    l.end(1);
    l.threads[1].ending = false;
    assert!(l.turns.is_held(NODE, call));
    l.end(MAIN);
    l.threads[MAIN].ending = false;
    assert!(!l.turns.is_held(NODE, call));
    l.given_back(1, 1, false);
    assert_eq!(l.owner(call), Some(1));
}

#[test]
fn what_no_answer_follows_from_is_for_none() {
    // An interval that is started lazily, or lines that are written in lots.
    let mut l = Loops::new(2);
    let call = l.given(1, 1, false);
    l.read(1, 10_001);
    let line = l.calls(1, 13);
    let message = l.gives(1);
    l.end(1);
    l.takes(MAIN, message);
    let answered_elsewhere = l.calls(MAIN, 14);
    l.end(MAIN);
    l.read(MAIN, 1);
    l.answers(1);
    l.end(MAIN);
    let told = [call, line, answered_elsewhere].map(|at| l.owner(at));
    assert_eq!(told, [None, None, None]);
}

#[test]
fn a_queue_of_the_service_is_found_by_the_answers() {
    // One worker at a time: what comes back for 1 has 2 given to the worker.
    let mut l = Loops::new(2);
    let first = l.given(1, 1, false);
    l.request(2);
    l.end(MAIN);
    l.read(1, 10_001);
    let back = l.gives(1);
    l.end(1);
    l.takes(MAIN, back);
    let next = l.gives(MAIN);
    l.answers(1);
    l.end(MAIN);
    l.takes(1, next);
    let second = l.calls(1, 10_002);
    l.end(1);
    l.given_back(2, 1, false);
    let told = [first, second].map(|at| l.owner(at));
    assert_eq!(told, [None, None]);
}

#[test]
fn two_messages_in_one_turn_or_one_of_nobody_prove_nothing() {
    let mut l = Loops::new(2);
    l.request(1);
    let (a, b) = (l.gives(MAIN), l.gives(MAIN));
    l.end(MAIN);
    l.takes(1, a);
    l.takes(1, b);
    let both = l.calls(1, 11);
    l.end(1);
    l.takes(1, 4_711);
    let unseen = l.calls(1, 12);
    l.end(1);
    l.read(MAIN, 1);
    l.answers(1);
    l.end(MAIN);
    assert_eq!([both, unseen].map(|at| l.owner(at)), [None, None]);
}

#[test]
fn a_giver_whose_turn_does_not_end_is_given_up() {
    // A worker computes for ever; the main thread goes on.
    let mut l = Loops::new(2);
    let message = l.gives(1);
    l.takes(MAIN, message);
    l.end(MAIN);
    l.request(1);
    let call = l.calls(MAIN, 11);
    l.end(MAIN);
    l.read(MAIN, 11);
    l.answers(1);
    l.end(MAIN);
    assert!(l.turns.is_held(NODE, call));
    l.now += 1_100_000_000;
    l.end(MAIN);
    assert!(!l.turns.is_held(NODE, call));
    assert_eq!(l.owner(call), Some(1));
}

#[test]
fn what_is_kept_of_waiting_threads_is_bounded() {
    let mut l = Loops::new(100);
    for thread in 0..99 {
        let message = l.gives(99);
        l.takes(thread, message);
        l.end(thread);
    }
    let waiting = (0..99).filter(|thread| {
        let at = l.at(*thread);
        l.turns.is_held(NODE, at)
    });
    assert_eq!(waiting.count(), 64);
    for _ in 0..2_000 {
        l.calls(1, 11);
    }
    let at = l.at(1);
    assert!(!l.turns.is_held(NODE, at));
    l.turns.unseen(NODE, Tid(7), FileId(11));
    l.turns.process_ended(NODE);
    assert!(!l.turns.is_held(NODE, at));
}

#[test]
fn what_all_first_requests_of_a_worker_wait_for_speaks_against_none() {
    for (later, told) in [(0, Some(1_000)), (3_000_000_000, None)] {
        let mut l = Loops::new(2);
        l.now += later;
        for request in 1..30 {
            l.request(request);
            let message = l.gives(MAIN);
            l.end(MAIN);
            l.takes(1, message);
            l.end(1);
        }
        // Compiled: nobody's.
        let back: Vec<u64> = (1..30).map(|_| l.gives(1)).collect();
        l.end(1);
        for (request, message) in (1..30).zip(back) {
            l.takes(MAIN, message);
            l.answers(request);
            l.end(MAIN);
        }
        let call = l.given(1_000, 1, false);
        l.given_back(1_000, 1, false);
        assert_eq!(l.owner(call), told, "{later}");
    }
}

#[test]
fn workers_that_are_always_starting_are_no_excuse() {
    // Each request is finished by a worker of its own, which waits for something that is nobody's; and the service's own list of
    // promises has the background call in the turns of requests.
    let mut l = Loops::new(2);
    for request in 1..60 {
        l.now += 200_000_000;
        let worker = l.begins();
        l.request(request);
        let message = l.gives(MAIN);
        l.end(MAIN);
        l.takes(worker, message);
        l.end(worker);
        let back = l.gives(worker);
        l.end(worker);
        l.takes(MAIN, back);
        l.answers(request);
        l.end(MAIN);
    }
    let call = l.given(1_000, 1, false);
    l.given_back(1_000, 1, false);
    assert_eq!(l.owner(call), None);
}

/// Where a request is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A message lies in the worker's queue.
    Given(u64),
    /// The worker has called.
    Called,
    /// A message lies in the main thread's queue.
    Back(u64),
    Answered,
}

proptest! {
    /// However requests, workers and the ends of turns are mixed: all is told, and rightly.
    #[test]
    fn everything_is_given_to_its_request(
        workers in 1_usize..4,
        steps in prop::collection::vec((any::<usize>(), any::<bool>()), 1..150),
    ) {
        let mut l = Loops::new(workers + 1);
        let mut requests: Vec<Stage> = Vec::new();
        let mut truth: Vec<(Execution, usize)> = Vec::new();
        for (which, late) in steps {
            let n = which % (requests.len() + 2);
            let number = 100 + n as u64;
            let worker = 1 + n % workers;
            let stage = requests.get(n).copied();
            match stage {
                None => {
                    let n = requests.len();
                    l.request(100 + n as u64);
                    let message = l.gives(MAIN);
                    requests.push(Stage::Given(message));
                    l.ends(MAIN, late);
                }
                Some(Stage::Given(message)) => {
                    l.takes(worker, message);
                    truth.push((l.calls(worker, number + 10_000), n));
                    requests[n] = Stage::Called;
                    l.ends(worker, late);
                }
                Some(Stage::Called) => {
                    l.read(worker, number + 10_000);
                    let message = l.gives(worker);
                    requests[n] = Stage::Back(message);
                    l.ends(worker, late);
                }
                Some(Stage::Back(message)) => {
                    l.takes(MAIN, message);
                    truth.push((l.calls(MAIN, number + 20_000), n));
                    l.answers(number);
                    requests[n] = Stage::Answered;
                    l.ends(MAIN, late);
                }
                Some(Stage::Answered) => {}
            }
        }
        l.rest();
        for (at, request) in truth {
            let told = (requests[request] == Stage::Answered).then_some(100 + request as u64);
            prop_assert_eq!(l.owner(at), told);
        }
    }
}
