//! Watching a process for a share of the time: windows, and pauses between them that keep what its probes take
//! below a part of the time that it takes itself.

use std::time::{Duration, Instant};

/// What probes may take of the CPU time that the process takes itself.
pub const BUDGET: f64 = 0.10;
/// Of what they may take, what is aimed at where that would be exceeded: the first window of a process comes before its first measurement.
const AIM: f64 = 0.8;
/// How long a window lasts. Requests in flight at its end are not judged by what was seen, so that it is to be
/// much longer than requests are.
const WINDOW: Duration = Duration::from_secs(5);
/// The shortest pause: attribution waits for one second after an answer for what goes on.
const SHORTEST: Duration = Duration::from_secs(2);
/// How long after it was found that a pause is not to end yet that is looked at again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);
/// Probes that take less of a CPU than this part are not worth a pause, whatever the process takes.
const NOTHING: f64 = 0.001;
/// What the probe's program takes beside the trap where the process is watched, twice: in a service that does other things in between
/// 0.45 to 0.73 µs by the kernel's count (docs/journal/runtimes.md), with the clock read around it, come to more (docs/journal/cost.md).
const PROGRAM: Duration = Duration::from_nanos(1_500);
/// What a trap is taken to cost where that can't be measured.
const UNMEASURED: Duration = Duration::from_micros(10);
/// How many times what a trap takes by itself a service loses by it: what the processor had learned of a large program is
/// gone after it, and what else runs takes its part. 1.1 to 2.1 by measurement, most on busy machines
/// (docs/journal/cost.md): this is on the safe side.
const AROUND: f64 = 2.5;

/// What a process had done at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// CPU time that it had taken, with its probes.
    pub cpu: Duration,
    /// How often its probes had run.
    pub runs: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turnover {
    /// The probes are to be taken out.
    Close,
    /// They are to be put in again.
    Open,
}

/// When a process is watched.
#[derive(Clone, Debug)]
pub struct Windows {
    /// What one run of a probe takes.
    run: Duration,
    /// What probes may take of the CPU time that the process takes itself.
    budget: f64,
    /// Windows that were opened so far.
    number: u64,
    since: Instant,
    until: Instant,
    /// How long the last window lasted.
    window: Duration,
    /// At the beginning of the window, the last one in pauses.
    begun: Account,
    /// What probes took in the last window, seconds; `None` while one is open.
    owed: Option<f64>,
    /// Share of the time that is watched, and what probes would take of the process's time if it were all.
    share: Option<(f64, f64)>,
}

impl Windows {
    /// Begins with a window. Running into a probe takes `trap`, if that is known, and probes may take `budget` of the time
    /// that the process takes itself.
    #[must_use]
    pub fn new(trap: Option<Duration>, budget: f64, account: Account, now: Instant) -> Self {
        Self {
            run: trap.unwrap_or(UNMEASURED).mul_f64(AROUND) + PROGRAM,
            budget,
            number: 1,
            since: now,
            until: now + WINDOW,
            window: WINDOW,
            begun: account,
            owed: None,
            share: None,
        }
    }

    /// From `now` on probes may take that part of the time that the process takes itself.
    pub fn allow(&mut self, budget: f64, now: Instant) {
        self.budget = budget;
        if !self.is_open() {
            self.until = now;
        }
    }

    /// What one run of a probe is taken to cost.
    #[must_use]
    pub fn run(&self) -> Duration {
        self.run
    }

    /// The number of the window: never that of another one of the same process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether a window is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.owed.is_none()
    }

    /// Whether something may have to be done by `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// What is to be done at `now`, when the process has done what `account` tells; its runs are counted from each
    /// window's beginning. A pause lasts until the process has taken so much time itself that what probes took is within the
    /// budget: a load that has ended does not pay for what follows.
    pub fn turn_over(&mut self, account: Account, now: Instant) -> Option<Turnover> {
        let begun = self.begun;
        let cpu = account.cpu.saturating_sub(begun.cpu).as_secs_f64();
        let lasted = now.duration_since(self.since);
        if let Some(took) = self.owed {
            let cycle = lasted + self.window;
            if lasted < LONGEST && took > allowed(cpu - took, cycle, self.budget) {
                self.until = now + AGAIN;
                return None;
            }
            if let Some((share, _)) = &mut self.share {
                *share = self.window.as_secs_f64() / cycle.as_secs_f64();
            }
            self.number += 1;
            self.begin(Account { runs: 0, ..account }, now);
            return Some(Turnover::Open);
        }
        let took = self.run.as_secs_f64() * account.runs.saturating_sub(begun.runs) as f64;
        let Some((pause, costs)) = pause(took, cpu, lasted, self.budget) else {
            self.share = None;
            self.begin(account, now);
            return None;
        };
        let share = lasted.as_secs_f64() / (lasted + pause).as_secs_f64();
        self.share = Some((share, costs));
        self.owed = Some(took);
        self.window = lasted;
        self.since = now;
        self.until = now + pause;
        Some(Turnover::Close)
    }

    fn begin(&mut self, account: Account, now: Instant) {
        self.begun = account;
        self.owed = None;
        self.since = now;
        self.until = now + WINDOW;
    }

    /// What is not watched, in words; `None` if all is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let (share, costs) = self.share?;
        // Rounded, so that it does not change with every window.
        let rounded = |part: f64| (part * 20.0).round() * 5.0;
        let rest = (100.0 - rounded(share)).clamp(1.0, 99.0);
        let costs = rounded(costs).max(10.0);
        Some(format!(
            "{rest:.0} % of the time: always, they would take {costs:.0} % of the CPU time of the process"
        ))
    }
}

/// What probes may take, in seconds, of a process that took `own` seconds itself in `lasted`.
fn allowed(own: f64, lasted: Duration, budget: f64) -> f64 {
    AIM * budget * own + NOTHING * lasted.as_secs_f64()
}

/// The pause after a window of `lasted` in which probes took `took` seconds of the `cpu` seconds that the process
/// took, and which part of its own time that is; `None` if there need be no pause.
fn pause(took: f64, cpu: f64, lasted: Duration, budget: f64) -> Option<(Duration, f64)> {
    let window = lasted.as_secs_f64();
    if took <= NOTHING * window {
        return None;
    }
    // What is told of a process's time lags behind by some ticks, and what a trap takes is an estimate.
    let own = (cpu - took).max(cpu / 4.0).max(f64::EPSILON);
    let costs = took / own;
    if costs <= budget {
        return None;
    }
    let pause =
        Duration::try_from_secs_f64(window * (costs / (AIM * budget) - 1.0)).unwrap_or(LONGEST);
    Some((pause.clamp(SHORTEST, LONGEST), costs))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what is lost around it, and the program, a run takes 20.6 µs.
    const TRAP: Duration = Duration::from_nanos(7_640);

    fn after(windows: &mut Windows, now: &mut Instant, cpu: f64, runs: u64) -> Option<Turnover> {
        *now = windows.until;
        let account = Account {
            cpu: Duration::from_secs_f64(cpu),
            runs,
        };
        windows.turn_over(account, *now)
    }

    #[test]
    fn what_costs_little_is_always_watched() {
        let mut now = Instant::now();
        let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
        assert!(!windows.is_due(now));
        // 10 000 runs of 20.6 µs in 4 s; then nearly none, of a process that does nothing else.
        assert_eq!(after(&mut windows, &mut now, 4.0, 10_000), None);
        assert_eq!(after(&mut windows, &mut now, 4.0, 10_020), None);
        assert_eq!((windows.number(), windows.missing()), (1, None));
        assert!(windows.is_open());
    }

    #[test]
    fn what_matters_may_cost_more() {
        let mut now = Instant::now();
        let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
        let third = |windows: &mut Windows, now: &mut Instant| after(windows, now, 4.0, 48_544);
        assert_eq!(third(&mut windows, &mut now), Some(Turnover::Close));
        windows.allow(0.5, now);
        assert!(windows.is_due(now), "the pause is over");
        assert_eq!(after(&mut windows, &mut now, 4.0, 0), Some(Turnover::Open));
        let account = after(&mut windows, &mut now, 8.0, 48_544);
        assert_eq!((account, windows.missing()), (None, None));
    }

    #[test]
    fn what_costs_much_is_watched_for_a_share() {
        let mut now = Instant::now();
        let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
        // 48 544 runs are a second of four: a third of what the process takes itself.
        let closed = after(&mut windows, &mut now, 4.0, 48_544);
        assert_eq!(closed, Some(Turnover::Close));
        assert!(!windows.is_open());
        let pause = windows.until.duration_since(now).as_secs_f64();
        let share = 5.0 / (5.0 + pause);
        assert!((share / 3.0 - AIM * BUDGET).abs() < 0.001, "{share}");
        let missing = windows.missing().unwrap();
        assert!(missing.starts_with("75 % of the time"), "{missing}");
        assert!(missing.contains("take 35 % of the CPU time"), "{missing}");
        // 20.8 s of window and pause: what the process took itself in them pays for the second.
        let opened = after(&mut windows, &mut now, 13.6, 0);
        assert_eq!((opened, windows.number()), (Some(Turnover::Open), 2));
        assert_eq!(windows.missing(), Some(missing), "the share is the same");
        // Less is asked of it now.
        assert_eq!(after(&mut windows, &mut now, 17.6, 1_000), None);
        assert_eq!(windows.missing(), None);
    }

    #[test]
    fn a_load_that_has_ended_does_not_pay_for_the_next_window() {
        let mut now = Instant::now();
        let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
        let closed = after(&mut windows, &mut now, 4.0, 48_544);
        assert_eq!(closed, Some(Turnover::Close));
        // It does nothing for four minutes, in which a thousandth of a CPU is of no account.
        let paused = now;
        while now.duration_since(paused) < Duration::from_secs(240) {
            assert_eq!(after(&mut windows, &mut now, 4.0, 0), None);
            assert!(!windows.is_open());
        }
        assert_eq!((windows.number(), windows.share.is_some()), (1, true));
        // As soon as it has taken as much as pays for that, there is a window again.
        let opened = after(&mut windows, &mut now, 11.0, 0);
        assert_eq!((opened, windows.number()), (Some(Turnover::Open), 2));
        assert!(
            windows.missing().unwrap().starts_with("99 %"),
            "{windows:?}"
        );
    }

    #[test]
    fn an_idle_process_is_watched_again_after_the_longest_pause() {
        let mut now = Instant::now();
        let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
        let closed = after(&mut windows, &mut now, 4.0, 48_544);
        assert_eq!(closed, Some(Turnover::Close));
        let paused = now;
        while after(&mut windows, &mut now, 4.0, 0).is_none() {}
        let lasted = now.duration_since(paused);
        assert!(lasted >= LONGEST && lasted < LONGEST + AGAIN, "{lasted:?}");
    }

    /// Whatever the load, and whenever it changes: over windows and pauses, probes take no more than their part.
    #[test]
    fn the_share_is_kept_while_the_load_changes() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..50 {
            let begun = Instant::now();
            let mut now = begun;
            let mut windows = Windows::new(Some(TRAP), BUDGET, Account::default(), now);
            let (mut cpu, mut took, mut last) = (0.0, 0.0, 0.0);
            // A window counts with the pause after it.
            while windows.number() < 20 {
                let load = if rng.u8(0..10) < 3 { 0.0 } else { rng.f64() };
                let passed = windows.until.duration_since(now).as_secs_f64();
                let mut runs = 0;
                if windows.is_open() {
                    runs = (15_000.0 * load * passed) as u64;
                    last = windows.run().as_secs_f64() * runs as f64;
                    took += last;
                    cpu += last;
                }
                cpu += load * passed;
                let _ = after(&mut windows, &mut now, cpu, runs);
            }
            let nothing = NOTHING * now.duration_since(begun).as_secs_f64();
            let kept = BUDGET * (cpu - took) + nothing + last;
            assert!(took <= kept + 1e-6, "{took} of {kept}");
        }
    }

    #[test]
    fn pauses_have_limits() {
        let window = Duration::from_secs(5);
        assert_eq!(pause(0.5, 5.0, window, BUDGET).map(|p| p.0), Some(SHORTEST));
        // More than the process took at all.
        let (longest, costs) = pause(50.0, 1.0, window, BUDGET).unwrap();
        assert!(longest <= LONGEST && costs > 10.0);
        assert_eq!(pause(1e300, 0.0, window, BUDGET).unwrap().0, LONGEST);
    }
}
