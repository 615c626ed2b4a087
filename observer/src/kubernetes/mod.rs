//! Names from the Kubernetes API: pods of this node, and who is behind an address.
//!
//! ```text
//! client (a thread of its own) ──► Directory ◄── facts, selection, peers
//! ```
//!
//! Nothing waits for the API: what it has not told yet is not known, and told again when it is.

mod client;
mod directory;
mod names;
mod pod;

#[cfg(test)]
mod tests;

pub use client::{Settings, StartError, start};
pub use directory::{At, Directory, Peer};
pub use names::Naming;
pub use pod::{Owner, Pod};
