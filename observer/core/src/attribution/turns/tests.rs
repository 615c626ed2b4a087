mod messages;
mod opened;

use proptest::prelude::*;

use super::*;
use crate::record::ExecutionKind;

const NODE: Tgid = Tgid(7);
const THREAD: u64 = 7 << 40;
/// The async id of every connection's handle, given out long ago.
const HANDLE: u64 = 5;
/// What the loop calls back for when timers or immediates are due.
const TIMERS: u64 = 0;

/// An event loop.
struct Loop {
    turns: Turns,
    turn: u64,
    reads: u32,
    ids: u64,
    now: u64,
}

impl Loop {
    fn new() -> Self {
        let mut this = Self {
            turns: Turns::default(),
            turn: 1,
            reads: 0,
            ids: 10,
            now: 1_000,
        };
        this.end(TIMERS);
        this.ids += 10;
        this.end(TIMERS);
        this
    }

    fn at(&self, current: u64, trigger: u64) -> Execution {
        Execution {
            kind: ExecutionKind::NodeAsync,
            id: THREAD | self.turn,
            origin: current << 32 | trigger,
        }
    }

    fn time(&mut self) -> KernelNanos {
        self.now += 10;
        KernelNanos(self.now)
    }

    /// Something is given an async id.
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn read(&mut self, file: u64) {
        self.reads += 1;
        self.turns
            .acted(NODE, self.at(0, 0), Some(FileId(file)), true);
    }

    fn reads_request(&mut self, file: u64, request: u64) {
        self.read(file);
        let at = self.at(0, 0);
        self.turns.began(NODE, FileId(file), at, Seq(request));
    }

    /// Something is written while `current` is the async id; the place is asked about later.
    fn works(&mut self, current: u64, trigger: u64) -> Execution {
        let at = self.at(current, trigger);
        self.turns.acted(NODE, at, None, true);
        at
    }

    fn calls(&mut self, file: u64) -> Execution {
        let at = self.works(0, 0);
        self.turns.called(NODE, FileId(file), at);
        at
    }

    /// A call that a pool makes, in a tick, for what was kept with the id `kept`.
    fn calls_at(&mut self, file: u64, kept: u64) -> Execution {
        let tick = self.id();
        let at = self.works(tick, kept);
        self.turns.called(NODE, FileId(file), at);
        at
    }

    fn answers(&mut self, request: u64) {
        let at = self.works(0, 0);
        let time = self.time();
        self.turns
            .answered(NODE, Seq(request), Some(at), time, Seq(1_000));
    }

    /// The turn ends, which was called back for `root`.
    fn end(&mut self, root: u64) {
        let turn = Turn {
            execution: self.at(0, 0),
            root,
            newest: self.ids,
            reads: self.reads,
        };
        let time = self.time();
        self.turns.ended(NODE, &turn, time);
        self.turn += 1;
        self.reads = 0;
    }

    /// A turn that reads request `request` from connection `request` and does `what`.
    fn serves(&mut self, request: u64, what: impl FnOnce(&mut Self)) {
        self.reads_request(request, request);
        what(self);
        self.end(HANDLE);
    }

    /// A turn that reads from `file` and does `what`.
    fn resumes(&mut self, file: u64, what: impl FnOnce(&mut Self)) {
        self.read(file);
        what(self);
        self.end(HANDLE);
    }

    fn owner(&self, at: Execution) -> Option<u64> {
        owner_later(&self.turns, self.now, at)
    }
}

/// The request to which what is done at `at` belongs, six seconds after `now`, when all is settled.
fn owner_later(turns: &Turns, now: u64, at: Execution) -> Option<u64> {
    settled(turns.owner(NODE, at, later(now)))
}

fn later(now: u64) -> Now {
    Now {
        time: KernelNanos(now + 6_000_000_000),
        oldest_open: None,
    }
}

fn settled(found: Finding) -> Option<u64> {
    match found.owner {
        Owner::Answered(request) if found.settled => Some(request.0),
        _ => None,
    }
}

#[test]
fn responses_resume_the_request_that_called() {
    let mut l = Loop::new();
    let (mut calls, mut lines) = (Vec::new(), Vec::new());
    l.serves(1, |l| calls.push(l.calls(11)));
    l.serves(2, |l| calls.push(l.calls(12)));
    l.resumes(12, |l| {
        lines.push(l.works(0, 0));
        l.answers(2);
    });
    l.resumes(11, |l| {
        lines.push(l.works(0, 0));
        l.answers(1);
    });
    let told =
        [&calls[..], &lines[..]].map(|of| of.iter().map(|at| l.owner(*at)).collect::<Vec<_>>());
    assert_eq!(told[0], [Some(1), Some(2)]);
    assert_eq!(told[1], [Some(2), Some(1)]);
}

/// Two requests that call, of which the first is answered, and a third one in whose time the second is.
#[test]
fn what_was_answered_unseen_speaks_against_what_overlapped_with_it() {
    for (overlaps, told) in [(true, None), (false, Some(1))] {
        let mut l = Loop::new();
        let mut call = None;
        l.serves(1, |l| call = Some(l.calls(11)));
        if overlaps {
            l.serves(2, |l| {
                l.calls(12);
            });
        }
        l.resumes(11, |l| l.answers(1));
        l.turns.watched(NODE, false);
        let time = l.time();
        let other = if overlaps { 2 } else { 1_001 };
        l.turns.answered(NODE, Seq(other), None, time, Seq(1_002));
        assert_eq!(l.owner(call.unwrap()), told, "{overlaps}");
    }
}

#[test]
fn who_used_a_connection_unseen_reads_from_it() {
    let mut l = Loop::new();
    let mut calls = Vec::new();
    l.serves(1, |l| calls.push(l.calls(11)));
    l.turns.watched(NODE, false);
    // Another request takes the connection meanwhile.
    l.turns.unseen(NODE, Tid(7), FileId(11));
    l.turns.watched(NODE, true);
    l.turn += 1;
    l.end(TIMERS);
    l.resumes(11, |l| calls.push(l.calls(12)));
    l.resumes(1, |l| l.answers(1));
    assert_eq!(l.owner(calls[1]), None);
    assert_eq!(l.owner(calls[0]), Some(1));
}

#[test]
fn ids_given_out_unseen_name_nobody() {
    let mut l = Loop::new();
    let mut connecting = 0;
    l.serves(1, |_| {});
    l.turns.watched(NODE, false);
    let unseen = l.id();
    l.turn += 1;
    l.turns.watched(NODE, true);
    // The window begins within this turn, which is not told.
    connecting = l.id().max(connecting);
    l.turn += 1;
    let at_once = l.calls(13);
    l.end(connecting);
    let calls = [unseen, connecting].map(|id| {
        let call = l.calls(id);
        l.end(id);
        call
    });
    l.resumes(1, |l| l.answers(1));
    for call in calls.into_iter().chain([at_once]) {
        assert_eq!(l.owner(call), None);
    }
}

#[test]
fn what_a_request_waits_for_resumes_it() {
    // Connecting, a name, a file: called back for an id that its turn gave out.
    let mut l = Loop::new();
    let mut connecting = 0;
    l.serves(1, |l| connecting = l.id());
    l.serves(2, |_| {});
    let call = l.calls(11);
    l.end(connecting);
    l.resumes(11, |l| l.answers(1));
    assert_eq!(l.owner(call), Some(1));
}

#[test]
fn what_was_promised_while_a_request_was_read_runs_in_the_next_turn_of_its_connection() {
    // undici opens a connection: what begins that was promised by the handler of the request.
    let mut l = Loop::new();
    let mut connecting = 0;
    l.serves(1, |_| {});
    let line = l.works(0, 0);
    l.end(HANDLE);
    connecting += l.id();
    l.end(HANDLE);
    l.serves(2, |_| {});
    let call = l.calls(11);
    l.end(connecting);
    l.resumes(11, |l| l.answers(1));
    assert_eq!([line, call].map(|at| l.owner(at)), [Some(1), Some(1)]);
}

#[test]
fn a_connection_on_which_nothing_is_read_is_for_none() {
    // Another turn came in between; the connection is one for calls; or two requests came at once.
    let between = |l: &mut Loop| {
        l.serves(1, |_| {});
        l.end(TIMERS);
        l.id();
        l.end(TIMERS);
    };
    let called = |l: &mut Loop| {
        l.serves(1, |l| {
            l.calls(11);
        });
        l.resumes(11, |_| {});
    };
    let pipelined = |l: &mut Loop| {
        l.reads_request(1, 1);
        let at = l.at(0, 0);
        l.turns.began(NODE, FileId(1), at, Seq(2));
        l.end(HANDLE);
    };
    let stories: [&dyn Fn(&mut Loop); 3] = [&between, &called, &pipelined];
    for (story, before) in stories.into_iter().enumerate() {
        let mut l = Loop::new();
        before(&mut l);
        let line = l.works(0, 0);
        l.end(HANDLE);
        l.resumes(1, |l| l.answers(1));
        assert_eq!(l.owner(line), None, "{story}");
    }
}

#[test]
fn timers_and_immediates_are_for_none() {
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
    });
    let background = l.calls(12);
    l.end(TIMERS);
    let line = l.works(0, 0);
    l.end(TIMERS);
    let mut tick = None;
    l.resumes(12, |l| tick = Some(l.works(0, 0)));
    l.resumes(11, |l| l.answers(1));
    for at in [background, line, tick.unwrap()] {
        assert_eq!(l.owner(at), None);
    }
}

#[test]
fn a_timer_of_a_request_is_known_while_its_callback_runs() {
    let mut l = Loop::new();
    let mut timer = 0;
    l.serves(1, |l| timer = l.id());
    let tick = l.id();
    let (in_callback, in_tick, promised) = (l.works(timer, 0), l.works(tick, timer), l.works(0, 0));
    let other = l.works(HANDLE, 0);
    l.calls(11);
    l.end(TIMERS);
    let mut again = 0;
    l.resumes(1, |l| {
        again = l.id();
        l.answers(1);
    });
    assert_eq!(l.owner(in_callback), Some(1));
    assert_eq!(l.owner(in_tick), Some(1));
    assert_eq!(
        l.owner(promised),
        None,
        "another timer may have promised it"
    );
    assert_eq!(l.owner(other), None);
}

#[test]
fn what_outlives_the_request_was_never_its_own() {
    let mut l = Loop::new();
    let mut interval = 0;
    l.serves(1, |l| interval = l.id());
    let during = l.works(interval, 0);
    l.end(TIMERS);
    l.resumes(1, |l| l.answers(1));
    assert_eq!(l.owner(during), Some(1), "so far");
    l.works(interval, 0);
    l.end(TIMERS);
    assert_eq!(l.owner(during), None);
}

#[test]
fn a_queue_that_wakes_others_is_found_by_their_answers() {
    // Request 2 waits for a place in a pool, which the response to 1's call makes free.
    let mut l = Loop::new();
    let mut seen = Vec::new();
    l.serves(1, |l| seen.push(l.calls(11)));
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        seen.push(l.calls(12));
        l.answers(1);
    });
    l.resumes(12, |l| l.answers(2));
    for at in seen {
        assert_ne!(l.owner(at), Some(2));
    }
    // The second call is 2's; its response came after 1 was answered, so that 2 is not proven either.
    let mut l = Loop::new();
    let mut seen = Vec::new();
    l.serves(1, |l| seen.push(l.calls(11)));
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        seen.push(l.calls(12));
        l.answers(2);
        seen.push(l.calls(11));
    });
    l.resumes(11, |l| l.answers(1));
    for at in seen {
        assert_eq!(l.owner(at), None, "2 was answered in a turn of 1");
    }
}

#[test]
fn work_that_a_pool_kept_is_for_whom_it_was_kept() {
    // An agent whose connections are all busy gives the next free one to a request that waited:
    // in a tick that is triggered by the resource which kept it.
    let mut l = Loop::new();
    let (mut kept, mut given, mut line) = (0, None, None);
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |l| kept = l.id());
    l.resumes(11, |l| {
        given = Some(l.calls_at(11, kept));
        line = Some(l.works(0, 0));
        l.answers(1);
    });
    l.resumes(11, |l| l.answers(2));
    assert_eq!(
        [given, line].map(|at| l.owner(at.unwrap())),
        [Some(2), Some(1)]
    );
}

/// Request 1 goes on in a turn in which an agent also gives its connection to 2, which waited; something is kept in that turn,
/// and given a connection later. Returns the call that is made then.
fn kept_in_a_mixed_turn(l: &mut Loop) -> Execution {
    let (mut kept, mut kept_too, mut given) = (0, 0, None);
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |l| kept = l.id());
    l.resumes(11, |l| {
        l.calls_at(11, kept);
        kept_too = l.id();
    });
    l.resumes(11, |l| {
        given = Some(l.calls_at(12, kept_too));
        l.answers(2);
    });
    given.unwrap()
}

#[test]
fn whose_it_is_what_was_kept_in_a_turn_of_several_the_answer_shows() {
    let mut l = Loop::new();
    let given = kept_in_a_mixed_turn(&mut l);
    l.resumes(12, |l| l.answers(1));
    assert_eq!(l.owner(given), Some(1));

    // It may be of 2 as well, or of the background: 1 is answered elsewhere.
    let mut l = Loop::new();
    let given = kept_in_a_mixed_turn(&mut l);
    let mut line = None;
    l.resumes(12, |l| line = Some(l.works(0, 0)));
    l.resumes(1, |l| l.answers(1));
    assert_eq!([given, line.unwrap()].map(|at| l.owner(at)), [None, None]);
}

#[test]
fn a_wrong_guess_speaks_against_nobody() {
    let mut l = Loop::new();
    let mut first = None;
    l.serves(1, |l| {
        first = Some(l.works(0, 0));
        l.calls(11);
    });
    let (mut kept, mut guessed) = (0, 0);
    l.serves(2, |l| kept = l.id());
    l.serves(3, |_| {});
    l.resumes(11, |l| {
        l.calls_at(11, kept);
        guessed = l.id();
    });
    l.resumes(11, |l| {
        l.calls_at(12, guessed);
        l.answers(2);
    });
    // What was kept is 3's.
    l.resumes(12, |l| l.answers(3));
    l.resumes(1, |l| l.answers(1));
    for request in 10..60 {
        l.serves(request, |l| l.answers(request));
    }
    assert_eq!(l.owner(first.unwrap()), Some(1));
}

#[test]
fn whoever_is_answered_after_a_response_to_one_that_was_answered_shares_a_queue_with_it() {
    // 1's turn wakes 2, and 1 is answered before the response to 2's call comes.
    let mut l = Loop::new();
    let mut woken = None;
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        woken = Some(l.calls(12));
        l.answers(1);
    });
    l.resumes(12, |l| {
        l.calls(13);
    });
    l.resumes(13, |l| l.answers(2));
    let mut other = None;
    l.serves(3, |l| {
        other = Some(l.works(0, 0));
        l.answers(3);
    });
    assert_eq!([woken, other].map(|at| l.owner(at.unwrap())), [None, None]);
}

#[test]
fn work_that_was_kept_by_nobody_knows_whom_is_for_none() {
    // The same, kept in the background: its id was given out in a turn of timers.
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
    });
    let kept = l.id();
    l.end(TIMERS);
    let (mut given, mut later, mut file) = (None, None, 0);
    l.resumes(11, |l| {
        let tick = l.id();
        given = Some(l.works(tick, kept));
        file = l.id();
    });
    later.replace(l.works(0, 0));
    l.end(file);
    l.resumes(1, |l| l.answers(1));
    assert_eq!(l.owner(given.unwrap()), None);
    assert_eq!(l.owner(later.unwrap()), None, "it may wait for the file");
}

#[test]
fn a_process_that_answers_in_others_turns_is_not_believed() {
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        l.answers(2);
        l.answers(1);
    });
    let mut early = None;
    l.serves(3, |l| {
        early = Some(l.works(0, 0));
        l.answers(3);
    });
    assert_eq!(l.owner(early.unwrap()), None);
    for request in 10..3_000 {
        l.serves(request, |l| l.answers(request));
    }
    let mut late = None;
    l.serves(3_700, |l| {
        late = Some(l.works(0, 0));
        l.answers(3_700);
    });
    assert_eq!(l.owner(late.unwrap()), Some(3_700), "long past");
}

#[test]
fn a_queue_that_background_work_shares_is_found_by_answers_in_turns_of_none() {
    // Request 1 waits for the end of a call that a timer made; the next such call for the end of 1's.
    let mut l = Loop::new();
    let mut background = None;
    l.calls(12);
    l.end(TIMERS);
    l.serves(1, |_| {});
    l.resumes(12, |l| {
        l.calls(11);
    });
    l.serves(2, |l| {
        l.calls(13);
    });
    l.resumes(11, |l| l.answers(1));
    l.resumes(13, |l| {
        background = Some(l.calls(12));
        l.answers(2);
    });
    assert_eq!(l.owner(background.unwrap()), None);
}

#[test]
fn the_first_answers_of_a_process_are_waited_for() {
    let mut l = Loop::new();
    let mut at = None;
    l.serves(1, |l| {
        at = Some(l.works(0, 0));
        l.answers(1);
    });
    let settled = |l: &Loop| {
        let time = KernelNanos(l.now + 1_000_000);
        let now = Now {
            time,
            oldest_open: None,
        };
        l.turns.owner(NODE, at.unwrap(), now).settled
    };
    assert!(!settled(&l));
    for request in 10..200 {
        l.serves(request, |l| l.answers(request));
    }
    assert!(settled(&l));
}

#[test]
fn nothing_is_settled_while_the_turn_of_the_answer_goes_on() {
    let mut l = Loop::new();
    let mut call = None;
    l.serves(1, |l| call = Some(l.calls(11)));
    l.read(11);
    l.answers(1);
    let found = |l: &Loop, later: u64| {
        let time = KernelNanos(l.now + later);
        let now = Now {
            time,
            oldest_open: None,
        };
        l.turns.owner(NODE, call.unwrap(), now)
    };
    assert!(!found(&l, 1_000_000).settled);
    let lost = found(&l, 6_000_000_000);
    assert!(
        lost.settled && lost.owner == Owner::Unknown,
        "its end is lost"
    );
    l.end(HANDLE);
    assert_eq!(l.owner(call.unwrap()), Some(1));
}

#[test]
fn two_requests_or_two_connections_in_one_turn_prove_nothing() {
    let mut l = Loop::new();
    l.reads_request(1, 1);
    let at = l.at(0, 0);
    l.turns.began(NODE, FileId(1), at, Seq(2));
    let pipelined = l.works(0, 0);
    l.answers(1);
    l.answers(2);
    l.end(HANDLE);
    l.reads_request(3, 3);
    l.reads_request(4, 4);
    let mixed = l.works(0, 0);
    l.answers(3);
    l.end(HANDLE);
    assert_eq!((l.owner(pipelined), l.owner(mixed)), (None, None));
}

#[test]
fn a_read_that_is_not_reported_may_be_for_anyone() {
    let mut l = Loop::new();
    l.reads_request(1, 1);
    l.reads += 1;
    let at = l.works(0, 0);
    l.answers(1);
    l.end(HANDLE);
    assert_eq!(l.owner(at), None);
}

#[test]
fn a_lost_end_leaves_its_turn_and_its_ids_to_none() {
    let mut l = Loop::new();
    let mut file = 0;
    l.reads_request(1, 1);
    let lost = l.works(0, 0);
    file += l.id();
    l.turn += 1;
    l.reads = 0;
    l.serves(2, |_| {});
    let resumed = l.works(0, 0);
    l.end(file);
    l.resumes(1, |l| l.answers(1));
    assert_eq!((l.owner(lost), l.owner(resumed)), (None, None));
}

/// One step of a random story.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes in.
    Request,
    /// The response to the call of one of those that wait comes.
    Response(usize),
    /// A file of one of those that wait is there.
    File(usize),
    /// The timer of one of those that wait is due.
    Timer(usize),
    /// Something goes on in the background.
    Background,
}

/// What a request does next in its turn.
#[derive(Clone, Copy, Debug)]
enum Next {
    Call,
    File,
    Timer,
    Answer,
}

#[derive(Clone, Copy, Debug)]
enum Waits {
    Call(u64),
    File(u64),
    Timer,
}

fn steps() -> impl Strategy<Value = Vec<(Step, Next)>> {
    let step = prop_oneof![
        2 => Just(Step::Request),
        3 => any::<usize>().prop_map(Step::Response),
        2 => any::<usize>().prop_map(Step::File),
        1 => any::<usize>().prop_map(Step::Timer),
        1 => Just(Step::Background),
    ];
    let next = prop_oneof![
        3 => Just(Next::Call), 2 => Just(Next::File), 1 => Just(Next::Timer), 2 => Just(Next::Answer),
    ];
    proptest::collection::vec((step, next), 1..120)
}

proptest! {
    /// However requests take turns: what is told is right, and where no timer is waited for all is told.
    #[test]
    fn nothing_is_given_to_a_wrong_request(story in steps()) {
        let mut l = Loop::new();
        let mut waiting: Vec<(u64, Waits)> = Vec::new();
        let mut truth: Vec<(Execution, Option<u64>)> = Vec::new();
        let (mut timed, mut answered) = (Vec::new(), Vec::new());
        let mut number = 100;
        for (step, next) in story {
            number += 1;
            let wanted = |of: fn(&Waits) -> bool, nth: usize, waiting: &Vec<(u64, Waits)>| {
                let all: Vec<usize> = (0..waiting.len()).filter(|i| of(&waiting[*i].1)).collect();
                (!all.is_empty()).then(|| all[nth % all.len()])
            };
            let resumed = match step {
                Step::Request => {
                    l.reads_request(number, number);
                    Some((number, HANDLE))
                }
                Step::Response(nth) => wanted(|w| matches!(w, Waits::Call(_)), nth, &waiting).map(|i| {
                    let (request, Waits::Call(file)) = waiting.remove(i) else { unreachable!() };
                    l.read(file);
                    (request, HANDLE)
                }),
                Step::File(nth) => wanted(|w| matches!(w, Waits::File(_)), nth, &waiting).map(|i| {
                    let (request, Waits::File(id)) = waiting.remove(i) else { unreachable!() };
                    (request, id)
                }),
                Step::Timer(nth) => wanted(|w| matches!(w, Waits::Timer), nth, &waiting).map(|i| {
                    let (request, _) = waiting.remove(i);
                    timed.push(request);
                    (request, TIMERS)
                }),
                Step::Background => {
                    truth.push((l.calls(number + 10_000), None));
                    l.end(TIMERS);
                    None
                }
            };
            let Some((request, root)) = resumed else { continue };
            truth.push((l.works(0, 0), Some(request)));
            match next {
                Next::Call => {
                    truth.push((l.calls(number + 20_000), Some(request)));
                    waiting.push((request, Waits::Call(number + 20_000)));
                }
                Next::File => { let id = l.id(); waiting.push((request, Waits::File(id))); }
                Next::Timer => waiting.push((request, Waits::Timer)),
                Next::Answer => { l.answers(request); answered.push(request); }
            }
            l.end(root);
        }
        for (at, request) in truth {
            let told = l.owner(at);
            prop_assert!(told.is_none() || told == request, "{told:?} instead of {request:?}");
            let certain = timed.is_empty() && request.is_some_and(|r| answered.contains(&r));
            prop_assert!(!certain || told == request, "nothing instead of {request:?}");
        }
    }
}
