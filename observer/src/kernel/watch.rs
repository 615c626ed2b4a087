//! Which processes are watched: one byte each, read by the probes at every system call.

use std::sync::atomic::Ordering::Relaxed;

use aya::Ebpf;
use observer_abi::control::{WATCH_CELLS, watch};
use observer_core::ids::Tgid;

use super::{CaptureError, shared::Shared};

/// Why a process can't be watched.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WatchError {
    /// It is this one.
    #[error("process {0} is the observer itself, which is never watched")]
    Own(Tgid),
    /// Its id is above the highest one when the capture was started.
    #[error("process id {0} is above the limit in force when the capture began: start it anew")]
    OutOfRange(Tgid),
}

/// The cells of all processes.
pub struct WatchTable {
    cells: Shared,
    own: Tgid,
}

impl WatchTable {
    /// Maps the table and excludes this process.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        let table = Self {
            cells: Shared::of(object, "WATCH", WATCH_CELLS as usize)?,
            own: Tgid(std::process::id()),
        };
        if let Some(cell) = table.cells.byte(table.own.0 as usize) {
            cell.store(watch::EXCLUDED, Relaxed);
        }
        Ok(table)
    }

    /// Has the calls of `process` reported, and those of the children that it will have.
    pub fn watch(&self, process: Tgid) -> Result<(), WatchError> {
        if process == self.own {
            return Err(WatchError::Own(process));
        }
        let cell = self.cells.byte(process.0 as usize);
        let cell = cell.ok_or(WatchError::OutOfRange(process))?;
        let of_it = watch::WATCHED | watch::EXCLUDED | watch::WAKES | watch::HEAP;
        let generation = cell.load(Relaxed) & !of_it;
        cell.store(
            generation.wrapping_add(watch::GENERATION) | watch::WATCHED,
            Relaxed,
        );
        Ok(())
    }

    /// Ends what [`watch`](Self::watch) began; children that are watched remain so.
    pub fn unwatch(&self, process: Tgid) {
        if process != self.own
            && let Some(cell) = self.cells.byte(process.0 as usize)
        {
            cell.fetch_and(!watch::WATCHED, Relaxed);
        }
    }

    /// Has the executions of `process` read, as its layout says that is in place already, or no longer.
    pub fn set_runtime(&self, process: Tgid, known: bool) {
        self.set(process, watch::RUNTIME, known);
    }

    /// Has it reported who wakes whom in `process`, until it runs another program; and where its threads make objects, if that can be
    /// read.
    pub fn follow_wakes(&self, process: Tgid) {
        self.set(process, watch::WAKES | watch::HEAP, true);
    }

    /// Has that reported no longer.
    pub fn leave_wakes(&self, process: Tgid) {
        self.set(process, watch::WAKES | watch::HEAP, false);
    }

    /// Has it reported where the threads of `process` make objects, or no longer.
    pub fn set_heap(&self, process: Tgid, known: bool) {
        self.set(process, watch::HEAP, known);
    }

    /// Has it reported when threads of `process` are kept and given to others, until it runs another program.
    pub fn keep_threads(&self, process: Tgid) {
        self.set(process, watch::KEEPS, true);
    }

    /// Sets or clears `aspects` of `process`.
    fn set(&self, process: Tgid, aspects: u8, on: bool) {
        let Some(cell) = self.cells.byte(process.0 as usize) else {
            return;
        };
        if on {
            cell.fetch_or(aspects, Relaxed);
        } else {
            cell.fetch_and(!aspects, Relaxed);
        }
    }

    /// Whether `process` is watched.
    pub fn is_watched(&self, process: Tgid) -> bool {
        let cell = self.cells.byte(process.0 as usize);
        cell.is_some_and(|cell| cell.load(Relaxed) & watch::WATCHED != 0)
    }
}
