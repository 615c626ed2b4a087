mod answers;
mod messages;
mod opened;
mod passed;
mod rests;
mod steps;

use super::super::executions::{Finding, Now, Owner};
use super::super::rest::Rest;
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
    settled(turns.owner(NODE, at, later(now), &mut Rest::none()))
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
