//! Tasks of the project.
//!
//! `cargo xtask build-ebpf` builds the probes and puts the object beside the crate that embeds it;
//! `cargo xtask verify-ebpf` builds them elsewhere and fails unless the bytes are the same.

mod ebpf;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

tasks:
  build-ebpf    build the kernel probes and replace the committed object
  verify-ebpf   build the kernel probes elsewhere and compare with the committed object
";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let result = match task.as_deref() {
        Some("build-ebpf") => ebpf::build(),
        Some("verify-ebpf") => ebpf::verify(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
