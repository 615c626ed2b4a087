//! Keeps the probes in step with what a Java process compiles the loop of its pools' threads to.

use std::time::{Duration, Instant};

use observer_core::ids::Tgid;

use super::{PAUSES, java};
use crate::facts::Process;
use crate::kernel::Capture;

/// How often it is looked whether there is another version. Until then what is done in it is not given to whoever made the task.
const LOOK: Duration = Duration::from_secs(1);

/// How often versions are read: code is compiled again whenever what was assumed proves wrong, but not for ever.
const MAX_READS: usize = 64;

/// What is known of the compiled pools of one process.
#[derive(Debug, Default)]
pub(super) struct Pools {
    found: Option<java::Pools>,
    /// What showed the versions that were read last.
    signs: Option<[u64; 2]>,
    reads: usize,
    again: Option<Instant>,
    /// For pools.
    looks: Looks,
    /// For the classes of dependents, and when that is done again.
    dependents: Looks,
    dependents_again: Option<Instant>,
}

/// How often something was looked for that was not there.
#[derive(Debug, Default)]
struct Looks(usize);

impl Looks {
    /// It was looked for: how long it is to be left alone.
    fn looked(&mut self) -> Duration {
        let pause = PAUSES.get(self.0).or(PAUSES.last());
        self.0 += 1;
        pause.copied().unwrap_or_default()
    }
}

impl Pools {
    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.reads < MAX_READS && self.again.is_none_or(|again| again <= now)
    }

    /// Looks at `process`, which runs on Java.
    pub(super) fn look(&mut self, capture: &mut Capture, process: &Process, now: Instant) {
        let tgid = Tgid(process.pid);
        self.again = Some(now + LOOK);
        if !capture.has_heap(tgid) {
            return;
        }
        self.look_for_dependents(capture, process, now);
        if self.found.is_none() {
            self.found = java::Pools::of(process).ok();
            self.again = Some(now + self.looks.looked().max(LOOK));
        }
        let Some(found) = &self.found else {
            return;
        };
        let signs = found.signs();
        if signs.is_some() && signs != self.signs {
            self.signs = signs;
            self.reads += 1;
            capture.set_compiled(tgid, found.calls());
        }
    }

    /// Looks again for the classes of what follows on a `CompletableFuture`, which are loaded when the first one is made.
    fn look_for_dependents(&mut self, capture: &mut Capture, process: &Process, now: Instant) {
        let tgid = Tgid(process.pid);
        let is_due = self.dependents_again.is_none_or(|again| again <= now);
        if !is_due || capture.tells_dependents(tgid) != Some(false) {
            return;
        }
        self.dependents_again = Some(now + self.dependents.looked());
        if let Ok(layout) = java::heap(process) {
            capture.replace_heap(tgid, &layout);
        }
    }
}
