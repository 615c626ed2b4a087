//! The far end of an export: a real collector that writes what it gets to files, and one that
//! answers whatever a test wants.

mod collector;
mod fake;

pub use collector::{Collector, Log, Span};
pub use fake::{Answer, Fake};
