//! Starting a command that is watched from its first instruction.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, ChildStdin, Command, ExitStatus},
    thread,
};

use observer_core::ids::Tgid;
use rustix::{
    event::{PollFd, PollFlags, poll},
    pipe::{PipeFlags, pipe_with},
};

use super::{Capture, WatchError};

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program can't be executed.
    #[error("{program} can't be started: {source}")]
    Start {
        /// The program, as it was given.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// A command that was started and is watched.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
}

impl Spawned {
    /// Starts `command`, which executes its program only once `capture` watches it.
    ///
    /// # Errors
    ///
    /// If the program can't be executed or watched; nothing is left running then.
    pub fn start(mut command: Command, capture: &Capture) -> Result<Self, SpawnError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| SpawnError::Start {
            program: program.clone(),
            source,
        };
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()));
        let (pid_out, pid_in) = pipe()?;
        let (gate_out, gate_in) = pipe()?;
        let hold = move || {
            rustix::io::write(&pid_in, &std::process::id().to_ne_bytes())?;
            held(&gate_out)
        };
        // SAFETY: between fork and exec, `hold` makes system calls only: it takes no lock and
        // allocates nothing.
        unsafe { command.pre_exec(hold) };
        // `Command::spawn` returns once the program is executed, so another thread must open the gate.
        let starting = thread::spawn(move || command.spawn());
        let watched = release(pid_out.into(), gate_in.into(), capture);
        let child = starting
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")));
        watched?;
        let child = child.map_err(failed)?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn tgid(&self) -> Tgid {
        Tgid(self.child.id())
    }

    /// The writing end of its standard input, if the command was given a pipe for it; once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// If the kernel can't tell.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it ends.
    ///
    /// # Errors
    ///
    /// If the kernel can't tell.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Asks it to end, with `SIGTERM`.
    ///
    /// # Errors
    ///
    /// If the signal can't be sent; a command that has ended already is no error.
    pub fn terminate(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        Ok(rustix::process::kill_process(
            pid,
            rustix::process::Signal::TERM,
        )?)
    }
}

/// In the child: waits for a byte in the gate, and takes the end of the gate for the end of the
/// observer. The byte is not read: by now the child is watched, and that would be its first record.
fn held(gate: &impl AsFd) -> io::Result<()> {
    let mut fds = [PollFd::new(gate, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Ok(_) if fds[0].revents().contains(PollFlags::IN) => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Learns the child's id, has it watched, and lets it go. When no child could be made, or it can't
/// be watched, the gate is closed unopened.
fn release(
    mut pid: std::fs::File,
    mut gate: std::fs::File,
    capture: &Capture,
) -> Result<(), WatchError> {
    let mut id = [0; 4];
    if pid.read_exact(&mut id).is_err() {
        // The starting thread says why.
        return Ok(());
    }
    capture.watch(Tgid(u32::from_ne_bytes(id)))?;
    // Fails if the child has died meanwhile, which the starting thread tells.
    let _ = gate.write_all(&[1]);
    Ok(())
}
