//! The command line: what was typed ([`args`]), what it means ([`plan`]), and how the program exits.

pub mod agent;
pub mod args;
pub mod budget;
pub mod cgroup;
pub mod check;
pub mod exit;
pub mod export;
pub mod pattern;
pub mod plan;
pub mod report;
pub mod size;

#[cfg(test)]
mod tests;
