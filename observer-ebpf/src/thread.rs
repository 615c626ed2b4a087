//! The current thread: who it is, whether it is watched, and what it is doing.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use observer_abi::control::{WATCH_CELLS, watch};

use crate::{
    config::setting,
    epoch,
    maps::{PENDING, THREADS, ThreadState, WATCH},
};

/// A thread of a watched process.
#[derive(Clone, Copy)]
pub struct Thread {
    /// Process id in the high half, thread id in the low half, as the helper gives them.
    pub pid_tgid: u64,
    /// Its process's cell.
    pub cell: u8,
}

impl Thread {
    /// The current thread, if its process is watched.
    #[inline(always)]
    pub fn watched() -> Option<Self> {
        let pid_tgid = bpf_get_current_pid_tgid();
        let cell = cell((pid_tgid >> 32) as u32);
        is_watched(cell).then_some(Self { pid_tgid, cell })
    }

    /// Its thread id.
    #[inline(always)]
    pub fn tid(self) -> u32 {
        self.pid_tgid as u32
    }

    /// Its element of `THREADS`, taken over if the previous owner is not in the middle of a call,
    /// and marked as doing nothing.
    #[inline(always)]
    pub fn claim(self) -> Option<&'static mut ThreadState> {
        let state = slot(self.tid())?;
        let epoch = epoch::now();
        let other = state.tid != self.tid();
        if other || state.epoch != epoch {
            if other && state.tid != 0 && state.bits & PENDING != 0 && state.epoch == epoch {
                return None;
            }
            if other {
                state.ring = 0;
            }
            state.tid = self.tid();
            state.epoch = epoch;
            state.waited = 0;
            state.left_out = 0;
            state.serves_left_out = 0;
        }
        if !self.of_generation(state) {
            state.ring = 0;
        }
        state.watch = self.cell;
        state.bits = 0;
        Some(state)
    }

    /// Its element of `THREADS`, if what that says is of this thread and of this time.
    #[inline(always)]
    pub fn known(self) -> Option<&'static mut ThreadState> {
        let state = slot(self.tid())?;
        let own = state.tid == self.tid() && state.epoch == epoch::now();
        (own && self.of_generation(state)).then_some(state)
    }

    /// Whether its process was not selected anew since `state` was written.
    #[inline(always)]
    fn of_generation(self, state: &ThreadState) -> bool {
        (state.watch ^ self.cell) & !watch::ASPECTS == 0
    }
}

/// The cell of process `tgid`; 0 if there is none.
#[inline(always)]
pub fn cell(tgid: u32) -> u8 {
    match cell_at(tgid) {
        // SAFETY: points into a map element that lives as long as the map.
        Some(cell) => unsafe { cell.read_volatile() },
        None => 0,
    }
}

/// Where the cell of process `tgid` lies.
#[inline(always)]
pub fn cell_at(tgid: u32) -> Option<*mut u8> {
    let line: *mut u8 = WATCH.get_ptr_mut(tgid / WATCH_CELLS)?.cast();
    // SAFETY: the remainder is below the number of cells in an element.
    Some(unsafe { line.add((tgid % WATCH_CELLS) as usize) })
}

/// Whether a process with this cell is watched.
#[inline(always)]
pub fn is_watched(cell: u8) -> bool {
    if setting!(all) != 0 {
        cell & watch::EXCLUDED == 0
    } else {
        cell & watch::WATCHED != 0
    }
}

/// The element of `THREADS` where thread `tid` belongs, whoever owns it now.
#[inline(always)]
pub fn slot(tid: u32) -> Option<&'static mut ThreadState> {
    let state = THREADS.get_ptr_mut(tid & setting!(thread_mask))?;
    // SAFETY: map elements live as long as the map; only the thread itself writes to its own.
    Some(unsafe { &mut *state })
}
