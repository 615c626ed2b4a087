//! What userspace wants of single descriptions, told to the probes.

use std::{mem::offset_of, sync::atomic::Ordering::SeqCst};

use aya::Ebpf;
use observer_abi::control::{Policy, policy_slot};
use observer_core::{ids::FileId, record::Direction};

use super::{CaptureError, shared::Shared};

/// A wish about one open file description. Probes on other CPUs may miss it for a moment, and a
/// later wish about another description may displace it: then more is captured than was wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Report nothing more of it but that it is closed.
    Ignore(FileId),
    /// Capture no payload of bytes before position `until`, and a whole turn from there.
    SkipUntil {
        /// The description.
        file: FileId,
        /// Which of its directions.
        direction: Direction,
        /// Position, counted as in `observer_abi::Data::pos`.
        until: u64,
    },
}

/// The wishes in force.
pub struct PolicyTable {
    slots: Shared,
    bits: u32,
}

impl PolicyTable {
    /// Maps the table, which has `1 << bits` elements.
    pub fn open(object: &mut Ebpf, bits: u32) -> Result<Self, CaptureError> {
        let slots = Shared::of(object, "POLICY", size_of::<Policy>())?;
        Ok(Self { slots, bits })
    }

    /// Makes `feedback` known to the probes.
    pub fn apply(&self, feedback: Feedback) {
        match feedback {
            Feedback::Ignore(file) => self.set(file, offset_of!(Policy, ignore), 1),
            Feedback::SkipUntil {
                file,
                direction,
                until,
            } => {
                let index = match direction {
                    Direction::Read => 0,
                    Direction::Write => 1,
                };
                let field = offset_of!(Policy, skip_until) + index * size_of::<u64>();
                self.set(file, field, until);
            }
        }
    }

    /// Sets one field of the policy of `file`, taking the slot over if another description has it.
    fn set(&self, file: FileId, field: usize, value: u64) {
        let slot = policy_slot(file.0, self.bits) as usize * size_of::<Policy>();
        let store = |field: usize, value| {
            if let Some(long) = self.slots.long(slot + field) {
                long.store(value, SeqCst);
            }
        };
        let owner = self.slots.long(slot + offset_of!(Policy, file));
        if owner.is_none_or(|owner| owner.load(SeqCst) != file.0) {
            // The probes look at the identity before and after the other fields.
            store(offset_of!(Policy, file), 0);
            store(offset_of!(Policy, skip_until), 0);
            store(offset_of!(Policy, skip_until) + size_of::<u64>(), 0);
            store(offset_of!(Policy, ignore), 0);
        }
        store(field, value);
        store(offset_of!(Policy, file), file.0);
    }
}
