//! Whatever a pool's threads do, and in which order: no call is given to a request that did not make it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::jvm::{Jvm, LANES, pooled, server};
use super::world::{request, response};

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
