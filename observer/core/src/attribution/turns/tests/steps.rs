//! Any order of steps of an event loop.

use proptest::prelude::*;

use super::*;

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
