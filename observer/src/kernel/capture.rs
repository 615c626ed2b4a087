//! The capture: everything of the kernel edge behind one type.

use std::{io, time::Duration};

use aya::{Ebpf, maps::MapError, programs::ProgramError};
use observer_abi::control::{Layout, Reckoned};
use observer_abi::heap;
use observer_core::engine::Feedback;
use observer_core::ids::Tgid;

use super::{
    CaptureConfig, CaptureError, Counters, ProbeStatus, WatchError,
    attach::{PROBES, attach, run_stats},
    feedback::PolicyTable,
    object::{self, Opened},
    pause::Calls,
    reckoned::ReckonedCalls,
    ring::{self, Progress, Ring},
    runtimes::{self, CompiledTable, RuntimeTable},
    select,
    stats::{self, CpuCounters, Misses, ProgramStats, Runs},
    user::{self, UserLink, UserProbe},
    watch::WatchTable,
};

/// A running capture. Dropping it detaches the probes and frees the maps.
///
/// ```no_run
/// # use observer::kernel::{Capture, CaptureConfig};
/// # use observer_core::ids::Tgid;
/// # use std::time::Duration;
/// let mut capture = Capture::start(CaptureConfig::default())?;
/// capture.watch_tree(Tgid(4711))?;
/// loop {
///     capture.wait(Duration::from_millis(500))?;
///     capture.drain(|record| println!("{} bytes", record.len()));
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Capture {
    ring: Ring,
    watch: WatchTable,
    policy: PolicyTable,
    runtimes: RuntimeTable,
    heaps: RuntimeTable,
    compiled: CompiledTable,
    counters: CpuCounters,
    reckoned: ReckonedCalls,
    misses: Misses,
    status: Vec<ProbeStatus>,
    calls: Calls,
    /// System calls are not looked at.
    paused: bool,
    /// Another observer pins maps for readers.
    pinned: bool,
    object: Ebpf,
}

impl Capture {
    /// How often [`drain_part`](Self::drain_part) hands out a part of a full ring.
    pub const PARTS: u32 = ring::PARTS;

    /// Loads and attaches the probes. Nothing is reported before [`watch`](Self::watch), unless
    /// `config` says that everything is.
    ///
    /// # Errors
    ///
    /// See [`CaptureError`].
    pub fn start(config: CaptureConfig) -> Result<Self, CaptureError> {
        let Opened {
            mut object,
            features,
            pinned,
        } = object::open(&config)?;
        let policy = PolicyTable::open(&mut object, object::policy_bits(&config))?;
        // Before the probes are attached: this process must be excluded from the first call on.
        let watch = WatchTable::open(&mut object)?;
        let ring = Ring::open(&mut object)?;
        let runtimes = RuntimeTable::open(&mut object)?;
        let heaps = RuntimeTable::heaps(&mut object)?;
        let compiled = CompiledTable::open(&mut object)?;
        let counters = CpuCounters::open(&mut object)?;
        let reckoned = ReckonedCalls::open(&mut object)?;
        let (status, calls) = attach(&mut object, &features)?;
        Ok(Self {
            ring,
            watch,
            policy,
            runtimes,
            heaps,
            compiled,
            counters,
            reckoned,
            misses: Misses::open(&object),
            status,
            calls,
            paused: false,
            pinned,
            object,
        })
    }

    /// Whether another observer pins for readers in which traces threads work ([`pinned`](super::pinned)).
    #[must_use]
    pub fn has_pinned_contexts(&self) -> bool {
        self.pinned
    }

    /// Reports the calls of `process` from now on, and those of the children that it will have.
    ///
    /// # Errors
    ///
    /// If it is this process, or its id is out of range.
    pub fn watch(&self, process: Tgid) -> Result<(), WatchError> {
        self.watch.watch(process)
    }

    /// Watches `process` and the children that it has, and those they have; returns all of them.
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch). Children that are this process are left out.
    pub fn watch_tree(&self, process: Tgid) -> Result<Vec<Tgid>, WatchError> {
        self.watch(process)?;
        let mut watched = vec![process];
        // Children born while the list is read are watched by inheritance, if their parent was when
        // it bore them; if not, the parent's own turn finds them on the next reading.
        loop {
            let mut grown = false;
            for child in select::descendants(process) {
                if !watched.contains(&child) && self.watch(child).is_ok() {
                    watched.push(child);
                    grown = true;
                }
            }
            if !grown {
                return Ok(watched);
            }
        }
    }

    /// Reports the calls of `process` no longer.
    pub fn unwatch(&self, process: Tgid) {
        self.watch.unwatch(process);
    }

    /// Has the executions of `process` read as `layout` says, from its next call on. Its children
    /// inherit that; a new program in the same process has none.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the entry.
    pub fn set_layout(&mut self, process: Tgid, layout: &Layout) -> Result<(), MapError> {
        self.runtimes.insert(process, layout)?;
        self.watch.set_runtime(process, true);
        Ok(())
    }

    /// Has it read, as `layout` says, where the threads of `process` make objects. Without room in the kernel that stays unknown.
    pub fn set_heap(&mut self, process: Tgid, layout: &Layout) {
        if self.heaps.insert(process, layout).is_ok() {
            self.watch.set_heap(process, true);
        }
    }

    /// Whether [`set_heap`](Self::set_heap) was called for `process`.
    #[must_use]
    pub fn has_heap(&self, process: Tgid) -> bool {
        self.heaps.word(process, 0).is_some()
    }

    /// Whether what threads run because a `CompletableFuture` is complete is told of `process`, for which [`set_heap`](Self::set_heap) was called; `None` if it was not.
    #[must_use]
    pub fn tells_dependents(&self, process: Tgid) -> Option<bool> {
        let class = self.heaps.word(process, heap::DEPENDENT)?;
        Some(class != 0)
    }

    /// Reads of `process` what `layout` says instead of what was said before, as often as before.
    pub fn replace_heap(&mut self, process: Tgid, layout: &Layout) {
        // Without room it stays as it was.
        let _ = self.heaps.insert(process, layout);
    }

    /// Says where the compiled code of pools of `process` keeps their tasks, instead of what was said before.
    pub fn set_compiled(&mut self, process: Tgid, calls: runtimes::Calls) {
        self.compiled.set(process, calls);
    }

    /// Ends what [`set_layout`](Self::set_layout) and [`set_heap`](Self::set_heap) began: `process` has ended.
    pub fn clear_layout(&mut self, process: Tgid) {
        self.watch.set_runtime(process, false);
        self.watch.set_heap(process, false);
        self.runtimes.remove(process);
        self.heaps.remove(process);
        self.compiled.set(process, runtimes::Calls::new());
    }

    /// What a word of the layout of `process` is now: the probes count in some.
    #[must_use]
    pub fn layout_word(&self, process: Tgid, word: usize) -> Option<u64> {
        self.runtimes.word(process, word)
    }

    /// What running into `program` takes inside a process, at an instruction that is `stepped` over or at a jump;
    /// measured here, as it depends on the machine. `None` if it can't be.
    #[cfg(target_arch = "x86_64")]
    pub fn toll(&mut self, program: &'static str, stepped: bool) -> Option<Duration> {
        super::toll::toll(&mut self.object, program, stepped)
    }

    /// Puts a probe into `process`, which stays until the link is dropped.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the program or the place.
    pub fn attach_user(
        &mut self,
        process: Tgid,
        probe: &UserProbe,
    ) -> Result<UserLink, ProgramError> {
        let link = user::attach(&mut self.object, process, probe);
        // Its program may have been loaded only now.
        self.misses = Misses::open(&self.object);
        link
    }

    /// Has it reported when threads of `process` are kept after their end, and given to others, until it runs
    /// another program.
    pub fn keep_threads(&self, process: Tgid) {
        self.watch.keep_threads(process);
    }

    /// Whether `process` was selected, or inherited it.
    #[must_use]
    pub fn is_watched(&self, process: Tgid) -> bool {
        self.watch.is_watched(process)
    }

    /// Waits until records may be there, at most `limit`. Records wait some milliseconds at most.
    ///
    /// # Errors
    ///
    /// If the ring can't be waited for; a signal is no error.
    pub fn wait(&mut self, limit: Duration) -> io::Result<()> {
        self.ring.wait(limit)
    }

    /// Calls `record` with the bytes of every record that is there, in the order in which the ring
    /// took them; returns how many there were. Decode them with [`observer_core::record::decode`].
    pub fn drain(&mut self, record: impl FnMut(&[u8])) -> usize {
        self.ring.drain(record)
    }

    /// As [`drain`](Self::drain), but a part of a flood at a time: a ring that was full is empty after
    /// [`PARTS`](Self::PARTS). False if that was all that there is.
    pub fn drain_part(&mut self, record: impl FnMut(&[u8])) -> bool {
        self.ring.drain_part(record)
    }

    /// Tells the probes what is wanted of one description, or of a process.
    pub fn apply(&self, feedback: Feedback) {
        match feedback {
            Feedback::Wakes(process) => self.watch.follow_wakes(process),
            Feedback::NoTasks(process) => self.watch.leave_wakes(process),
            Feedback::Channels(_) => {}
            Feedback::Ignore(_) | Feedback::SkipUntil { .. } => self.policy.apply(feedback),
        }
    }

    /// Observes only a share of the connections, in 65 536ths: those with the lowest lots in this window of time
    /// ([`observer_abi::lot`]). The probes decide it when the first bytes of a connection move, and anew when a request begins on it
    /// after share or window have changed. Of those that are left out, one record says so.
    pub fn sample(&self, keep: u32, window: u16) {
        let left_out = (1_u32 << 16).saturating_sub(keep.max(1));
        let left_out = u16::try_from(left_out).unwrap_or(u16::MAX);
        if left_out > 0 {
            self.reckoned.begin();
        }
        self.ring.leave_out(left_out, window);
    }

    /// Looks at no system call from now on, until [`resume`](Self::resume): what is in the ring when this returns is all that comes of
    /// calls. Takes as long as the kernel needs to end what runs, some ten milliseconds.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to detach a probe.
    pub fn pause(&mut self) -> Result<(), ProgramError> {
        self.paused = true;
        self.calls.detach(&mut self.object)
    }

    /// Whether system calls are not looked at.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Looks at system calls again. What was known of descriptions, and of threads in the middle of a call, is forgotten.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to attach a probe.
    pub fn resume(&mut self) -> Result<(), ProgramError> {
        if self.paused {
            self.ring.begin_epoch();
            self.calls.attach(&mut self.object)?;
            self.paused = false;
        }
        Ok(())
    }

    /// What was lost since the capture began: of [`counters`](Self::counters) what is cheap enough to
    /// be asked for at every drain. Records for which the ring had no room, and runs of the probes
    /// that the kernel left out because another was running on the same CPU: what they would have
    /// reported is lost without a count of its own.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.ring_lost() + self.misses.sum()
    }

    /// Records for which the ring had no room.
    #[must_use]
    pub fn ring_lost(&self) -> u64 {
        self.counters.sum().lost
    }

    /// What system calls came to on connections since this was last asked for, while only a share of these was observed: told by place
    /// ([`Reckoned::place`]).
    pub fn reckoned(&mut self, tell: impl FnMut(u16, Reckoned)) {
        self.reckoned.news(tell);
    }

    /// How far writers and reader of the ring are.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.ring.progress()
    }

    /// How many bytes fit in the ring.
    #[must_use]
    pub fn ring_bytes(&self) -> u32 {
        self.ring.size()
    }

    /// How long all probes have run, and how often those at system calls did; counted only while [`aya::sys::enable_stats`] or the
    /// sysctl of the same meaning is in force.
    #[must_use]
    pub fn runs(&self) -> Runs {
        let calls = PROBES.iter().filter(|probe| probe.at_calls);
        let calls: Vec<&str> = calls.map(|probe| probe.name).collect();
        let programs = self.programs();
        let at_calls = |program: &&ProgramStats| calls.contains(&program.name.as_str());
        Runs {
            nanos: programs.iter().map(|program| program.nanos).sum(),
            at_calls: programs.iter().filter(at_calls).map(|p| p.runs).sum(),
        }
    }

    /// What was counted since the capture began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut probes = self.counters.sum();
        probes.ignored += self.reckoned.counted();
        Counters {
            programs: self.programs(),
            measured: stats::is_measured(),
            probes,
            ring: self.ring.size().into(),
            waited: self.ring.take_waited(),
        }
    }

    fn programs(&self) -> Vec<ProgramStats> {
        let mut programs = run_stats(&self.object);
        programs.extend(user::run_stats(&self.object));
        programs
    }

    /// What became of each probe.
    #[must_use]
    pub fn status(&self) -> &[ProbeStatus] {
        &self.status
    }
}
