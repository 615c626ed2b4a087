//! When system calls are looked at, where that is for a part of the time only: rounds of a pause and a window, which stands for both.

use std::time::{Duration, Instant};

/// How often it is looked whether it is all too much, without pauses.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a round is.
const ROUND: Duration = Duration::from_secs(10);

/// The shortest window: requests that last longer are never seen whole, so rounds are longer rather.
const LEAST_WINDOW: Duration = Duration::from_millis(500);

/// What is to be done with the probes at system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They are to be taken away.
    Pause,
    /// They are to be put back: what they see stands for so many times the time.
    Resume {
        /// A power of two; 1 if they are to stay.
        every: u32,
    },
}

/// Where in a round it is.
#[derive(Debug)]
pub struct Rounds {
    state: State,
    /// The time in pauses that no window stands for yet, seconds; negative after windows that were too long.
    owed: f64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// There are none.
    Always { looked: Instant },
    /// A pause, of what the next windows stand for so many times.
    Pause {
        since: Instant,
        until: Instant,
        every: u32,
    },
    Window {
        since: Instant,
        until: Instant,
        every: u32,
    },
}

impl Rounds {
    /// Without pauses.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Always { looked: now },
            owed: 0.0,
        }
    }

    /// Whether what was taken is to be looked at: after a second, or a round. If so, for which part of that time system calls were looked at.
    pub fn is_due(&mut self, now: Instant) -> Option<f64> {
        match &mut self.state {
            State::Always { looked } if now.duration_since(*looked) >= LOOK_EVERY => {
                *looked = now;
                Some(1.0)
            }
            State::Window { until, every, .. } if now >= *until => Some(1.0 / f64::from(*every)),
            _ => None,
        }
    }

    /// What is to be done now, where observing is to be for one in `every` parts of the time and is `paused` or not.
    pub fn turn(&mut self, now: Instant, every: u32, paused: bool) -> Option<Turn> {
        match self.state {
            State::Always { .. } if every > 1 => Some(self.pause(now, every)),
            State::Pause {
                since,
                until,
                every,
            } if now >= until && paused => Some(self.resume(now, since, every)),
            State::Window {
                since,
                until,
                every: was,
            } if now >= until => {
                self.owed -= now.duration_since(since).as_secs_f64() * f64::from(was - 1);
                Some(self.pause(now, every))
            }
            _ => None,
        }
    }

    /// With 1 for `every`, the pause is over at once: descriptions are to come anew that stand for themselves alone.
    fn pause(&mut self, now: Instant, every: u32) -> Turn {
        self.state = State::Pause {
            since: now,
            until: now + window(every) * (every - 1),
            every,
        };
        Turn::Pause
    }

    fn resume(&mut self, now: Instant, since: Instant, every: u32) -> Turn {
        self.owed += now.duration_since(since).as_secs_f64();
        if every == 1 {
            self.state = State::Always { looked: now };
            self.owed = 0.0;
            return Turn::Resume { every };
        }
        // Exactly what makes up for the pauses, but never much less than a window.
        let owed = Duration::try_from_secs_f64(self.owed / f64::from(every - 1));
        let length = owed.unwrap_or_default().max(window(every) / 2);
        self.state = State::Window {
            since: now,
            until: now + length,
            every,
        };
        Turn::Resume { every }
    }
}

/// How long a window is, where there is one in so many parts of the time.
fn window(every: u32) -> Duration {
    (ROUND / every).max(LEAST_WINDOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_millis(5);

    /// How long it was watched and paused in all when the parts of the time are these, one after the other, each for so many seconds;
    /// steps come late by up to `late`.
    fn run(parts: &[(u32, u64)], late: u64) -> Vec<(u32, f64, f64)> {
        let mut now = Instant::now();
        let mut rounds = Rounds::new(now);
        let (mut paused, mut began) = (false, now);
        let mut all = Vec::new();
        let mut steps = 0_u64;
        for (every, seconds) in parts {
            let end = now + Duration::from_secs(*seconds);
            let (mut watched, mut rested) = (0.0, 0.0);
            while now < end {
                steps += 1;
                now += STEP + Duration::from_millis(steps * 7 % (late + 1));
                rounds.is_due(now);
                let Some(turn) = rounds.turn(now, *every, paused) else {
                    continue;
                };
                let lasted = (now - began).as_secs_f64();
                assert_eq!(turn == Turn::Pause, !paused, "{turn:?}");
                match paused {
                    true => rested += lasted,
                    false => watched += lasted,
                }
                (paused, began) = (!paused, now);
            }
            all.push((*every, watched, rested));
        }
        all
    }

    #[test]
    fn without_pauses_it_is_looked_every_second() {
        let now = Instant::now();
        let mut rounds = Rounds::new(now);
        assert_eq!(rounds.turn(now, 1, false), None);
        assert_eq!(rounds.is_due(now + Duration::from_millis(900)), None);
        assert_eq!(rounds.is_due(now + LOOK_EVERY), Some(1.0));
        assert_eq!(rounds.is_due(now + LOOK_EVERY), None);
    }

    #[test]
    fn a_pause_comes_first_and_its_window_stands_for_it() {
        let now = Instant::now();
        let mut rounds = Rounds::new(now);
        assert_eq!(rounds.turn(now, 4, false), Some(Turn::Pause));
        let later = now + Duration::from_millis(7_500);
        assert_eq!(rounds.turn(later, 4, false), None, "it was not taken yet");
        assert_eq!(rounds.turn(later, 4, true), Some(Turn::Resume { every: 4 }));
        assert_eq!(rounds.is_due(later), None);
        let end = later + Duration::from_millis(2_500);
        assert_eq!(rounds.is_due(end), Some(0.25));
        // What is decided now holds from the next round on.
        assert_eq!(rounds.turn(end, 1, false), Some(Turn::Pause));
        assert_eq!(rounds.turn(end, 1, true), Some(Turn::Resume { every: 1 }));
        assert_eq!(rounds.turn(end + ROUND, 1, false), None);
    }

    #[test]
    fn windows_are_never_too_short_for_requests() {
        for every in [2, 4, 8, 16, 32, 64] {
            assert!(window(every) >= LEAST_WINDOW && window(every) * every >= ROUND);
        }
    }

    proptest! {
        #[test]
        fn windows_are_the_part_of_the_time_that_they_stand_for(halves in 1_u32..7, late in 0_u64..40) {
            let every = 1 << halves;
            let (_, watched, rested) = run(&[(every, 2_000)], late)[0];
            // But for the last round, and what came before the first.
            let ratio = rested / watched / f64::from(every - 1);
            prop_assert!((0.95..1.05).contains(&ratio), "{every} {late}: {watched} {rested}");
        }

        #[test]
        fn pauses_and_windows_come_in_turn(parts in prop::collection::vec((0_u32..7, 1_u64..60), 1..12)) {
            let parts: Vec<_> = parts.into_iter().map(|(halves, seconds)| (1 << halves, seconds)).collect();
            run(&parts, 20);
        }
    }
}
