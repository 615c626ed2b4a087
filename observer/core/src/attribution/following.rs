//! Whether it is asked of the probes who wakes whom in a process. That costs time in processes whose threads wait for each other a lot, so it is asked
//! once threads that serve no request do work for requests.
//!
//! Virtual threads share the buffers in which they make tasks, so what one has made is known only as far as it is often told how far these are filled, which
//! is where somebody is woken. What the first requests make shows nothing else. So there it is asked from the beginning, and no more if no such
//! work is seen.

use crate::ids::Tid;

/// Work of threads that serve no request, and of how many of these, after which a process is followed.
const MIN_UNSERVED: u32 = 10;
const MIN_UNSERVED_THREADS: usize = 2;

/// What is known of a process, and asked.
#[derive(Debug, Default)]
pub(super) struct Following {
    unserved: u32,
    threads: Vec<Tid>,
    state: State,
    /// Virtual threads are told apart.
    carries: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing is asked.
    #[default]
    No,
    /// It is asked before it is known whether it matters.
    Early,
    /// It matters, and is asked.
    Asked,
    /// It was asked for a while, and did not matter.
    Over,
}

impl Following {
    /// A thread that serves no request did something while requests were in flight. True once, when the
    /// process has done so often enough that it should be followed, and is not yet.
    pub(super) fn unserved(&mut self, tid: Tid) -> bool {
        if self.state == State::Asked {
            return false;
        }
        self.unserved = self.unserved.saturating_add(1);
        if self.threads.len() < MIN_UNSERVED_THREADS && !self.threads.contains(&tid) {
            self.threads.push(tid);
        }
        if self.unserved < MIN_UNSERVED || self.threads.len() < MIN_UNSERVED_THREADS {
            return false;
        }
        let asks = !self.is_on();
        self.state = State::Asked;
        asks
    }

    /// Virtual threads are told apart in the process from now on. True once: it should be followed.
    pub(super) fn carries(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.carries, true);
        if first && self.state != State::Asked {
            self.state = State::Early;
        }
        first
    }

    /// A while has passed. True if it has not mattered, and need not be asked any more.
    pub(super) fn ends(&mut self) -> bool {
        let ends = self.state != State::Asked;
        if ends {
            self.state = State::Over;
        }
        ends
    }

    /// Whether the process is followed.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, State::Early | State::Asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether work of two threads asks, one or the other, the tenth time.
    fn works(following: &mut Following) -> bool {
        let asks = (0..9).any(|n| following.unserved(Tid(n % 2)));
        assert!(!asks, "too little");
        following.unserved(Tid(0))
    }

    #[test]
    fn work_of_threads_that_serve_nothing_asks_once() {
        let mut following = Following::default();
        assert!(works(&mut following) && following.is_on());
        assert!(!following.unserved(Tid(0)));
        assert!(!following.ends() && following.is_on(), "it matters");
        assert!(following.carries() && !following.carries(), "once");
        assert!(!following.ends() && following.is_on(), "it still does");
    }

    #[test]
    fn virtual_threads_ask_at_once_and_end_it_unless_it_matters() {
        let mut following = Following::default();
        assert!(following.carries() && following.is_on());
        assert!(!following.carries(), "it is asked already");
        assert!(following.ends() && !following.is_on());
        assert!(!following.carries(), "it did not matter");
        assert!(works(&mut following), "by now it does");
        assert!(following.is_on() && !following.ends());
    }

    #[test]
    fn virtual_threads_ask_for_what_did_not_matter_before() {
        let mut following = Following::default();
        assert!(following.ends() && !following.is_on());
        assert!(following.carries() && following.is_on());
    }

    #[test]
    fn what_matters_stays_asked() {
        let mut following = Following::default();
        assert!(following.carries());
        assert!(!works(&mut following), "it is asked already");
        assert!(!following.ends() && following.is_on());
    }
}
