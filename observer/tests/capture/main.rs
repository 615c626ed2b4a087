//! Live tests of the kernel edge: workloads that make known system calls, and what the probes say.
//!
//! They need the privileges to load BPF programs, and are skipped by name without them, unless
//! `OBSERVER_REQUIRE_BPF` is set.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a workload that can't do its part fails its test"
)]

mod calls;
mod cleanup;
mod closes;
#[path = "../common/mod.rs"]
mod common;
mod identity;
mod kept;
mod kinds;
mod loss;
mod policy;
mod sampling;
mod secrets;
mod support;
mod takes;
mod tasks;
mod wakes;
mod writes;
