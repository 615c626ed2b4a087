//! What userspace wants of single descriptions, told to the probes.

use std::{mem::offset_of, sync::atomic::Ordering::SeqCst};

use aya::Ebpf;
use observer_abi::control::{Policy, policy_slot};
use observer_core::{engine::Feedback, ids::FileId, record::Direction};

use super::{CaptureError, shared::Shared};

/// The wishes in force. Probes on other CPUs may miss one for a moment, and a later wish about another
/// description may displace it: then more is captured than was wished.
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
            Feedback::Wakes(_) | Feedback::NoTasks(_) | Feedback::Channels(_) => {}
            Feedback::Ignore(file) => self.set(file, offset_of!(Policy, ignore), 1),
            Feedback::SkipUntil {
                file,
                direction,
                pos,
            } => {
                let index = match direction {
                    Direction::Read => 0,
                    Direction::Write => 1,
                };
                let field = offset_of!(Policy, skip_until) + index * size_of::<u64>();
                self.set(file, field, pos);
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
