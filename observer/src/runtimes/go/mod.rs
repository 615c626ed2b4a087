//! Goroutines: which one makes a system call, which one began it, and which one asks for what is
//! sent on a pooled connection.
//!
//! Everything that has to be known is read from the program itself: where fields lie, from its
//! descriptions of types ([`types`]); where functions lie, from its table of functions
//! ([`functions`]). Both are there in stripped programs, since Go's runtime needs them. So there is no
//! table of versions; a program in which something is not found has it reported as missing.

mod bytes;
mod channels;
mod functions;
mod module;
mod program;
mod registers;
mod sites;
mod types;

use observer_abi::{
    control::{LAYOUT_WORDS, Layout},
    go, runtime,
};
use observer_core::record::ExecutionKind;

use self::{
    functions::Functions,
    module::{Missing, Module},
    program::{Program, Range},
    types::Types,
};
use super::{Plan, Unavailable};
use crate::{facts::Process, kernel::UserProbe};

/// How the goroutines of a process are told apart.
///
/// # Errors
///
/// If its program can't be read, is older than Go 1.18, or is not laid out as Go's linker does.
pub fn plan(process: &Process) -> Result<Plan, Unavailable> {
    let program = Program::open(process)
        .ok_or_else(|| unavailable("its executable or its memory can't be read"))?;
    let module = Module::find(&program).map_err(|missing| match missing {
        Missing::Table => unavailable("its executable has no table of functions (.gopclntab)"),
        Missing::Version => unavailable("it was built by a version of Go before 1.18"),
        Missing::Module => unavailable("the description of its program was not found in memory"),
    })?;
    let types = Types::of(&program, &module)
        .ok_or_else(|| unavailable("the type runtime.g was not found in memory"))?;
    let mut words = [0; LAYOUT_WORDS];
    goroutine(&types, &mut words)
        .ok_or_else(|| unavailable("the type runtime.g has other fields than are known"))?;
    let functions = Functions::read(&program, &module)
        .ok_or_else(|| unavailable("its table of functions can't be read"))?;
    let code = Code {
        program: &program,
        types: &types,
        functions: &functions,
    };
    let mut probes = Vec::new();
    let mut missing = Vec::new();
    let sensors: [(&str, Sensor); 3] = [
        ("which goroutine begins another", branches),
        ("which goroutine asks on a pooled connection", takes),
        (
            "which goroutine hands work to another through a channel",
            channels::passes,
        ),
    ];
    for (told, sensor) in sensors {
        match sensor(&code, &mut words) {
            Ok(found) => probes.extend(found),
            Err(why) => missing.push(format!("{told}: {why}")),
        }
    }
    Ok(Plan {
        stepped: false,
        kind: ExecutionKind::Goroutine,
        layout: Layout {
            runtime: runtime::GO.into(),
            words,
        },
        probes,
        missing,
    })
}

/// A further sensor: fills in the words that it needs, and says where it belongs; or why it can't be had.
type Sensor = fn(&Code<'_>, &mut [u64; LAYOUT_WORDS]) -> Result<Vec<UserProbe>, String>;

/// A program with all that is known of it.
struct Code<'a> {
    program: &'a Program,
    types: &'a Types<'a>,
    functions: &'a Functions,
}

impl Code<'_> {
    fn function(&self, name: &str) -> Result<(Range, Vec<u8>), String> {
        let range = self
            .functions
            .find(name)
            .ok_or_else(|| format!("the program has no function {name}"))?;
        let code = self.program.file(range, sites::CODE_LIMIT);
        let code = code.ok_or_else(|| format!("the code of {name} can't be read"))?;
        Ok((range, code))
    }

    fn probe(&self, program: &'static str, address: u64) -> Result<UserProbe, String> {
        let offset = self.program.offset(address);
        Ok(UserProbe {
            program,
            file: self.program.path(),
            offset: offset.ok_or("the code is not mapped from the executable")?,
        })
    }
}

/// Where a goroutine keeps its identity.
fn goroutine(types: &Types<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Option<()> {
    let g = types.structure("runtime", "runtime.g")?;
    words[go::G] = registers::G;
    words[go::SP] = registers::SP;
    words[go::GOID] = g.offset("goid")?;
    words[go::PARENT] = g.offset("parentGoid").unwrap_or(0);
    words[go::M] = g.offset("m")?;
    words[go::CURG] = types.of_field(&g, "m")?.offset("curg")?;
    Some(())
}

/// The beginnings of goroutines: `runtime.newproc` hands each one to the scheduler in a closure.
fn branches(code: &Code<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Result<Vec<UserProbe>, String> {
    let (callee, _) = code.function("runtime.runqput")?;
    let (range, bytes) = code.function("runtime.newproc.func1")?;
    let call = sites::call(&bytes, range, callee.start)
        .ok_or("runtime.newproc.func1 calls runtime.runqput not once")?;
    words[go::BEGUN] = registers::ARGUMENTS[1];
    Ok(vec![code.probe("go_branch", call)?])
}

/// The exchanges of `net/http`'s client: it writes requests on goroutines of its connections.
fn takes(code: &Code<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Result<Vec<UserProbe>, String> {
    let (range, bytes) = code.function("net/http.(*persistConn).roundTrip")?;
    connections(code.types, words).ok_or("the types of its connections are not as known")?;
    words[go::RECEIVER] = registers::ARGUMENTS[0];
    let entry = sites::entry(&bytes, range);
    Ok(vec![code.probe("go_take", entry)?])
}

/// Where a connection of the client keeps its descriptor.
fn connections(types: &Types<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Option<()> {
    let pooled = types.structure("net/http", "http.persistConn")?;
    let tcp = types.structure("net", "net.TCPConn")?;
    let inner = types.of_field(&tcp, "conn")?;
    let socket = types.of_field(&inner, "fd")?;
    let descriptor = types.of_field(&socket, "pfd")?;
    words[go::CONN] = pooled.offset("conn")?;
    words[go::FD] = tcp.offset("conn")?.checked_add(inner.offset("fd")?)?;
    words[go::SYSFD] = socket
        .offset("pfd")?
        .checked_add(descriptor.offset("Sysfd")?)?;
    words[go::TCP] = types.pointer("net", "net.TCPConn")?;
    words[go::UNIX] = types.pointer("net", "net.UnixConn").unwrap_or(0);
    let tls = types.structure("crypto/tls", "tls.Conn");
    if let Some(at) = tls.and_then(|tls| tls.offset("conn")) {
        words[go::TLS] = types.pointer("crypto/tls", "tls.Conn").unwrap_or(0);
        words[go::TLS_CONN] = at;
    }
    Some(())
}

fn unavailable(why: &str) -> Unavailable {
    Unavailable(format!("goroutines can't be told apart: {why}"))
}
