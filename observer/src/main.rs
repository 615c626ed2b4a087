//! The program.
mod cli;
mod facts;
mod sink;
fn main() {}
