//! What `/proc` tells about processes and files: names of services, runtimes, paths of logs.
//!
//! All of it is read on first sight of a process or file and handed to the pipeline as an input, so
//! that a recording holds it. Everything read is bounded: `/proc` shows what processes wrote there.

pub mod container;
mod image;
mod proc;
mod published;
mod resource;
mod runtime;
mod service;
mod tracker;
mod workers;

use std::collections::BTreeSet;

use observer_core::facts::{FileFacts, ProcessFacts, Runtime};
use observer_core::ids::{FileId, Tgid};
use observer_core::text::printable;
pub use proc::{Proc, Process};
pub use tracker::Tracker;

/// What `/proc/PID/fd` says of an `io_uring` (`io_uring/io_uring.c`: `anon_inode_create_getfile`).
const RING: &str = "anon_inode:[io_uring]";
/// The longest service name, in characters.
const NAME_LIMIT: usize = 80;

/// Knows more of processes than `/proc` tells.
pub trait Enrich {
    /// Adds to what is known of a process; `declared` if it names its service itself.
    fn enrich(&self, process: &Process, declared: bool, facts: &mut ProcessFacts);

    /// Grows when something else may be known by now.
    fn version(&self) -> u64;
}

/// What is known about a process. A process that has ended meanwhile is named by its number.
#[must_use]
pub fn process(proc: &Proc, tgid: Tgid) -> ProcessFacts {
    enriched(proc, tgid, None)
}

/// The same, with what `more` knows.
#[must_use]
pub fn enriched(proc: &Proc, tgid: Tgid, more: Option<&dyn Enrich>) -> ProcessFacts {
    let process = proc.process(tgid.0);
    let exe = process.exe();
    let runtime = runtime::detect(&process, exe.as_deref());
    let declared = resource::declared(&process);
    let service = service::name(&process, exe.as_deref(), runtime, &declared)
        .unwrap_or_else(|| format!("pid-{tgid}"));
    let mut facts = ProcessFacts {
        tgid,
        service,
        runtime,
        resource: resource::attributes(&process, exe.as_deref(), declared.all()),
        executions: None,
        ring: ring(&process, runtime),
        events: runtime::handles_events_singly(exe.as_deref()),
        workers: BTreeSet::new(),
    };
    if let Some(more) = more {
        more.enrich(
            &process,
            service::is_declared(&process, &declared),
            &mut facts,
        );
    }
    facts.service = printable(&facts.service).chars().take(NAME_LIMIT).collect();
    facts
}

/// Whether a process may drive sockets through an `io_uring`: it has one. Its sockets need not be among its
/// descriptors, as a ring may have a table of its own.
#[must_use]
pub fn ring(process: &Process, runtime: Option<Runtime>) -> bool {
    process.descriptors().any(|descriptor| descriptor == RING) && drives_sockets(process, runtime)
}

/// Whether a process that has an `io_uring` may use it for sockets. libuv has rings for files and to change what it
/// waits for (`uv__iou`): in Node, and in Python where uvloop is loaded.
fn drives_sockets(process: &Process, runtime: Option<Runtime>) -> bool {
    match runtime {
        Some(Runtime::Node) => false,
        Some(Runtime::Python) => {
            let mut mapped = process.mappings();
            !mapped.any(|line| line.contains("/uvloop/loop."))
        }
        _ => true,
    }
}

/// What is known about the file behind a descriptor of a process, if it is one with a path.
#[must_use]
pub fn file(proc: &Proc, tgid: Tgid, fd: i32, file: FileId) -> Option<FileFacts> {
    let path = proc.process(tgid.0).descriptor(fd)?;
    path.starts_with('/').then_some(FileFacts {
        file,
        path,
        stream: None,
    })
}

/// Whether a pipe is standard output or error of a process that writes to it by another number: through a
/// duplicate, as PHP does, which may be closed already.
#[must_use]
pub fn stream(proc: &Proc, tgid: Tgid, inode: u64, file: FileId) -> Option<FileFacts> {
    let process = proc.process(tgid.0);
    let path = format!("pipe:[{inode}]");
    let stream = [2, 1]
        .into_iter()
        .find(|&stream| process.descriptor(stream.into()).as_ref() == Some(&path))?;
    Some(FileFacts {
        file,
        path,
        stream: Some(stream),
    })
}

#[cfg(test)]
mod tests;
