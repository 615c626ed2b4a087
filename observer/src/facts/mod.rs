//! What `/proc` tells about processes and files: names of services, runtimes, paths of logs.
//!
//! All of it is read on first sight of a process or file and handed to the pipeline as an input, so
//! that a recording holds it. Everything read is bounded: `/proc` shows what processes wrote there.

mod image;
mod proc;
mod resource;
mod runtime;
mod service;
mod tracker;

use observer_core::facts::{FileFacts, ProcessFacts, Runtime};
use observer_core::ids::{FileId, Tgid};
use observer_core::text::printable;
pub use proc::{Proc, Process};
pub use tracker::Tracker;

/// What `/proc/PID/fd` says of an `io_uring` (`io_uring/io_uring.c`: `anon_inode_create_getfile`).
const RING: &str = "anon_inode:[io_uring]";
/// The longest service name, in characters.
const NAME_LIMIT: usize = 80;

/// What is known about a process. A process that has ended meanwhile is named by its number.
#[must_use]
pub fn process(proc: &Proc, tgid: Tgid) -> ProcessFacts {
    let process = proc.process(tgid.0);
    let exe = process.exe();
    let runtime = runtime::detect(&process, exe.as_deref());
    let service =
        service::name(&process, exe.as_deref(), runtime).unwrap_or_else(|| format!("pid-{tgid}"));
    ProcessFacts {
        tgid,
        service: printable(&service).chars().take(NAME_LIMIT).collect(),
        runtime,
        resource: resource::attributes(&process, exe.as_deref()),
        executions: None,
        ring: ring(&process, runtime),
    }
}

/// Whether a process may drive sockets through an `io_uring`: it has one, and sockets. Node has rings too, for
/// files and to change what it waits for (libuv's `uv__iou`), never for sockets.
fn ring(process: &Process, runtime: Option<Runtime>) -> bool {
    if runtime == Some(Runtime::Node) {
        return false;
    }
    let (mut ring, mut socket) = (false, false);
    for descriptor in process.descriptors() {
        ring |= descriptor == RING;
        socket |= descriptor.starts_with("socket:[");
        if ring && socket {
            return true;
        }
    }
    false
}

/// What is known about the file behind a descriptor of a process, if it is one with a path.
#[must_use]
pub fn file(proc: &Proc, tgid: Tgid, fd: i32, file: FileId) -> Option<FileFacts> {
    let path = proc.process(tgid.0).descriptor(fd)?;
    path.starts_with('/').then_some(FileFacts { file, path })
}

#[cfg(test)]
mod tests;
