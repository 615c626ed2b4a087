//! Any order of steps of an event loop.

use proptest::prelude::*;

use super::*;

/// One step of a random story.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
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
pub(super) enum Next {
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

pub(super) fn steps() -> impl Strategy<Value = Vec<(Step, Next)>> {
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

/// Requests that take turns, and what is true of these.
pub(super) struct Story {
    pub(super) l: Loop,
    waiting: Vec<(u64, Waits)>,
    /// What was done, and for which request.
    pub(super) truth: Vec<(Execution, Option<u64>)>,
    timed: Vec<u64>,
    answered: Vec<u64>,
    number: u64,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            l: Loop::new(),
            waiting: Vec::new(),
            truth: Vec::new(),
            timed: Vec::new(),
            answered: Vec::new(),
            number: 100,
        }
    }

    /// Takes one of those that wait for something of a kind.
    fn wanted(&mut self, of: fn(&Waits) -> bool, nth: usize) -> Option<(u64, Waits)> {
        let all: Vec<usize> = (0..self.waiting.len())
            .filter(|i| of(&self.waiting[*i].1))
            .collect();
        let at = all.get(nth.checked_rem(all.len())?)?;
        Some(self.waiting.remove(*at))
    }

    /// Which request goes on, in a turn that is called back for what.
    fn resumed(&mut self, step: Step) -> Option<(u64, u64)> {
        let number = self.number;
        match step {
            Step::Request => {
                self.l.reads_request(number, number);
                Some((number, HANDLE))
            }
            Step::Response(nth) => match self.wanted(|w| matches!(w, Waits::Call(_)), nth)? {
                (request, Waits::Call(file)) => {
                    self.l.read(file);
                    Some((request, HANDLE))
                }
                _ => None,
            },
            Step::File(nth) => match self.wanted(|w| matches!(w, Waits::File(_)), nth)? {
                (request, Waits::File(id)) => Some((request, id)),
                _ => None,
            },
            Step::Timer(nth) => {
                let (request, _) = self.wanted(|w| matches!(w, Waits::Timer), nth)?;
                self.timed.push(request);
                Some((request, TIMERS))
            }
            Step::Background => {
                self.truth.push((self.l.calls(number + 10_000), None));
                self.l.end(TIMERS);
                None
            }
        }
    }

    pub(super) fn step(&mut self, step: Step, next: Next) {
        self.number += 1;
        let Some((request, root)) = self.resumed(step) else {
            return;
        };
        let l = &mut self.l;
        self.truth.push((l.works(0, 0), Some(request)));
        match next {
            Next::Call => {
                self.truth
                    .push((l.calls(self.number + 20_000), Some(request)));
                self.waiting
                    .push((request, Waits::Call(self.number + 20_000)));
            }
            Next::File => {
                let id = l.id();
                self.waiting.push((request, Waits::File(id)));
            }
            Next::Timer => self.waiting.push((request, Waits::Timer)),
            Next::Answer => {
                l.answers(request);
                self.answered.push(request);
            }
        }
        l.end(root);
    }
}

proptest! {
    /// However requests take turns: what is told is right, and where no timer is waited for all is told.
    #[test]
    fn nothing_is_given_to_a_wrong_request(steps in steps()) {
        let mut story = Story::new();
        for (step, next) in steps {
            story.step(step, next);
        }
        let Story { l, truth, timed, answered, .. } = story;
        for (at, request) in truth {
            let told = l.owner(at);
            prop_assert!(told.is_none() || told == request, "{told:?} instead of {request:?}");
            let certain = timed.is_empty() && request.is_some_and(|r| answered.contains(&r));
            prop_assert!(!certain || told == request, "nothing instead of {request:?}");
        }
    }
}
