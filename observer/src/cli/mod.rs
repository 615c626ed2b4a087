//! The command line: what was typed ([`args`]), what it means (a plan, for each command or part of one beside its
//! arguments), and how the program exits.

pub mod agent;
pub mod args;
pub mod budget;
pub mod cgroup;
pub mod check;
pub mod error;
pub mod exit;
pub mod export;
pub mod pattern;
pub mod probes;
pub mod replay;
pub mod report;
pub mod select;
pub mod show;
pub mod size;
pub mod watch;

#[cfg(test)]
mod tests;
