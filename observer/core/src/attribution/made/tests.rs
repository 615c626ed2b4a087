use super::*;
use crate::attribution::executions::LifeId;
use crate::record::{Execution, ExecutionKind};

const TGID: Tgid = Tgid(1);
const SERVER: Tid = Tid(2);
const WORKER: Tid = Tid(3);
const REQUEST: Seq = Seq(7);

fn heap(collections: u32, task: u64, buffer: (u64, u64)) -> Heap {
    Heap {
        task,
        class: 5,
        start: buffer.0,
        top: buffer.1,
        end: buffer.0 + 0x1000,
        collections,
        runs: Runs::Itself,
        target: 0,
    }
}

/// The same of a thread on which a virtual thread runs.
fn carries(id: u64, buffer: (u64, u64)) -> Heap {
    Heap {
        runs: Runs::Virtual(id),
        ..heap(1, 0, buffer)
    }
}

impl Made {
    /// Counts makers as if everything were known of them.
    fn settle(&mut self, now: KernelNanos) {
        while let Some(task) = self.settled(now) {
            if let Some(piece) = self.piece(task) {
                let serving = matches!(piece.hold, Hold::Serving(_));
                self.count(task, serving);
            }
        }
    }

    /// A virtual thread does something on the server's thread.
    fn carrying(&mut self, time: u64, id: u64, buffer: (u64, u64)) {
        let hold = Hold::Running(running(id));
        self.saw(
            (TGID, SERVER),
            KernelNanos(time),
            carries(id, buffer),
            hold,
            None,
        );
    }

    fn idle(&mut self, tid: Tid, time: u64, heap: Heap) {
        self.saw(
            (TGID, tid),
            KernelNanos(time),
            heap,
            Hold::Nothing(None),
            None,
        );
    }

    fn serving(&mut self, time: u64, heap: Heap) {
        let hold = Hold::Serving(REQUEST);
        self.saw((TGID, SERVER), KernelNanos(time), heap, hold, None);
    }

    /// A worker runs a task, and does something for it.
    fn does(&mut self, time: u64, seq: u64, collections: u32, task: u64) {
        self.idle(WORKER, time, heap(collections, task, (0x8000, 0x8100)));
        self.did(Seq(seq), WORKER, KernelNanos(time));
    }

    fn is_origin(&self, seq: u64) -> bool {
        self.origin(Seq(seq)).is_some()
    }
}

/// One that has seen tasks of the class, each at a place of its own, made by a thread that does what `hold` says.
fn after(hold: &Hold) -> Made {
    let mut made = Made::default();
    made.saw(
        (TGID, Tid(9)),
        KernelNanos(1),
        heap(0, 0, (0x1000, 0x1000)),
        hold.clone(),
        None,
    );
    for n in 0..u64::from(MIN_TASKS) {
        made.does(2 + n, 100 + n, 0, 0x1000 + 0x40 * n);
    }
    made.saw(
        (TGID, Tid(9)),
        KernelNanos(50),
        heap(0, 0, (0x1000, 0x1800)),
        hold.clone(),
        None,
    );
    made.settle(KernelNanos(2 * SETTLES));
    made.serving(100, heap(1, 0, (0x2000, 0x2100)));
    made
}

/// One that believes tasks of the class.
fn made() -> Made {
    after(&Hold::Serving(Seq(6)))
}

#[test]
fn tasks_that_others_make_as_well_are_believed_only_if_those_are_few() {
    let mut made = after(&Hold::Nothing(None));
    made.does(110, 1, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(!made.is_origin(1));
}

#[test]
fn a_process_is_asked_for_no_more_than_a_trial_unless_it_has_tasks() {
    let mut made = Made::default();
    let asks = (0..2 * TRIAL).filter(|_| made.counted(TGID)).count();
    assert_eq!(asks, 1);
    made.process_ended(TGID);
    assert_eq!((0..TRIAL).filter(|_| made.counted(TGID)).count(), 1);
}

#[test]
fn a_task_is_of_the_thread_that_filled_the_piece_in_which_it_lies() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.does(111, 2, 1, 0x20f8);
    made.does(112, 3, 1, 0x2200);
    assert!(!made.is_origin(1), "what the maker does is not known yet");
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(made.is_origin(1));
    assert!(!made.is_origin(2), "made before the request was read");
    assert!(!made.is_origin(3), "made after the response was written");
}

#[test]
fn a_buffer_may_be_changed_for_a_fresh_one() {
    let mut made = made();
    made.does(110, 1, 1, 0x2f00);
    made.does(111, 2, 1, 0x6080);
    made.serving(120, heap(1, 0, (0x6000, 0x6100)));
    assert!(made.is_origin(1) && made.is_origin(2));
}

#[test]
fn what_a_collection_may_have_moved_tells_nothing() {
    let mut made = made();
    made.does(110, 1, 2, 0x2140);
    made.idle(WORKER, 111, heap(1, 0x2150, (0, 0)));
    made.did(Seq(2), WORKER, KernelNanos(111));
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(!made.is_origin(1), "another collection");
    assert!(!made.is_origin(2), "one may just go on");
}

#[test]
fn a_task_that_another_one_made_belongs_to_the_same_request() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.idle(WORKER, 115, heap(1, 0x2140, (0x8000, 0x8300)));
    made.idle(WORKER, 116, heap(1, 0x2180, (0x8000, 0x8400)));
    made.serving(120, heap(1, 0, (0x2000, 0x2170)));
    for (time, seq, task) in [(121, 2, 0x8200), (122, 3, 0x8380)] {
        let other = heap(1, task, (0x9000, 0x9100));
        made.idle(Tid(4), time, other);
        made.did(Seq(seq), Tid(4), KernelNanos(time));
    }
    assert!(made.is_origin(2), "made by the first task");
    assert!(!made.is_origin(3), "between that and another one");
}

#[test]
fn tasks_that_run_again_are_not_believed() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.does(111, 2, 1, 0x2180);
    made.does(112, 3, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(!made.is_origin(1) && !made.is_origin(2));
}

#[test]
fn nothing_is_left_of_a_process_that_has_ended() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    made.process_ended(TGID);
    assert!(!made.is_origin(1) && made.pieces.is_empty());
}

#[test]
fn what_virtual_threads_make_is_known_only_between_two_records_of_the_same_one() {
    let mut made = made();
    let buffer = |top| (0x2000, top);
    made.carrying(105, 1, buffer(0x2200));
    for (seq, task) in [(1, 0x2140), (2, 0x2240), (3, 0x2340), (4, 0x2440)] {
        made.does(110 + seq, seq, 1, task);
    }
    made.carrying(120, 1, buffer(0x2300));
    made.carrying(121, 2, buffer(0x2400));
    let unknown = Heap {
        runs: Runs::Unknown,
        ..heap(1, 0, buffer(0x2480))
    };
    made.idle(SERVER, 122, unknown);
    let holds = [1, 2, 3, 4].map(|seq| made.origin(Seq(seq)).map(|o| o.maker.hold.clone()));
    assert_eq!(holds, [None, Some(Hold::Running(running(1))), None, None]);
}

#[test]
fn what_a_thread_made_before_it_was_seen_to_carry_virtual_threads_may_be_theirs() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(made.is_origin(1));
    made.wakes(130, 1, 0);
    assert!(!made.is_origin(1));
}

#[test]
fn a_virtual_thread_that_was_elsewhere_has_left_the_buffer_to_others() {
    let mut made = made();
    made.carrying(105, 1, (0x2000, 0x2200));
    made.does(110, 1, 1, 0x2240);
    let elsewhere = carries(1, (0x6000, 0x6100));
    made.saw(
        (TGID, Tid(9)),
        KernelNanos(112),
        elsewhere,
        Hold::Nothing(None),
        None,
    );
    made.carrying(120, 1, (0x2000, 0x2300));
    assert!(!made.is_origin(1));
}

#[test]
fn what_was_usual_in_a_process_is_not_so_in_the_next_one_of_its_number() {
    let mut made = made();
    made.process_ended(TGID);
    made.serving(105, heap(1, 0, (0x2000, 0x2100)));
    made.does(110, 1, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    assert!(!made.is_origin(1));
}

#[test]
fn a_thread_that_was_started_has_its_first_buffer_for_itself() {
    let mut made = made();
    let first = |made: &mut Made, tid, born| {
        let heap = heap(1, 0, (0x5000, 0x5080));
        let hold = Hold::Serving(REQUEST);
        made.saw((TGID, tid), KernelNanos(111), heap, hold, born);
    };
    made.does(110, 1, 1, 0x5040);
    first(&mut made, Tid(5), None);
    assert!(!made.is_origin(1), "it may have had the buffer for long");
    // The thread that had its number before ended in the middle of another buffer.
    made.idle(Tid(6), 90, heap(1, 0, (0x7000, 0x7010)));
    first(&mut made, Tid(6), Some(KernelNanos(105)));
    assert!(made.is_origin(1));
    made.does(112, 2, 1, 0x7040);
    assert!(!made.is_origin(2));
}

#[test]
fn one_that_has_gone_on_to_another_task_after_a_collection_has_ended_the_one_before() {
    let mut made = made();
    made.does(110, 1, 1, 0x2140);
    made.serving(120, heap(1, 0, (0x2000, 0x2200)));
    made.idle(Tid(9), 190, heap(2, 0, (0x6000, 0x6000)));
    made.does(200, 2, 2, 0x6040);
    let last = |made: &Made| {
        made.origin(Seq(1))
            .map(|origin| (origin.last.0, origin.done))
    };
    assert_eq!(
        last(&made),
        Some((200, false)),
        "it may have been moved there"
    );
    made.idle(Tid(9), 210, heap(2, 0, (0x6000, 0x6100)));
    assert_eq!(last(&made), Some((110, true)), "another one was made there");
}

/// What a virtual thread of this number does.
fn running(id: u64) -> Doer {
    Doer {
        life: LifeId::NONE,
        execution: Execution {
            kind: ExecutionKind::VirtualThread,
            id,
            origin: 0,
        },
        time: KernelNanos(0),
        took: false,
    }
}

impl Made {
    /// A virtual thread on the server's thread wakes somebody, when so much of a large buffer is filled.
    fn wakes(&mut self, time: u64, id: u64, filled: u64) {
        let heap = Heap {
            end: 0x30000,
            ..carries(id, (0x20000, 0x20000 + filled))
        };
        let hold = Hold::Running(running(id));
        self.saw((TGID, SERVER), KernelNanos(time), heap, hold, None);
    }
}

/// Where virtual thread 1 was seen `often` to make a task 0x40 bytes after it had woken somebody, and 0xc0 before it did so again; then it
/// woke somebody at 1000, with the buffer filled up to 0x2000.
fn usually(often: u64) -> Made {
    let mut made = made();
    made.wakes(200, 1, 0);
    for n in 0..often {
        made.does(201 + 2 * n, 201 + n, 1, 0x20040 + 0x100 * n);
        made.wakes(202 + 2 * n, 1, 0x100 * (n + 1));
    }
    while made.settled(KernelNanos(2 * SETTLES)).is_some() {}
    made.wakes(1_000, 1, 0x2000);
    made
}

/// Who made a task so far behind that place, if another virtual thread was there when the buffer was filled up to `filled`.
fn made_by(mut made: Made, behind: u64, filled: u64) -> Option<u64> {
    made.does(1_010, 1, 1, 0x22000 + behind);
    made.wakes(1_020, 2, 0x2000 + filled);
    match made.origin(Seq(1))?.maker.hold {
        Hold::Running(doer) => Some(doer.execution.id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_virtual_thread_that_leaves_made_what_lies_where_it_makes_such_tasks() {
    assert_eq!(made_by(usually(10), 0x40, 0x800), Some(1));
    assert_eq!(made_by(usually(10), 0x48, 0x800), None, "another place");
    assert_eq!(made_by(usually(9), 0x40, 0x800), None, "too few are known");
}

#[test]
fn what_may_as_well_be_of_the_virtual_thread_that_comes_is_nobodys() {
    assert_eq!(made_by(usually(10), 0x40, 0x100), None);
}

#[test]
fn a_virtual_thread_that_may_have_left_at_once_made_nothing_for_sure() {
    let mut made = usually(10);
    made.may_leave(SERVER, KernelNanos(999));
    made.may_leave(WORKER, KernelNanos(1_000));
    assert_eq!(made_by(made, 0x40, 0x800), Some(1), "of another record");
    let mut made = usually(10);
    made.may_leave(SERVER, KernelNanos(1_000));
    assert_eq!(made_by(made, 0x40, 0x800), None);
}

#[test]
fn where_tasks_lie_anywhere_no_place_is_usual() {
    let elsewhere = |others| {
        let mut made = usually(10);
        for n in 0..others {
            let filled = 0x2000 + 0x100 * n;
            made.does(1_001 + 2 * n, 300 + n, 1, 0x20050 + filled + (n % 20) * 8);
            made.wakes(1_002 + 2 * n, 1, filled + 0x100);
        }
        while made.settled(KernelNanos(3 * SETTLES)).is_some() {}
        let filled = 0x2000 + 0x100 * others;
        made.does(1_500, 1, 1, 0x20040 + filled);
        made.wakes(1_501, 2, filled + 0x800);
        made.is_origin(1)
    };
    assert!(elsewhere(90), "one in ten lies there");
    assert!(!elsewhere(91));
}

#[test]
fn what_one_process_does_usually_is_not_usual_in_the_next_one_of_its_number() {
    let mut made = usually(10);
    made.usual.process_ended(Tgid(2));
    assert_eq!(made_by(made, 0x40, 0x800), Some(1), "another process");
    let mut made = usually(10);
    made.usual.process_ended(TGID);
    assert_eq!(made_by(made, 0x40, 0x800), None);
}
