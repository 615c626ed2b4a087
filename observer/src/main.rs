//! The program.
mod cli;
mod facts;
fn main() {}
