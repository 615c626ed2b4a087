//! Whether the kernel's ring is about to be too small for what is observed, and by how much.

use std::time::{Duration, Instant};

use crate::kernel::Progress;

/// How long a smaller share is given to show in the ring, and what is written and read is added up at least.
const SETTLE: Duration = Duration::from_millis(50);

/// The part of the ring that may wait in it.
const FULL: f64 = 0.25;

/// How much of what was written may remain unread where the ring is being emptied.
const KEEPS_UP: f64 = 0.95;

/// What is there to lose is not known: so many times too much is assumed at least.
const LOST: f64 = 2.0;

/// The ring at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring {
    /// How far writers and reader are.
    pub progress: Progress,
    /// Bytes that fit in it.
    pub size: u32,
    /// Records for which it had no room so far.
    pub lost: u64,
}

/// Compares what is written with what is read, from when more waits than may.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Records lost at the last look.
    lost: u64,
    /// Where it was compared from, and when that was; nothing while less waits.
    since: Option<(Progress, Instant)>,
}

impl Pressure {
    /// How many times too much is written, if it is: more waits than may and does not get less, or the ring had no room.
    pub fn look(&mut self, now: Ring, time: Instant) -> Option<f64> {
        let lost = std::mem::replace(&mut self.lost, now.lost) < now.lost;
        let full = now.progress.waiting() as f64 > f64::from(now.size) * FULL;
        if !(lost || full) {
            self.since = None;
            return None;
        }
        let Some((before, since)) = self.since else {
            // A reader that was held up for a moment catches up.
            self.since = Some((now.progress, time));
            return lost.then_some(LOST);
        };
        if time.duration_since(since) < SETTLE {
            return None;
        }
        self.since = Some((now.progress, time));
        let moved = |now: u64, before: u64| now.saturating_sub(before).max(1) as f64;
        let times =
            moved(now.progress.written, before.written) / moved(now.progress.read, before.read);
        match lost {
            true => Some(times.max(LOST)),
            false => (times > KEEPS_UP).then_some(times),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 1000;

    /// A ring that is written and read at steady rates, bytes per look, looked at every 10 ms; a share of what is wanted to
    /// be written is. Returns the shares over time and what was lost.
    fn run(wanted: f64, read: f64, looks: u32) -> (Vec<f64>, f64) {
        let begin = Instant::now();
        let mut pressure = Pressure::default();
        let (mut share, mut lost) = (1.0, 0.0);
        let (mut at, mut shares) = ((0.0, 0.0), Vec::new());
        for look in 0..looks {
            let room = f64::from(SIZE) - (at.0 - at.1);
            let written = f64::min(wanted * share, room);
            lost += wanted * share - written;
            at.0 += written;
            at.1 = f64::min(at.1 + read, at.0);
            let ring = Ring {
                progress: Progress {
                    written: at.0 as u64,
                    read: at.1 as u64,
                },
                size: SIZE,
                lost: lost as u64,
            };
            let time = begin + Duration::from_millis(10) * look;
            if let Some(times) = pressure.look(ring, time) {
                share /= times.max(2.0).log2().ceil().exp2();
            }
            shares.push(share);
        }
        (shares, lost)
    }

    #[test]
    fn a_flood_is_met_before_the_ring_is_full() {
        for (wanted, read) in [(80.0, 30.0), (120.0, 40.0), (60.0, 50.0)] {
            let (shares, lost) = run(wanted, read, 1000);
            assert!(lost == 0.0, "{wanted} {read}: {lost}");
            let last = shares[999];
            assert!(wanted * last < read, "{wanted} {read}: {last}");
            assert!(wanted * last > read / 8.0, "{wanted} {read}: {last}");
        }
    }

    #[test]
    fn where_records_are_lost_less_is_observed_until_none_are() {
        let (shares, lost) = run(900.0, 10.0, 1000);
        assert!(lost > 0.0);
        assert!(900.0 * shares[999] < 10.0, "{shares:?}");
        let (_, before) = run(900.0, 10.0, 500);
        assert!(lost - before < 1.0, "still losing");
    }

    #[test]
    fn what_the_reader_keeps_up_with_is_observed() {
        let (shares, lost) = run(40.0, 50.0, 1000);
        assert_eq!((shares[999], lost), (1.0, 0.0));
    }

    #[test]
    fn a_reader_that_was_held_up_for_a_moment_catches_up() {
        let begin = Instant::now();
        let mut pressure = Pressure::default();
        let mut at = Progress::default();
        for look in 0..20 {
            at.written += 20;
            at.read = match look {
                // Held up for 30 looks.
                0 => {
                    at.written += 600;
                    at.read
                }
                _ => at.written.min(at.read + 100),
            };
            let ring = Ring {
                progress: at,
                size: SIZE,
                lost: 0,
            };
            let time = begin + Duration::from_millis(10) * look;
            assert_eq!(pressure.look(ring, time), None, "{look}");
        }
    }
}
