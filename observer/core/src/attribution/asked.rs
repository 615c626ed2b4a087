//! Tier 3, tasks that ask a client: a call that the task of a connection wrote was made for the task that had
//! the connection's run before, and that was had run by it when the response came.
//!
//! hyper's clients keep a task for each connection. A request is handed to it through a channel, which has
//! it run again; the response comes back through another one, which has whoever waits for it run again. Neither
//! alone is proof. Who is done with a response may have the connection's task run once more while another
//! one's request lies in the channel; and what a connection's task wakes may not be who waits. But the first that a connection's task
//! has run again after it has read the response, and that had it run before it wrote the call, has asked.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use crate::ids::{KernelNanos, Seq, Tgid};

/// Tasks that are remembered.
const MAX_TASKS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Tasks that had one run again before it did, at most; of more nothing is concluded.
const MAX_WAKERS: usize = 4;

/// Tasks that one had run again during an exchange, at most; those after that are not needed.
const MAX_WOKEN: usize = 8;

/// A task of a process.
type Key = (Tgid, u64);

/// Who has whom run again.
#[derive(Debug)]
pub(super) struct Asked(LruCache<Key, Task>);

#[derive(Debug, Default)]
struct Task {
    /// Who had it run again since it ran last.
    wakers: Vec<u64>,
    /// There were more.
    crowded: bool,
    call: Option<InFlight>,
}

/// A call that it wrote last.
#[derive(Debug)]
struct InFlight {
    call: Seq,
    /// Who may have asked for it.
    wakers: Vec<u64>,
    /// Whom it has had run again since: each once in a row, with the last time.
    woken: Vec<(u64, KernelNanos)>,
    /// When the response came.
    answered: Option<KernelNanos>,
}

/// A call and the task that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) call: Seq,
    pub(super) task: u64,
}

impl Default for Asked {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_TASKS))
    }
}

impl Asked {
    /// The task `waker` has had `woken` run again; with `again`, that was to run already.
    pub(super) fn nudged(
        &mut self,
        tgid: Tgid,
        waker: u64,
        woken: u64,
        again: bool,
        time: KernelNanos,
    ) -> Option<Asker> {
        let task = self.0.get_or_insert_mut((tgid, woken), Task::default);
        if !again {
            task.wakers.clear();
            task.crowded = false;
        }
        if !task.wakers.contains(&waker) {
            task.crowded |= task.wakers.len() == MAX_WAKERS;
            if !task.crowded {
                task.wakers.push(waker);
            }
        }
        let task = self.0.peek_mut(&(tgid, waker))?;
        let call = task.call.as_mut()?;
        let room = call.woken.len() < MAX_WOKEN;
        match call.woken.last_mut() {
            Some((last, at)) if *last == woken => *at = time,
            _ if room => call.woken.push((woken, time)),
            _ => {}
        }
        task.asker()
    }

    /// A task wrote a call.
    pub(super) fn wrote(&mut self, tgid: Tgid, task: u64, call: Seq) {
        let Some(task) = self.0.get_mut(&(tgid, task)) else {
            return;
        };
        task.call = (!task.crowded).then(|| InFlight {
            call,
            wakers: task.wakers.clone(),
            woken: Vec::new(),
            answered: None,
        });
    }

    /// The task that wrote a call has read the response from `since` on, all of it by now.
    pub(super) fn answered(
        &mut self,
        tgid: Tgid,
        task: u64,
        call: Seq,
        since: KernelNanos,
    ) -> Option<Asker> {
        let task = self.0.get_mut(&(tgid, task))?;
        let in_flight = task.call.as_mut().filter(|c| c.call == call)?;
        in_flight.answered = Some(since);
        task.asker()
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.0, |key, _| key.0 == tgid);
    }
}

impl Task {
    /// Who asked for the call in flight, once that is known; it is told once.
    fn asker(&mut self) -> Option<Asker> {
        let call = self.call.as_ref()?;
        let since = call.answered?;
        let (task, _) = *call.woken.iter().find(|(_, time)| *time >= since)?;
        let call = self.call.take()?;
        call.wakers.contains(&task).then_some(Asker {
            call: call.call,
            task,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Tgid = Tgid(1);
    /// The handlers of two requests.
    const A: u64 = 7;
    const B: u64 = 8;
    const CONNECTION: u64 = 9;

    /// What happens, a nanosecond apart.
    enum Step {
        Wake(u64, u64),
        WakeAgain(u64, u64),
        Write(u64),
        /// The whole response, in one read.
        Read(u64),
    }
    use Step::*;

    fn askers(steps: &[Step]) -> Vec<(u64, u64)> {
        let mut asked = Asked::default();
        let mut found = Vec::new();
        for (time, step) in (1..).map(KernelNanos).zip(steps) {
            let asker = match *step {
                Wake(from, to) => asked.nudged(P, from, to, false, time),
                WakeAgain(from, to) => asked.nudged(P, from, to, true, time),
                Write(call) => {
                    asked.wrote(P, CONNECTION, Seq(call));
                    None
                }
                Read(call) => asked.answered(P, CONNECTION, Seq(call), time),
            };
            found.extend(asker.map(|a| (a.call.0, a.task)));
        }
        found
    }

    #[test]
    fn who_hands_over_and_is_answered_has_asked() {
        let steps = [Wake(A, CONNECTION), Write(1), Read(1), Wake(CONNECTION, A)];
        assert_eq!(askers(&steps), [(1, A)]);
    }

    #[test]
    fn what_follows_the_answer_changes_nothing() {
        let steps = [
            Wake(A, CONNECTION),
            Write(1),
            Read(1),
            Wake(CONNECTION, A),
            Wake(CONNECTION, B),
            Wake(A, CONNECTION),
        ];
        assert_eq!(askers(&steps), [(1, A)]);
    }

    /// A drops a body late; B's request lies in the channel and is written before B's own wake shows.
    #[test]
    fn a_request_that_another_task_s_wake_carried_is_nobody_s() {
        let steps = [
            Wake(A, CONNECTION),
            Write(1),
            Wake(B, CONNECTION),
            Read(1),
            Wake(CONNECTION, B),
        ];
        assert_eq!(askers(&steps), []);
    }

    #[test]
    fn of_several_who_woke_it_the_one_that_is_answered_has_asked() {
        let steps = [
            Wake(A, CONNECTION),
            WakeAgain(B, CONNECTION),
            Write(1),
            Read(1),
            Wake(CONNECTION, B),
        ];
        assert_eq!(askers(&steps), [(1, B)]);
    }

    #[test]
    fn wakes_before_the_answer_are_not_about_it() {
        let steps = [
            Wake(A, CONNECTION),
            Write(1),
            Wake(CONNECTION, A),
            Read(1),
            Wake(CONNECTION, B),
        ];
        assert_eq!(askers(&steps), []);
    }

    #[test]
    fn where_many_woke_it_nothing_is_said() {
        let mut steps: Vec<Step> = (20..30).map(|n| WakeAgain(n, CONNECTION)).collect();
        steps.extend([Write(1), Read(1), Wake(CONNECTION, 20)]);
        assert_eq!(askers(&steps), []);
        // The next one is told again.
        steps.extend([Wake(A, CONNECTION), Write(2), Read(2), Wake(CONNECTION, A)]);
        assert_eq!(askers(&steps), [(2, A)]);
    }

    #[test]
    fn an_answer_counts_for_its_call_alone() {
        let steps = [
            Wake(A, CONNECTION),
            Write(1),
            Wake(B, CONNECTION),
            Write(2),
            Read(1),
            Wake(CONNECTION, B),
        ];
        assert_eq!(askers(&steps), []);
    }
}
