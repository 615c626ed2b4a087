//! The ring: waiting for records and handing them out.

use std::{
    io,
    mem::offset_of,
    os::fd::AsFd,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use observer_abi::{Header, control::Control};
use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    fd::OwnedFd,
};

use super::{CaptureError, shared::Shared};

/// How long a busy reader sleeps between two looks at the ring.
const NAP: Duration = Duration::from_millis(5);
/// In how many parts a full ring is read.
pub const PARTS: u32 = 16;
/// Naps without a record after which the reader sleeps until the first record wakes it.
const QUIET_NAPS: u32 = 20;

/// The reading end of the ring.
///
/// Waking the reader costs an observed thread some microseconds, so a busy reader is not woken: it
/// looks at the ring every [`NAP`], or when a quarter of it is full. Only a reader that has found
/// nothing for [`QUIET_NAPS`] naps asks to be woken by the first record.
pub struct Ring {
    ring: RingBuf<MapData>,
    control: Shared,
    epoll: OwnedFd,
    positions: Shared,
    size: u32,
    quiet: u32,
    /// The most bytes that waited at one look since that was last asked for.
    waited: AtomicU64,
}

/// How far the ring's writers and its reader are, bytes since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Written.
    pub written: u64,
    /// Of these, read.
    pub read: u64,
}

impl Progress {
    /// How much waits to be read.
    #[must_use]
    pub fn waiting(self) -> u64 {
        self.written.saturating_sub(self.read)
    }
}

impl Ring {
    /// Maps the ring.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::Map {
            name: "RING",
            source,
        };
        let other = |error| failed(io::Error::other::<aya::maps::MapError>(error));
        let map = object.take_map("RING");
        let map = map.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let size = match &map {
            aya::maps::Map::RingBuf(data) => data.info().map_err(other)?.max_entries(),
            _ => 0,
        };
        let ring = RingBuf::try_from(map).map_err(other)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        // Edge-triggered: a nap ends when a probe wakes the reader, not because there is a record.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, ring.as_fd(), epoll::EventData::new_u64(0), flags)
            .map_err(|e| failed(e.into()))?;
        Ok(Self {
            control: Shared::of(object, "CONTROL", size_of::<Control>())?,
            positions: Shared::positions(ring.as_fd()).map_err(failed)?,
            ring,
            epoll,
            size,
            quiet: 0,
            waited: AtomicU64::new(0),
        })
    }

    /// Waits until records may be there, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let waited = if self.quiet < QUIET_NAPS {
            self.wake_at(self.size / 4);
            let mut events = [const { std::mem::MaybeUninit::uninit() }; 1];
            epoll::wait(&self.epoll, &mut events, Some(&timespec(limit.min(NAP)))).map(|_| ())
        } else {
            self.wake_at(1);
            // Level-triggered: a record that came before the probes knew is noticed at once.
            let mut fds = [PollFd::new(&self.ring, PollFlags::IN)];
            poll(&mut fds, Some(&timespec(limit))).map(|_| ())
        };
        self.wake_at(0);
        match waited {
            Ok(()) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `record` with every record in the ring, in order; returns how many there were. Ends
    /// after one ring's worth of bytes, so that a flood can't keep it for ever.
    pub fn drain(&mut self, mut record: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        let mut counted = |raw: &[u8]| {
            count += 1;
            record(raw);
        };
        for _ in 0..PARTS {
            if !self.drain_part(&mut counted) {
                break;
            }
        }
        count
    }

    /// Calls `record` with [a part](PARTS) of what a full ring holds, in order. False if that was all that there is.
    pub fn drain_part(&mut self, mut record: impl FnMut(&[u8])) -> bool {
        let waiting = self.progress().waiting();
        self.waited.fetch_max(waiting, Relaxed);
        self.quiet = match waiting {
            0 => self.quiet.saturating_add(1),
            _ => 0,
        };
        let limit = (self.size / PARTS) as usize;
        let mut bytes = 0;
        while let Some(item) = self.ring.next() {
            bytes += item.len();
            if let Some(valid) = valid(&item) {
                record(valid);
            }
            drop(item);
            if bytes >= limit {
                return true;
            }
        }
        false
    }

    /// How many bytes fit in it.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let at = |offset| self.positions.long(offset).map_or(0, |at| at.load(SeqCst));
        // Read first: what is written meanwhile waits, and nothing that does not.
        let read = at(0);
        Progress {
            written: at(rustix::param::page_size()),
            read,
        }
    }

    /// The most bytes that waited at one look since the last call.
    pub fn take_waited(&self) -> u64 {
        self.waited.swap(0, Relaxed)
    }

    fn wake_at(&self, bytes: u32) {
        if let Some(word) = self.control.word(offset_of!(Control, wake_at)) {
            word.store(bytes, SeqCst);
        }
    }

    /// Has the probes believe nothing that they noted so far. None of those may run that notes anything.
    pub fn begin_epoch(&self) {
        if let Some(word) = self.control.word(offset_of!(Control, epoch)) {
            word.fetch_add(1, SeqCst);
        }
    }

    /// Has the probes leave out connections by their lots of this window: of 65 536, so many.
    pub fn leave_out(&self, share: u16, window: u16) {
        let sampling = match share {
            0 => 0,
            share => u32::from(window) << 16 | u32::from(share),
        };
        if let Some(word) = self.control.word(offset_of!(Control, sampling)) {
            word.store(sampling, SeqCst);
        }
    }
}

/// The valid part of a slot: its header says how long that is.
fn valid(slot: &[u8]) -> Option<&[u8]> {
    const LEN: usize = offset_of!(Header, len);
    let len = slot.get(LEN..)?.first_chunk()?;
    slot.get(..u32::from_ne_bytes(*len) as usize)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_cut_to_what_its_header_says() {
        let mut slot = [7u8; 64];
        slot[4..8].copy_from_slice(&40u32.to_ne_bytes());
        assert_eq!(valid(&slot).map(<[u8]>::len), Some(40));
        slot[4..8].copy_from_slice(&65u32.to_ne_bytes());
        assert_eq!(valid(&slot), None);
        assert_eq!(valid(&slot[..6]), None);
    }
}
