//! Newtypes for identities, so that a thread id can't be passed for a process id.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identity! {
    /// A process: the kernel's thread group id, in the initial pid namespace.
    Tgid(u32)
}
identity! {
    /// A thread: the kernel's `pid`, in the initial pid namespace.
    Tid(u32)
}
identity! {
    /// An open file description, unique while the observer runs (`observer_abi::Data::file`).
    FileId(u64)
}
identity! {
    /// An exchange or log line, numbered by the engine in the order in which it was first seen.
    Seq(u64)
}

/// What names an exchange wherever it is seen: at both ends of its connection, by every observer, in
/// every replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity(pub u128);

/// A point in time: nanoseconds of the machine's `CLOCK_MONOTONIC`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct KernelNanos(pub u64);

impl KernelNanos {
    /// Nanoseconds since `earlier`; 0 if that lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time, `nanos` later.
    #[must_use]
    pub fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}
