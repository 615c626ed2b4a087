//! What asks a watch to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::facts::Proc;

/// A flag that Ctrl-C and SIGTERM raise. When one comes again, the program ends at once: the kernel
/// removes the probes of a process that has ended.
///
/// # Errors
///
/// If signals can't be handled.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the first signal finds the flag not yet raised.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())?;
        signal_hook::flag::register(signal, flag.clone())?;
    }
    Ok(flag)
}

/// As [`stop_flag`], for what is run at a terminal: the terminal's end raises it, too. A program that was started
/// with SIGHUP ignored (`nohup`) is to outlive its terminal, so there it stays ignored.
///
/// # Errors
///
/// If signals can't be handled.
pub fn stop_or_hangup_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = stop_flag()?;
    if !Proc::default().process(std::process::id()).ignores(SIGHUP) {
        // Not like the others when it comes again: the kernel and the shell both send it for one closed terminal.
        signal_hook::flag::register(SIGHUP, flag.clone())?;
    }
    Ok(flag)
}
