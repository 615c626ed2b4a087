//! CPython: the context (`contextvars`) that runs on each thread. asyncio runs every task in a context of its
//! own, and so does gevent every greenlet.
//!
//! What the probes read hangs from `_PyRuntime`: the main interpreter, its threads, and the context of
//! each. Where in their structures these are is found out in [`offsets`], and tried in the process by
//! [`walk`] before it is used.

mod entry;
mod offsets;
mod queue;
mod walk;

use observer_abi::{control::Layout, python as word, runtime};
use observer_core::record::ExecutionKind;

use self::offsets::{Offsets, Version};
use super::image::{self, Image, Mapped};
use super::memory::Memory;
use super::{Plan, Unavailable};
use crate::facts::Process;
use crate::kernel::UserProbe;

/// Offset of `tp_dealloc` in a `PyTypeObject` (`Include/cpython/object.h`, the same from 3.0 on).
const TP_DEALLOC: u64 = 48;

/// How the contexts of `process` are told apart.
///
/// # Errors
///
/// Why they can't be. That may be because the process has only just begun.
pub fn plan(process: &Process) -> Result<Plan, Unavailable> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(because("Python's threads are recognised on x86-64 only"));
    }
    let files = image::mapped(process);
    let interpreter = Interpreter::find(process, &files)?;
    let memory = Memory::of(process)
        .map_err(|error| Unavailable(format!("its memory can't be read: {error}")))?;
    let version = interpreter.version(process, &memory, &files)?;
    let offsets = Offsets::of(version, &memory, interpreter.runtime)?;
    let offsets = walk::tried(&memory, &interpreter, &offsets)?;
    let mut layout = Layout {
        runtime: runtime::PYTHON.into(),
        ..Layout::default()
    };
    layout.words[word::INTERPRETER] = interpreter.runtime + offsets.interpreter;
    layout.words[word::THREADS] = offsets.threads;
    layout.words[word::NEXT] = offsets.next;
    layout.words[word::THREAD_ID] = offsets.thread_id;
    layout.words[word::CONTEXT] = offsets.context;
    layout.words[word::TYPE] = interpreter.context_type;
    if greenlets(&files) {
        layout.words[word::FLAGS] |= word::GREENLETS;
    }
    if version.has_thread_contexts() {
        layout.words[word::FLAGS] |= word::THREAD_CONTEXTS;
    }
    let mut probes = interpreter.probes(process, &memory)?;
    let mut missing = Vec::new();
    match executors(process, &memory, &interpreter, &files) {
        Ok(more) => probes.extend(more),
        Err(why) => missing.push(format!("for whom pools of threads work: {why}")),
    }
    Ok(Plan {
        stepped: false,
        kind: ExecutionKind::PythonContext,
        layout,
        probes,
        missing,
    })
}

fn because(reason: &str) -> Unavailable {
    Unavailable(reason.to_owned())
}

/// Probes where work is given to the threads of an executor and where they take it; none if the module that has
/// their queues is not there (yet).
fn executors(
    process: &Process,
    memory: &Memory,
    interpreter: &Interpreter,
    files: &[Mapped],
) -> Result<Vec<UserProbe>, Unavailable> {
    let library = files.iter().find(|file| file.name().starts_with("_queue."));
    let file = library.unwrap_or(&interpreter.file);
    let (image, [module]) = Image::read(process, file, ["PyInit__queue"])
        .map_err(|error| Unavailable(format!("{}: {error}", file.path)))?;
    if module.is_none() {
        return Ok(Vec::new());
    }
    let functions = queue::find(&image, memory)
        .ok_or_else(|| because("where its queues are used can't be told"))?;
    // First whatever takes: what is given unseen is given by nobody, what is taken unseen would be taken for the work before.
    let [nowait, get] = functions.takes.map(|take| ("python_taken", take));
    let places = [nowait, get, ("python_given", functions.gives)];
    let probe = |(program, address): (&'static str, u64)| {
        Some(UserProbe {
            program,
            file: file.file(process),
            offset: image.offset(entry::own(&image, address))?,
        })
    };
    let probes: Option<Vec<_>> = places.into_iter().map(probe).collect();
    probes.ok_or_else(|| because("its queues are not in their module"))
}

/// Whether the process has loaded gevent. Whoever else uses greenlets does so inside a task.
fn greenlets(files: &[Mapped]) -> bool {
    files.iter().any(|file| file.name().starts_with("_gevent_"))
}

/// The interpreter that a process has mapped.
#[derive(Debug)]
struct Interpreter {
    /// The file that holds it.
    file: Mapped,
    /// Address of `_PyRuntime`.
    runtime: u64,
    /// Address of `PyContext_Type`.
    context_type: u64,
    /// Address of `Py_Version`, from 3.11 on.
    version: Option<u64>,
    /// `PyContext_CopyCurrent`, which copies the running context.
    copy: u64,
    image: Image,
}

impl Interpreter {
    /// Looks in the libraries that are named so, then in the executable.
    fn find(process: &Process, files: &[Mapped]) -> Result<Self, Unavailable> {
        if files.is_empty() {
            return Err(because("its memory can't be looked into, or it has ended"));
        }
        if files.iter().any(|file| file.name().contains("pypy")) {
            return Err(because("PyPy's contexts can't be read, only CPython's"));
        }
        let exe = process.exe();
        let library = files
            .iter()
            .find(|file| file.name().starts_with("libpython3."));
        let program = files.iter().find(|file| Some(&file.path) == exe.as_ref());
        let mut why = because("no CPython 3 is mapped (yet)");
        for file in [library, program].into_iter().flatten() {
            match Self::within(process, file) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn within(process: &Process, file: &Mapped) -> Result<Option<Self>, Unavailable> {
        let names = [
            "_PyRuntime",
            "PyContext_Type",
            "PyContext_CopyCurrent",
            "Py_Version",
        ];
        let (image, [runtime, context_type, copy, version]) = Image::read(process, file, names)
            .map_err(|error| Unavailable(format!("{}: {error}", file.path)))?;
        let (Some(runtime), Some(context_type), Some(copy)) = (runtime, context_type, copy) else {
            return Ok(None);
        };
        Ok(Some(Self {
            file: file.clone(),
            runtime,
            context_type,
            version,
            copy,
            image,
        }))
    }

    /// Probes where contexts are copied and where they end.
    fn probes(&self, process: &Process, memory: &Memory) -> Result<Vec<UserProbe>, Unavailable> {
        let end = memory.word(self.context_type.wrapping_add(TP_DEALLOC));
        let places = [("python_ended", end), ("python_copied", Some(self.copy))];
        let probe = |(program, address): (&'static str, Option<u64>)| {
            let address = entry::of(&self.image, address?);
            Some(UserProbe {
                program,
                file: self.file.file(process),
                offset: self.image.offset(address)?,
            })
        };
        let probes: Option<Vec<_>> = places.into_iter().map(probe).collect();
        probes.ok_or_else(|| because("where contexts begin and end can't be told"))
    }

    /// Its version: as it says itself from 3.11 on, before that as files are named.
    fn version(
        &self,
        process: &Process,
        memory: &Memory,
        files: &[Mapped],
    ) -> Result<Version, Unavailable> {
        if let Some(address) = self.version {
            let hex: Option<[u8; 4]> = memory.bytes(address);
            let hex = hex.map(u32::from_ne_bytes).filter(|hex| *hex != 0);
            return hex
                .map(Version::from_hex)
                .ok_or_else(|| because("the version of Python can't be read"));
        }
        let named = [Some(self.file.path.clone()), process.exe()];
        named
            .into_iter()
            .flatten()
            .chain(files.iter().map(|file| file.path.clone()))
            .find_map(|path| Version::from_path(&path))
            .ok_or_else(|| because("which version of Python it is can't be told"))
    }
}
