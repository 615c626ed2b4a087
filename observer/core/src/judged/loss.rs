//! What was not seen.

use serde::{Deserialize, Serialize};

use super::WallTime;
use crate::ids::Tgid;
use crate::text::Text;

/// What kind of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// The kernel had no room for records.
    Records,
    /// Bytes of a stream were lost or cut where a message needed them.
    Bytes,
    /// A bound of the observer's memory was reached and its oldest state dropped.
    Evicted,
    /// Bytes from the kernel or a recording were not a valid record.
    Invalid,
}

/// Something that was not seen, how much of it, and whom it touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What.
    pub what: LossKind,
    /// How many.
    pub count: u64,
    /// When it began at the earliest.
    pub since: WallTime,
    /// When it had happened at the latest.
    pub until: WallTime,
    /// Process that it touches; absent when any may be.
    pub pid: Option<Tgid>,
    /// Service that it touches; absent when any may be.
    pub service: Option<Text>,
}
