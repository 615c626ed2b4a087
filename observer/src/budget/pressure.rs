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
    /// be written is. Returns how often the share was halved by each look, and what was lost.
    fn run(wanted: u64, read: u64, looks: u32) -> (Vec<u32>, u64) {
        let begin = Instant::now();
        let mut pressure = Pressure::default();
        let (mut halved, mut lost) = (0, 0);
        let (mut at, mut halves) = (Progress::default(), Vec::new());
        for look in 0..looks {
            // What is less than a byte a look comes now and then.
            let wanted = ((wanted << 10 >> halved) + u64::from(look & 1023)) >> 10;
            let written = wanted.min(u64::from(SIZE) - at.waiting());
            lost += wanted - written;
            at.written += written;
            at.read = at.written.min(at.read + read);
            let ring = Ring {
                progress: at,
                size: SIZE,
                lost,
            };
            let time = begin + Duration::from_millis(10) * look;
            if let Some(times) = pressure.look(ring, time) {
                halved += if times > 4.0 {
                    3
                } else {
                    1 + u32::from(times > 2.0)
                };
            }
            halves.push(halved);
        }
        (halves, lost)
    }

    #[test]
    fn a_flood_is_met_before_the_ring_is_full() {
        for (wanted, read) in [(80, 30), (120, 40), (60, 50)] {
            let (halves, lost) = run(wanted, read, 1000);
            let last = wanted >> halves[999];
            assert_eq!(lost, 0, "{wanted} {read}");
            assert!(last < read && last > read / 8, "{wanted} {read}: {last}");
        }
    }

    #[test]
    fn where_records_are_lost_less_is_observed_until_none_are() {
        let (halves, lost) = run(900, 10, 1000);
        assert!(lost > 0 && 900 >> halves[999] < 10, "{lost} {halves:?}");
        assert_eq!(run(900, 10, 500).1, lost, "still losing");
    }

    #[test]
    fn what_the_reader_keeps_up_with_is_observed() {
        let (halves, lost) = run(40, 50, 1000);
        assert_eq!((halves[999], lost), (0, 0));
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
