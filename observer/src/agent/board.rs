//! Where the session's thread and the HTTP server's meet.
//!
//! The session never waits for the server: a question is raised as a flag, and answered at the next
//! tick, some milliseconds later, with everything as it stands then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use observer_core::judged::WallTime;
use observer_core::judged::counts::Counted;
use tokio::sync::oneshot;

use crate::budget::Ceiling;
use crate::kernel::{Counters, ProbeStatus};
use crate::otlp::{Exported, Gauge};

/// Questions that wait for the session, at most; each is a connection of the server.
const MAX_ASKING: usize = 128;

/// How long the session may be silent before it is taken for stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// Everything as it stood at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What was judged.
    pub counted: Counted,
    /// What the probes and the kernel counted.
    pub kernel: Counters,
    /// What became of each probe.
    pub probes: Vec<ProbeStatus>,
    /// When that was.
    pub now: WallTime,
}

/// What is known of the agent between snapshots.
#[derive(Debug)]
pub struct Board {
    /// Name of the host or node.
    pub agent: String,
    /// When the agent began.
    pub since: WallTime,
    began: Instant,
    asking: Mutex<Vec<oneshot::Sender<Arc<Snapshot>>>>,
    asked: AtomicBool,
    kernel: Mutex<Option<(Counters, Vec<ProbeStatus>)>>,
    ready: AtomicBool,
    /// Milliseconds since the beginning at which the session was last heard of.
    heard: AtomicU64,
    /// Share of connections that is observed, in 65 536ths.
    keep: AtomicU32,
    every: AtomicU32,
    over: [AtomicU64; 3],
    reloads: [AtomicU64; 2],
    /// What tells how the export stands.
    export: OnceLock<Gauge>,
    /// What the operator should know now, in words.
    notes: Mutex<BTreeSet<String>>,
}

impl Board {
    /// Of an agent that begins now.
    #[must_use]
    pub fn new(agent: String, since: WallTime) -> Self {
        Self {
            agent,
            since,
            began: Instant::now(),
            asking: Mutex::default(),
            asked: AtomicBool::new(false),
            kernel: Mutex::default(),
            ready: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            keep: AtomicU32::new(1 << 16),
            every: AtomicU32::new(1),
            over: Default::default(),
            reloads: Default::default(),
            export: OnceLock::new(),
            notes: Mutex::default(),
        }
    }

    /// Asks for everything as it stands at the next tick; nothing if too many ask already.
    pub fn ask(&self) -> Option<oneshot::Receiver<Arc<Snapshot>>> {
        let (answer, receiver) = oneshot::channel();
        let mut asking = lock(&self.asking);
        // Those that have gone away are no longer waited for.
        asking.retain(|one| !one.is_closed());
        if asking.len() >= MAX_ASKING {
            return None;
        }
        asking.push(answer);
        self.asked.store(true, Relaxed);
        Some(receiver)
    }

    /// Whether anybody asks. The session calls it at each tick.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Puts what the kernel counted, for the next answer.
    pub fn put_kernel(&self, counters: Counters, probes: Vec<ProbeStatus>) {
        *lock(&self.kernel) = Some((counters, probes));
    }

    /// Answers all who ask.
    pub fn answer(&self, mut snapshot: Snapshot) {
        if let Some((kernel, probes)) = lock(&self.kernel).take() {
            (snapshot.kernel, snapshot.probes) = (kernel, probes);
        }
        let snapshot = Arc::new(snapshot);
        let mut asking = lock(&self.asking);
        self.asked.store(false, Relaxed);
        for one in asking.drain(..) {
            // Who does not wait any longer needs no answer.
            let _ = one.send(Arc::clone(&snapshot));
        }
    }

    /// Everything chosen is watched.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Says that everything chosen is watched, or, at the end, that it is no longer.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    /// The session is at work.
    pub fn hear(&self) {
        self.heard.store(self.millis(), Relaxed);
    }

    /// Whether the session was heard of lately.
    pub fn is_alive(&self) -> bool {
        let silent = self.millis().saturating_sub(self.heard.load(Relaxed));
        Duration::from_millis(silent) < SILENCE
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long the agent has run.
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// Share of connections that is observed.
    pub fn keep(&self) -> f64 {
        f64::from(self.keep.load(Relaxed)) / 65_536.0
    }

    /// Part of the time in which anything is observed.
    pub fn watched(&self) -> f64 {
        1.0 / f64::from(self.every.load(Relaxed).max(1))
    }

    /// Sets that share, in 65 536ths, and that one in `every` parts of the time is observed.
    pub fn set_keep(&self, keep: u32, every: u32) {
        self.keep.store(keep, Relaxed);
        self.every.store(every, Relaxed);
    }

    /// Names what tells how the export stands; the first one stays.
    pub fn set_export(&self, gauge: Gauge) {
        self.export.get_or_init(|| gauge);
    }

    /// What became of what was to be exported, by signal; empty without an export.
    pub fn exported(&self) -> Vec<Exported> {
        self.export.get().map(Gauge::read).unwrap_or_default()
    }

    /// Counts a second above a ceiling, or once that the ring was too full.
    pub fn over(&self, what: Ceiling) {
        self.over[what as usize].fetch_add(1, Relaxed);
    }

    /// Seconds above the ceilings of processor time and memory, and how often the ring was too full.
    pub fn over_budget(&self) -> [u64; 3] {
        [0, 1, 2].map(|ceiling: usize| self.over[ceiling].load(Relaxed))
    }

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, fine: bool) {
        self.reloads[usize::from(fine)].fetch_add(1, Relaxed);
    }

    /// Reloads that failed, and that were fine.
    pub fn reloads(&self) -> [u64; 2] {
        [self.reloads[0].load(Relaxed), self.reloads[1].load(Relaxed)]
    }

    /// Has a note shown, or no longer.
    pub fn note(&self, text: &str, shown: bool) {
        let mut notes = lock(&self.notes);
        if shown {
            notes.insert(text.to_owned());
        } else {
            notes.remove(text);
        }
    }

    /// What the operator should know now.
    pub fn notes(&self) -> Vec<String> {
        lock(&self.notes).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board::new("host".into(), WallTime(0))
    }

    #[test]
    fn all_who_ask_get_the_same_answer_once() {
        let board = board();
        let (mut a, mut b) = (board.ask().unwrap(), board.ask().unwrap());
        assert!(board.is_asked());
        board.answer(Snapshot {
            now: WallTime(7),
            ..Snapshot::default()
        });
        assert!(!board.is_asked());
        let (a, b) = (a.try_recv().unwrap(), b.try_recv().unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        assert_eq!(a.now, WallTime(7));
    }

    #[test]
    fn who_goes_away_makes_room() {
        let board = board();
        let asking: Vec<_> = (0..MAX_ASKING).map(|_| board.ask().unwrap()).collect();
        assert!(board.ask().is_none());
        drop(asking);
        assert!(board.ask().is_some());
    }
}
