//! The test bed: real services whose every call and log line is known, load for them, and a scorer
//! that compares what the observer said with what happened.
//!
//! Each request has a *truth id* in its URL. Services repeat it in the URLs that they call and the
//! lines that they log, so that the scorer knows for which request each was done. The observer sees
//! the same bytes but has no notion of such an id: it must come to the same answer without it.

pub mod agent;
pub mod app;
pub mod bench;
pub mod cluster;
pub mod container;
pub mod deploy;
pub mod dns;
pub mod driver;
pub mod fleet;
pub mod hosts;
pub mod http;
pub mod image;
pub mod nginx;
pub mod observer;
pub mod otlp;
pub mod plan;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod run;
pub mod score;
pub mod server;
pub mod skip;
pub mod uring;
pub mod workload;
