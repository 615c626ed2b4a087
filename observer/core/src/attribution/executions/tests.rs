use proptest::prelude::*;

use super::*;

const P: Tgid = Tgid(1);
const SECOND: u64 = 1_000_000_000;
const STEP: u64 = SECOND / 4;

#[derive(Clone, Debug)]
enum Step {
    /// An execution begins another one, of which the identity may have been used before.
    Begin(u64, u64),
    Act(u64),
    /// It answers what was read so many steps before it is over, with requests of numbers below that open.
    Answer(u64, u64),
    /// Up to this request all have ended.
    End(u64),
    Wait,
}

fn execution(id: u64, origin: u64) -> Execution {
    Execution {
        kind: ExecutionKind::Goroutine,
        id,
        origin,
    }
}

/// What happens, and how many steps before now it is said to have: records come in disorder.
fn story() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let id = || 1_u64..7;
    let step = prop_oneof![
        2 => (id(), id()).prop_map(|(parent, child)| Step::Begin(parent, child)),
        3 => id().prop_map(Step::Act),
        4 => (id(), 0_u64..6).prop_map(|(by, took)| Step::Answer(by, took)),
        2 => (0_u64..80).prop_map(Step::End),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec((step, 0_u64..3), 1..80)
}

/// Executions, and what is true of them.
#[derive(Default)]
struct Told {
    executions: Executions,
    now: u64,
    next: u64,
    ended: u64,
    /// As they were told, in whatever order they say that they were over.
    answers: Vec<(LifeId, Answer)>,
}

impl Told {
    fn step(&mut self, step: Step, ago: u64) {
        self.now += STEP;
        self.next += 1;
        let time = KernelNanos((10 * SECOND + self.now).saturating_sub(ago * STEP));
        match step {
            Step::Begin(parent, child) => {
                let parent = if parent == child { 0 } else { parent };
                self.executions.begun(P, execution(child, parent), time);
            }
            Step::Act(id) => drop(self.executions.acted(P, execution(id, 0), time)),
            Step::Answer(id, took) => {
                let life = self.executions.acted(P, execution(id, 0), time);
                let since = KernelNanos(time.0 - took * STEP);
                let request = Seq(self.next);
                let watermark = Seq(self.next + 1);
                self.executions
                    .answered(life, request, since, time, watermark);
                let answer = Answer {
                    request,
                    since,
                    until: time,
                    watermark,
                };
                self.answers.push((life, answer));
            }
            Step::End(request) => self.ended = self.ended.max(request),
            Step::Wait => self.now += SECOND,
        }
    }

    fn at(&self) -> Now {
        Now {
            time: KernelNanos(10 * SECOND + self.now),
            oldest_open: (self.ended < self.next).then_some(Seq(self.ended)),
        }
    }

    fn times(&self) -> impl Iterator<Item = KernelNanos> + use<> {
        (0..=self.now / STEP).map(|n| KernelNanos(10 * SECOND + n * STEP))
    }

    fn lives(&self) -> Vec<LifeId> {
        self.executions.lives.iter().map(|(id, _)| *id).collect()
    }

    /// The answer of a life that it worked for, looked for one by one.
    fn answer(&self, life: LifeId, time: KernelNanos) -> Option<Answer> {
        let mut answers = self.answers.iter().filter(|(by, _)| *by == life);
        let (_, next) = answers.find(|(_, answer)| answer.until >= time)?;
        (next.since <= time).then_some(*next)
    }

    fn owner(
        &self,
        id: LifeId,
        time: KernelNanos,
        depth: usize,
    ) -> (Finding, Option<(u64, KernelNanos)>) {
        let now = self.at();
        let found = |owner, settled| Finding { owner, settled };
        let Some(life) = self.executions.lives.peek(&id) else {
            return (found(Owner::Unknown, true), None);
        };
        if life.shared {
            return (found(Owner::Shared, true), None);
        }
        if let Some(answer) = self.answer(id, time) {
            let settled =
                now.all_before_ended(answer.watermark) || now.time.since(answer.until) > OVERLAPS;
            let found = found(Owner::Answered(answer.request), settled);
            return (found, Some((life.id, answer.until)));
        }
        let Some((parent, birth)) = life.birth.filter(|_| depth < MAX_DEPTH) else {
            return (found(Owner::Unknown, false), None);
        };
        let (parents, answer) = self.owner(parent, birth, depth + 1);
        let (Owner::Answered(request) | Owner::Begun { request, .. }, Some((by, until))) =
            (parents.owner, answer)
        else {
            return (parents, answer);
        };
        let own = if time > until || life.active > until {
            found(Owner::Outlived, true)
        } else {
            let settled = parents.settled && now.time.since(until) > OUTLIVES;
            found(Owner::Begun { request, by }, settled)
        };
        (own, answer)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// It is the same as looking for the answer one by one, whatever comes twice, or late.
    #[test]
    fn the_answer_is_found_by_halves(story in story()) {
        let mut told = Told::default();
        for (step, ago) in story {
            told.step(step, ago);
        }
        for life in told.lives() {
            for time in told.times() {
                let found = told.executions.follow(life, time, told.at(), &mut Rest::none());
                prop_assert_eq!(found, told.owner(life, time, 0).0, "{:?} at {:?}", life, time);
            }
        }
    }

    /// As long as a rest holds, what was found is found again.
    #[test]
    fn what_rests_stays_as_it_was_found(story in story()) {
        let mut told = Told::default();
        let mut rests: Vec<(LifeId, KernelNanos, Finding, Rest)> = Vec::new();
        for (step, ago) in story {
            told.step(step, ago);
            let (now, executions) = (told.at(), &told.executions);
            for (life, time, was, rest) in &rests {
                if rest.holds(now.time, &executions.changes, || now.oldest_open) {
                    let found = executions.follow(*life, *time, now, &mut Rest::none());
                    prop_assert_eq!(found, *was, "{:?} of {:?} at {:?}", rest, life, time);
                }
            }
            let times: Vec<KernelNanos> = told.times().collect();
            for life in told.lives() {
                for time in times.iter().rev().take(4) {
                    let mut rest = Rest::unlimited();
                    let found = executions.follow(life, *time, now, &mut rest);
                    if !found.settled {
                        rests.push((life, *time, found, rest));
                    }
                }
            }
        }
    }
}

#[test]
fn an_answer_that_is_forgotten_ends_the_rest_of_what_it_was_found_for() {
    let mut executions = Executions::default();
    let at = |n: u64| KernelNanos(1_000 + 10 * n);
    let goes_on = execution(1, 0);
    let life = executions.acted(P, goes_on, at(0));
    let now = Now {
        time: at(1_000),
        oldest_open: Some(Seq(0)),
    };
    executions.answered(life, Seq(1), at(0), at(1), Seq(2));
    let mut rest = Rest::unlimited();
    let found = executions.follow(life, at(1), now, &mut rest);
    assert_eq!(found.owner, Owner::Answered(Seq(1)));
    let holds =
        |executions: &Executions| rest.holds(now.time, &executions.changes, || now.oldest_open);
    for n in 2..2 + MAX_ANSWERS as u64 {
        assert!(holds(&executions), "after {n}");
        executions.answered(life, Seq(n), at(n), at(n), Seq(n + 1));
    }
    assert!(!holds(&executions));
    let found = executions.follow(life, at(1), now, &mut Rest::none());
    assert_eq!(found.owner, Owner::Unknown);
}

#[test]
fn a_life_that_is_forgotten_ends_the_rest_of_what_it_was_found_for() {
    let mut executions = Executions::default();
    let time = KernelNanos(5);
    let first = executions.acted(P, execution(1, 0), time);
    let now = Now {
        time,
        oldest_open: Some(Seq(0)),
    };
    let mut rest = Rest::unlimited();
    let found = executions.follow(first, time, now, &mut rest);
    assert!(!found.settled && rest.holds(time, &executions.changes, || None));
    for id in 2..=MAX_LIVES.get() as u64 + 1 {
        executions.acted(P, execution(id, 0), time);
    }
    assert!(
        executions
            .follow(first, time, now, &mut Rest::none())
            .settled
    );
    assert!(!rest.holds(time, &executions.changes, || None));
}
