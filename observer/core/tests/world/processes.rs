//! What is known of processes, and of their files.

use observer_core::facts::{ExecutionKind, Executions, FileFacts, ProcessFacts, Runtime};
use observer_core::ids::{FileId, Tgid, Tid};

use super::{Fed, Socket, World};

/// Executions of that kind are read, or not for now.
fn known(kind: ExecutionKind, paused: bool) -> Option<Executions> {
    Some(Executions::Known {
        kind,
        missing: Vec::new(),
        paused,
    })
}

impl World {
    pub fn process(&mut self, tgid: u32, service: &str) {
        self.learn(ProcessFacts::named(Tgid(tgid), service));
    }

    /// What tells of a process's goroutines is not looked at for now.
    pub fn paused(&mut self, tgid: u32) {
        self.learn(ProcessFacts {
            executions: known(ExecutionKind::Goroutine, true),
            ..ProcessFacts::named(Tgid(tgid), "shop")
        });
    }

    /// A process is found to have a ring and sockets.
    pub fn has_ring(&mut self, tgid: u32) {
        self.learn(ProcessFacts {
            ring: true,
            ..ProcessFacts::named(Tgid(tgid), "shop")
        });
    }

    /// What a process runs on.
    pub fn runs_on(&mut self, tgid: u32, runtime: Runtime) {
        self.has_workers(tgid, runtime, &[]);
    }

    /// What a process runs on, and which of its threads are workers by their names.
    pub fn has_workers(&mut self, tgid: u32, runtime: Runtime, workers: &[u32]) {
        self.learn(ProcessFacts {
            runtime: Some(runtime),
            workers: workers.iter().copied().map(Tid).collect(),
            ..ProcessFacts::named(Tgid(tgid), "shop")
        });
    }

    /// A process is found to have virtual threads, which are told apart from now on.
    pub fn carries(&mut self, tgid: u32) {
        self.learn(ProcessFacts {
            runtime: Some(Runtime::Java),
            executions: known(ExecutionKind::VirtualThread, false),
            ..ProcessFacts::named(Tgid(tgid), "shop")
        });
    }

    /// A process is a proxy whose events are of one connection each.
    pub fn handles_events(&mut self, tgid: u32) {
        self.learn(ProcessFacts {
            runtime: Some(Runtime::Proxy),
            events: true,
            ..ProcessFacts::named(Tgid(tgid), "proxy")
        });
    }

    /// A process is a HAProxy whose streams are told apart.
    pub fn has_streams(&mut self, tgid: u32) {
        self.learn(ProcessFacts {
            runtime: Some(Runtime::Proxy),
            executions: known(ExecutionKind::HaproxyStream, false),
            ..ProcessFacts::named(Tgid(tgid), "proxy")
        });
    }

    fn learn(&mut self, facts: ProcessFacts) {
        self.inputs.push(Fed::Process(facts));
    }

    /// A pipe is a standard stream of the process that writes to it.
    pub fn stream(&mut self, pipe: Socket, stream: u8) {
        self.inputs.push(Fed::File(FileFacts {
            file: FileId(pipe.file),
            path: format!("pipe:[{}]", pipe.file),
            stream: Some(stream),
        }));
    }
}
