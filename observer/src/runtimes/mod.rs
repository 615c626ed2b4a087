//! How the executions of a process can be told apart: goroutines, contexts of asyncio tasks, tasks of tokio.
//!
//! Each runtime has a file of its own. It looks at the executable and the memory of a process and says
//! what the probes are to read there ([`Layout`]) and where further probes belong ([`UserProbe`]);
//! or why nothing can be had. What it finds is checked before it is used: a wrong address must
//! show up here, or in the probe as something that can't be read, never as an execution.

mod exports;
mod followed;
mod follower;
mod go;
#[cfg(target_arch = "x86_64")]
mod haproxy;
pub mod image;
mod java;
pub mod memory;
#[cfg(target_arch = "x86_64")]
mod node;
mod pools;
mod published;
mod python;
mod stirs;
mod tls;
#[cfg(target_arch = "x86_64")]
mod tokio;
pub mod windows;

use std::time::Duration;

use observer_abi::{control::Layout, runtime};
use observer_core::facts::Runtime;
use observer_core::ids::Tgid;
use observer_core::record::ExecutionKind;

use crate::facts::Process;
use crate::kernel::{Capture, UserProbe};
pub use follower::Follower;

/// How the executions of one process are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What they are.
    pub kind: ExecutionKind,
    /// What the probes at system calls read.
    pub layout: Layout,
    /// Further probes. One that can't be put in place makes only its evidence unavailable.
    pub probes: Vec<UserProbe>,
    /// What can't be had of this process beside that, and why.
    pub missing: Vec<String>,
    /// A probe goes to an instruction that the kernel steps over, which takes a second exception.
    pub stepped: bool,
}

/// Why executions can't be told apart, in plain words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// How the executions of a process are told apart; `None` if it has none but threads (yet).
#[must_use]
pub fn plan(process: &Process, runtime: Runtime) -> Option<Result<Plan, Unavailable>> {
    plan_again(process, runtime, None)
}

/// The same where it was planned as in `before` last.
fn plan_again(
    process: &Process,
    runtime: Runtime,
    before: Option<&Plan>,
) -> Option<Result<Plan, Unavailable>> {
    match runtime {
        Runtime::Go => Some(go::plan(process)),
        Runtime::Python => Some(python::plan(process, before)),
        #[cfg(target_arch = "x86_64")]
        Runtime::Node => Some(node::plan(process)),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Node => Some(Err(Unavailable(
            "turns of Node's event loop are found on x86-64 only".to_owned(),
        ))),
        #[cfg(target_arch = "x86_64")]
        Runtime::Rust => tokio::plan(process),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Rust => None,
        Runtime::Java => java::plan(process),
        #[cfg(target_arch = "x86_64")]
        Runtime::Proxy => haproxy::plan(process),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Proxy => None,
        Runtime::Ruby | Runtime::Php | Runtime::Dotnet | Runtime::Native => None,
    }
}

/// Has it read where the threads of a process that runs on Java make objects, and name their tasks, if it is not yet and
/// that can be had. What is read before the first request is what shows who makes its tasks.
fn read_heap(capture: &mut Capture, process: &Process, runtime: Runtime) {
    let tgid = Tgid(process.pid);
    if runtime == Runtime::Java
        && !capture.has_heap(tgid)
        && let Ok(layout) = java::heap(process)
    {
        capture.set_heap(tgid, &layout);
    }
}

/// What is read of a process that has no executions but threads, and whose threads publish the traces that they work in.
fn published(process: &Process) -> Option<Plan> {
    Some(Plan {
        kind: ExecutionKind::Published,
        layout: published::layout(process)?,
        probes: Vec::new(),
        missing: Vec::new(),
        stepped: false,
    })
}

/// What is read of such a process if another observer of the host tells in which traces its threads work.
fn pinned() -> Plan {
    Plan {
        kind: ExecutionKind::Pinned,
        layout: Layout {
            runtime: runtime::PINNED.into(),
            ..Layout::default()
        },
        probes: Vec::new(),
        missing: Vec::new(),
        stepped: false,
    }
}

/// How long until a process is looked at again that was looked at so often, if it is: for what it loads
/// later, or executions that it begins to use.
fn pause(
    runtime: Runtime,
    planned: Option<&Result<Plan, Unavailable>>,
    looks: usize,
) -> Option<Duration> {
    let pause = match planned {
        // A service may use its first virtual thread at any time.
        None if runtime == Runtime::Java => PAUSES.get(looks).or(PAUSES.last()),
        // Libraries that publish are loaded by the service, later on.
        None => PUBLISHING.get(looks),
        Some(Ok(plan)) if runtime == Runtime::Python => {
            // A service may give its first work to a pool, or log its first line through a queue, at any time.
            let last = (!python::is_whole(plan)).then_some(PAUSES.last()).flatten();
            PAUSES.get(looks).or(last)
        }
        Some(Err(_)) if !is_linked_in(runtime) => PAUSES.get(looks),
        Some(_) => None,
    };
    pause.copied()
}

/// Whether all that a plan rests on is in the executable, so that looking again finds nothing else.
fn is_linked_in(runtime: Runtime) -> bool {
    matches!(runtime, Runtime::Rust | Runtime::Proxy)
}

/// Pauses after which a process is looked at again whose plan could not be made, or may change: programs
/// load their runtimes and modules while they start.
const PAUSES: [Duration; 10] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
    Duration::from_millis(1_500),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// Pauses after which a process that publishes nothing is looked at again.
const PUBLISHING: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(9),
    Duration::from_secs(50),
];
