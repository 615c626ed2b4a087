//! The kernel edge: loads the probes, tells them what to watch, and hands out their records.
//!
//! ```text
//! select ──► Capture ──► records (bytes, observer_abi)
//!              ▲ ▼
//!       feedback   counters, status
//! ```
//!
//! Everything is synchronous: one thread owns the [`Capture`], calls [`wait`](Capture::wait) and
//! [`drain`](Capture::drain) in turn, and gives feedback in between. Nothing is pinned: when the
//! `Capture` is dropped, or its process dies, programs and maps are gone.

mod arch;
mod attach;
mod btf;
mod capture;
mod config;
mod error;
mod feedback;
pub(crate) mod host;
mod object;
mod offsets;
mod patch;
mod pause;
pub mod pinned;
mod reckoned;
mod refused;
mod ring;
mod runtimes;
mod select;
mod shared;
mod spawn;
mod stats;
#[cfg(target_arch = "x86_64")]
mod toll;
pub mod trial;
mod types;
mod user;
mod watch;

pub use attach::{Place, ProbeState, ProbeStatus, told};
pub use btf::BtfError;
pub use capture::Capture;
pub use config::CaptureConfig;
pub use error::CaptureError;
pub use offsets::OffsetError;
pub use ring::Progress;
pub use runtimes::Calls;
pub use select::{SelectError, Selector, processes};
pub use spawn::{SpawnError, Spawned};
pub use stats::{Counters, ProgramStats, Runs};
pub use types::{TypeSource, TypesError, UnfitError};
pub use user::{UserLink, UserProbe};
pub use watch::WatchError;
