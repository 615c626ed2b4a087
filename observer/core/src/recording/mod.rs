//! Recordings: the inputs of a live session, kept so that they can be fed again.
//!
//! # Layout
//!
//! All integers of the layout are little-endian; records keep the byte order of the machine that
//! made them.
//!
//! ```text
//! magic   8 bytes   89 'O' 'B' 'S' 'R' 'V' 0d 0a
//! version u16       FORMAT_VERSION
//! block*            len: u32, crc: u32 (CRC-32 of the len bytes that follow), frames
//! frame             tag: u8, len: u32, body
//! ```
//!
//! | tag | body |
//! |---|---|
//! | 0 | [`Startup`], JSON; the first frame |
//! | 1 | a record as the kernel wrote it |
//! | 2 | [`ProcessFacts`](crate::facts::ProcessFacts), JSON |
//! | 3 | [`FileFacts`](crate::facts::FileFacts), JSON |
//! | 4 | a tick: `now: u64`, `lost: u64` |
//! | 5 | [`PeerFacts`](crate::facts::PeerFacts), JSON; from version 2 |
//! | 6 | the share of connections that is observed: `keep: u32`; from version 2 |
//! | 7 | system calls are not observed: `since: u64`; from version 3 |
//! | 8 | they are again: `until: u64`, `every: u32`; from version 3 |
//! | 9 | system calls where only a share of connections is observed: `place: u16`, `counted: u64`, `expected: u64`; from version 4 |
//! | 255 | the end; a recording without it was cut short |
//!
//! Frames of a tag that this version does not know are refused, so a new one needs a new version.

mod read;
mod scrub;
mod write;

pub use read::{ReadError, Reader};
use serde::{Deserialize, Serialize};
pub use write::Writer;

use crate::judged::ClockAnchor;

/// Version of the layout.
pub const FORMAT_VERSION: u16 = 4;

/// First bytes of every recording. Not UTF-8, and damaged by anything that converts line ends.
pub const MAGIC: [u8; 8] = *b"\x89OBSRV\r\n";

/// A block is written when its frames have grown to this many bytes.
const BLOCK: usize = 256 * 1024;

/// The longest block that is read, bytes: [`BLOCK`] and the longest frame fit many times.
const MAX_BLOCK: usize = 4 * 1024 * 1024;

/// Bytes before a frame's body.
const FRAME_HEAD: usize = 5;

mod tag {
    pub const STARTUP: u8 = 0;
    pub const RECORD: u8 = 1;
    pub const PROCESS: u8 = 2;
    pub const FILE: u8 = 3;
    pub const TICK: u8 = 4;
    pub const PEER: u8 = 5;
    pub const SAMPLING: u8 = 6;
    pub const PAUSE: u8 = 7;
    pub const RESUME: u8 = 8;
    pub const RECKONED: u8 = 9;
    pub const END: u8 = 255;
}

/// Byte order of the machine that made the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// That of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "little") {
        Self::Little
    } else {
        Self::Big
    };
}

/// A probe and how it fared when capturing began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeState {
    /// Name of the probe.
    pub name: String,
    /// `ok`, `unsupported` or `broken`.
    pub state: String,
    /// What the kernel said, when not `ok`.
    pub detail: Option<String>,
}

/// Under which conditions a recording was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Startup {
    /// `observer_abi::ABI_VERSION` of the records.
    pub abi: u8,
    /// Byte order of the records.
    pub byte_order: ByteOrder,
    /// Release of the kernel, `uname -r`.
    pub kernel: String,
    /// Machine, `uname -m`.
    pub machine: String,
    /// Version of the program that recorded.
    pub program: String,
    /// Ties record times to the wall clock.
    pub anchor: ClockAnchor,
    /// What was selected to be watched, in words.
    pub selection: Vec<String>,
    /// Limits in force while recording, by name.
    pub limits: std::collections::BTreeMap<String, u64>,
    /// The probes.
    pub probes: Vec<ProbeState>,
}

#[cfg(test)]
mod tests;
