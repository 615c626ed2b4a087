//! Java: the virtual thread that runs on each thread, of HotSpot from Java 24 on.
//!
//! The machine exports a description of its structures ([`structs`]), by which its list of threads is found, and
//! in each the number of what runs on it. Where the threads' own numbers lie is found out from
//! their objects ([`threads`]), and checked at each reading.
//!
//! Before Java 24 what runs on a thread is known to the machine only as an object, which collectors move.

mod classes;
mod dependents;
mod fields;
mod heap;
mod pools;
mod scopes;
mod structs;
mod threads;
mod versions;

use observer_abi::{control::Layout, java as word, runtime};
use observer_core::record::ExecutionKind;

pub use self::heap::layout as heap;
pub use self::pools::Pools;
use self::structs::{Field, Structs};
use self::threads::Machine;
use super::image;
use super::memory::Memory;
use super::{Plan, Unavailable};
use crate::facts::Process;

/// How the virtual threads of `process` are told apart; `None` while it has none.
///
/// # Errors
///
/// Why they can't be. That may be because the process has only just begun.
pub fn plan(process: &Process) -> Option<Result<Plan, Unavailable>> {
    match Signs::of(process) {
        Signs::None => None,
        Signs::Carriers => found(process).ok().map(Ok),
        Signs::Certain => Some(found(process)),
    }
}

/// Whether the names of its threads show that `process` may use virtual threads.
pub fn may_carry(process: &Process) -> bool {
    Signs::of(process) != Signs::None
}

/// Threads that the machine starts for its virtual threads, and for those alone (`java.lang.VirtualThread`,
/// `sun.nio.ch.Poller`), as the kernel cuts their names.
const HELPERS: [&str; 4] = [
    "VirtualThread-u",
    "Read-Poller",
    "Write-Poller",
    "MasterPoller",
];

/// How the names of the threads begin that virtual threads run on; those of other pools do as well.
const CARRIER: &str = "ForkJoinPool-";

/// What the names of a process's threads say about virtual threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Signs {
    /// It uses none.
    None,
    /// It may use some.
    Carriers,
    /// It uses some.
    Certain,
}

impl Signs {
    fn of(process: &Process) -> Self {
        let all = process.thread_names().map(|name| Self::in_name(&name));
        all.max().unwrap_or(Self::None)
    }

    fn in_name(name: &str) -> Self {
        if HELPERS.contains(&name) {
            Self::Certain
        } else if name.starts_with(CARRIER) {
            Self::Carriers
        } else {
            Self::None
        }
    }
}

fn because(reason: &str) -> Unavailable {
    Unavailable(reason.to_owned())
}

fn unlike() -> Unavailable {
    because("this Java virtual machine describes its threads in another way")
}

/// What `read` finds in the memory of a Java virtual machine by the structures that it describes.
fn described<T>(
    process: &Process,
    read: impl FnOnce(&Structs<'_>, &Memory) -> Result<T, Unavailable>,
) -> Result<T, Unavailable> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(because("Java's threads are recognised on x86-64 only"));
    }
    let files = image::mapped(process);
    let library = files
        .iter()
        .find(|file| file.name() == "libjvm.so")
        .ok_or_else(|| because("no Java virtual machine that is a HotSpot is mapped"))?;
    let memory = Memory::of(process)
        .map_err(|error| Unavailable(format!("its memory can't be read: {error}")))?;
    read(&Structs::of(process, library, &memory)?, &memory)
}

fn found(process: &Process) -> Result<Plan, Unavailable> {
    let (machine, objects) = described(process, |structs, memory| {
        let machine = machine(structs)?;
        let objects = machine.objects(memory);
        let hidden = || because("its threads do not show (yet) where they keep their numbers");
        Ok((machine, objects.ok_or_else(hidden)?))
    })?;
    let mut layout = Layout {
        runtime: runtime::JAVA.into(),
        ..Layout::default()
    };
    layout.words[word::LIST] = machine.list;
    layout.words[word::LENGTH] = machine.length;
    layout.words[word::THREADS] = machine.threads;
    layout.words[word::OSTHREAD] = machine.osthread;
    layout.words[word::PTHREAD] = machine.pthread;
    layout.words[word::OWNER] = machine.owner;
    layout.words[word::OBJECT] = machine.object;
    layout.words[word::EETOP] = objects.eetop;
    layout.words[word::TID] = objects.tid;
    layout.words[word::FLAGS] = objects.flags;
    Ok(Plan {
        stepped: false,
        kind: ExecutionKind::VirtualThread,
        layout,
        probes: Vec::new(),
        missing: Vec::new(),
    })
}

fn machine(structs: &Structs<'_>) -> Result<Machine, Unavailable> {
    let [list, length, threads, osthread, pthread, object, owner] = structs.fields([
        ("ThreadsSMRSupport", "_java_thread_list"),
        ("ThreadsList", "_length"),
        ("ThreadsList", "_threads"),
        ("Thread", "_osthread"),
        ("OSThread", "_pthread_id"),
        ("JavaThread", "_threadObj"),
        ("JavaThread", "_monitor_owner_id"),
    ]);
    let owner = owner.ok_or_else(|| because("virtual threads are told apart from Java 24 on"))?;
    let fields = [list, length, threads, osthread, pthread, object];
    let [list, length, threads, osthread, pthread, object] = all(fields).ok_or_else(unlike)?;
    let offsets = [length, threads, osthread, pthread, object, owner];
    if !list.is_static || offsets.iter().any(|field| field.is_static) {
        return Err(unlike());
    }
    Ok(Machine {
        list: list.at,
        length: length.at,
        threads: threads.at,
        osthread: osthread.at,
        pthread: pthread.at,
        owner: owner.at,
        object: object.at,
    })
}

fn all<const N: usize>(fields: [Option<Field>; N]) -> Option<[Field; N]> {
    let present: Vec<Field> = fields.into_iter().flatten().collect();
    present.try_into().ok()
}

fn number(memory: &Memory, at: u64) -> Option<u32> {
    memory.bytes(at).map(u32::from_ne_bytes)
}

fn short(memory: &Memory, at: u64) -> Option<u16> {
    memory.bytes(at).map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_threads_show_virtual_threads() {
        let all = |names: &[&str]| names.iter().map(|name| Signs::in_name(name)).max();
        assert_eq!(all(&["java", "HTTP-Dispatcher"]), Some(Signs::None));
        assert_eq!(all(&["ForkJoinPool.co", "java"]), Some(Signs::None));
        assert_eq!(all(&["java", "ForkJoinPool-1-"]), Some(Signs::Carriers));
        let both = ["VirtualThread-u", "ForkJoinPool-1-"];
        assert_eq!(all(&both), Some(Signs::Certain));
    }
}
