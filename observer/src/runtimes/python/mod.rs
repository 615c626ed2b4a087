//! CPython: the context (`contextvars`) that runs on each thread. asyncio runs every task in a context of its
//! own; under gevent it is the greenlet that counts.
//!
//! What the probes read hangs from `_PyRuntime`: the main interpreter, its threads, and the context of
//! each. Where in their structures these are is found out in [`offsets`], and tried in the process by
//! [`walk`] before it is used.

mod entry;
mod frames;
mod greenlets;
mod methods;
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

/// How the contexts of `process` are told apart; `before` is how that was planned last, whose probes for queues stay.
///
/// # Errors
///
/// Why they can't be. That may be because the process has only just begun.
pub fn plan(process: &Process, before: Option<&Plan>) -> Result<Plan, Unavailable> {
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
    if version.has_thread_contexts() {
        layout.words[word::FLAGS] |= word::THREAD_CONTEXTS;
    }
    let mut probes = interpreter.probes(process, &memory)?;
    let mut missing = Vec::new();
    let found = Found {
        process,
        memory: &memory,
        interpreter: &interpreter,
        files: &files,
    };
    let mut kind = ExecutionKind::PythonContext;
    if runs_greenlets(&files) {
        layout.words[word::FLAGS] |= word::GREENLETS;
        match found.greenlets(&offsets) {
            Ok(greenlets) => {
                layout.words[word::GREENLET_TYPE] = greenlets.kind;
                layout.words[word::GREENLET_MODULE] = greenlets.module;
                layout.words[word::GREENLET_STATE] = greenlets.state;
                kind = ExecutionKind::Greenlet;
                probes.extend(greenlets.probes);
            }
            Err(why) => missing.push(format!("which greenlet began another: {why}")),
        }
    }
    match kept(before, [TAKEN, GIVEN]).map_or_else(|| found.executors(), Ok) {
        Ok(more) => probes.extend(more),
        Err(why) => missing.push(format!("for whom pools of threads work: {why}")),
    }
    let listener = || match frames::listens(&memory, &interpreter, &offsets) {
        true => found.deque(),
        false => Ok(Vec::new()),
    };
    match kept(before, [POPPED, APPENDED]).map_or_else(listener, Ok) {
        Ok(more) => probes.extend(more),
        Err(why) => missing.push(format!("for whom what is logged through a queue is: {why}")),
    }
    Ok(Plan {
        stepped: false,
        kind,
        layout,
        probes,
        missing,
    })
}

fn because(reason: &str) -> Unavailable {
    Unavailable(reason.to_owned())
}

/// Programs of the probes where something is put into a queue or taken out of it.
const TAKEN: &str = "python_taken";
const GIVEN: &str = "python_given";
const POPPED: &str = "python_popped";
const APPENDED: &str = "python_appended";

/// Whether `plan` has everything that may come later: what pools work for, and listeners of loggers. Both are looked
/// for again until they are there.
pub fn is_whole(plan: &Plan) -> bool {
    [GIVEN, APPENDED].iter().all(|program| {
        let mut probes = plan.probes.iter();
        probes.any(|probe| probe.program == *program)
    })
}

/// The probes of `plan` with these programs, if it has any.
fn kept(plan: Option<&Plan>, programs: [&str; 2]) -> Option<Vec<UserProbe>> {
    let probes = plan?.probes.iter();
    let kept: Vec<_> = probes
        .filter(|probe| programs.contains(&probe.program))
        .cloned()
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// What was found of a process.
struct Found<'a> {
    process: &'a Process,
    memory: &'a Memory,
    interpreter: &'a Interpreter,
    files: &'a [Mapped],
}

impl Found<'_> {
    /// Probes where work is given to the threads of an executor and where they take it; none if the module that has
    /// their queues is not there (yet).
    fn executors(&self) -> Result<Vec<UserProbe>, Unavailable> {
        let (file, image, module) = self.module("_queue.", "PyInit__queue")?;
        if module.is_none() {
            return Ok(Vec::new());
        }
        let functions = queue::simple(&image, self.memory)
            .ok_or_else(|| because("where its queues are used can't be told"))?;
        self.around(
            file,
            &image,
            (TAKEN, functions.takes),
            (GIVEN, functions.gives),
        )
    }

    /// Probes where something is put into any `collections.deque` and taken out of it. Event loops do that all the time: they are
    /// for processes alone in which somebody waits for log records so.
    fn deque(&self) -> Result<Vec<UserProbe>, Unavailable> {
        let (file, image, _) = self.module("_collections.", "PyInit__collections")?;
        let functions = queue::deque(&image, self.memory)
            .ok_or_else(|| because("where its queues are used can't be told"))?;
        self.around(
            file,
            &image,
            (POPPED, functions.takes),
            (APPENDED, functions.gives),
        )
    }

    /// The library that is called so, or the interpreter; read, and where it exports `symbol`.
    fn module(
        &self,
        library: &str,
        symbol: &str,
    ) -> Result<(&Mapped, Image, Option<u64>), Unavailable> {
        let mut files = self.files.iter();
        let library = files.find(|file| file.name().starts_with(library));
        let file = library.unwrap_or(&self.interpreter.file);
        let (image, [symbol]) = Image::read(self.process, file, [symbol])
            .map_err(|error| Unavailable(format!("{}: {error}", file.path)))?;
        Ok((file, image, symbol))
    }

    /// Probes at these functions of a file. First whatever takes: what is given unseen is given by nobody, what is taken unseen would be
    /// taken for what came before.
    fn around<const N: usize>(
        &self,
        file: &Mapped,
        image: &Image,
        (taken, takes): (&'static str, [u64; N]),
        (given, gives): (&'static str, [u64; N]),
    ) -> Result<Vec<UserProbe>, Unavailable> {
        let takes = takes.map(|address| (taken, address));
        let gives = gives.map(|address| (given, address));
        let probe = |(program, address): (&'static str, u64)| {
            Some(UserProbe {
                program,
                file: file.file(self.process),
                offset: image.offset(entry::own(image, address))?,
            })
        };
        let probes: Option<Vec<_>> = takes.into_iter().chain(gives).map(probe).collect();
        probes.ok_or_else(|| because("its queues are not in their module"))
    }
}

/// Whether the process has loaded gevent. Whoever else uses greenlets does so inside a task.
fn runs_greenlets(files: &[Mapped]) -> bool {
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
