//! What threads do beside moving bytes: they begin, wait, wake, end, and run executions.

use observer_abi as abi;

use super::{STEP, Socket, World};

impl World {
    /// A thread waits for something (`abi::waited`), to be told with its next record.
    pub fn wait(&mut self, tid: u32, waited: u8) {
        *self.waited.entry(tid).or_default() |= waited;
    }

    /// What runs on a thread from now on: kind (`abi::runtime`) and identity.
    pub fn run(&mut self, tid: u32, runtime: u8, execution: u64) {
        self.running.insert(tid, (runtime, execution));
    }

    /// An execution has another one run again.
    pub fn nudge(&mut self, tgid: u32, tid: u32, runtime: u8, waker: u64, woken: u64) {
        let len = size_of::<abi::Nudge>();
        let header = self.header(abi::kind::NUDGE, 0, tgid, tid, len);
        let record = abi::Nudge {
            header,
            woken,
            waker,
            runtime,
            again: 0,
            reserved: [0; 6],
        };
        self.push(&record);
    }

    /// A thread, and what runs on it, gives an executor work, or takes work from it (`abi::item`).
    pub fn item(&mut self, tgid: u32, tid: u32, how: u8, item: u64) {
        self.put(tgid, tid, how, abi::content::WORK, item);
    }

    /// A thread, and what runs on it, logs something into a queue, or takes it from there (`abi::item`).
    pub fn record(&mut self, tgid: u32, tid: u32, how: u8, item: u64) {
        self.put(tgid, tid, how, abi::content::RECORD, item);
    }

    /// A turn of an event loop gives a message to another one, or is about one that it takes (`abi::item`).
    pub fn message(&mut self, tgid: u32, tid: u32, how: u8, message: u64) {
        self.put(tgid, tid, how, abi::content::MESSAGE, message);
    }

    /// The turn that runs on a thread ends; it read so often from sockets.
    pub fn turn(&mut self, tgid: u32, tid: u32, root: u64, newest: u64, reads: u32) {
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Turn {
            header: self.header(abi::kind::TURN, 0, tgid, tid, size_of::<abi::Turn>()),
            execution,
            root,
            newest,
            reads,
            runtime,
            reserved: [0; 3],
        };
        self.push(&record);
    }

    fn put(&mut self, tgid: u32, tid: u32, how: u8, what: u8, item: u64) {
        let header = self.header(abi::kind::ITEM, 0, tgid, tid, size_of::<abi::Item>());
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Item {
            header,
            item,
            execution,
            origin: 0,
            runtime,
            how,
            what,
            reserved: [0; 5],
        };
        self.push(&record);
    }

    /// What the runtime keeps of a thread that does something next: told with the time of that.
    pub fn heap(&mut self, tgid: u32, tid: u32, heap: abi::Heap) {
        let header = self.header(abi::kind::HEAP, 0, tgid, tid, size_of::<abi::Heap>());
        self.rewind();
        let record = abi::Heap { header, ..heap };
        self.push(&record);
    }

    /// A value passes between goroutines (`abi::passed`).
    pub fn passed(&mut self, tgid: u32, tid: u32, passed: abi::Passed) {
        let len = size_of::<abi::Passed>();
        let record = abi::Passed {
            header: self.header(abi::kind::PASSED, 0, tgid, tid, len),
            runtime: abi::runtime::GO,
            ..passed
        };
        self.push(&record);
    }

    /// An execution begins another one.
    pub fn branch(&mut self, tgid: u32, tid: u32, runtime: u8, parent: u64, child: u64) {
        let len = size_of::<abi::Branch>();
        let header = self.header(abi::kind::BRANCH, 0, tgid, tid, len);
        let record = abi::Branch {
            header,
            child,
            parent,
            runtime,
            reserved: [0; 7],
        };
        self.push(&record);
    }

    /// What runs on a thread takes a connection for its next exchange.
    pub fn take(&mut self, tid: u32, socket: Socket) {
        let len = size_of::<abi::Take>();
        let header = self.header(abi::kind::TAKE, 0, socket.tgid, tid, len);
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Take {
            header,
            file: socket.file,
            execution,
            origin: 0,
            fd: 7,
            runtime,
            how: abi::take::CLIENT,
            reserved: 0,
        };
        self.push(&record);
    }

    /// A thread, or what runs on it, takes a connection (`abi::take`).
    pub fn touch(&mut self, tid: u32, socket: Socket, how: u8) {
        let flags = if socket.nonblocking {
            abi::data_flag::NONBLOCK
        } else {
            0
        };
        let len = size_of::<abi::Take>();
        let header = self.header(abi::kind::TAKE, flags, socket.tgid, tid, len);
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Take {
            header,
            file: socket.file,
            execution,
            fd: 7,
            runtime,
            how,
            ..abi::Take::default()
        };
        self.push(&record);
    }

    fn task(&mut self, kind: u8, tgid: u32, tid: u32, subject: u32) {
        let header = self.header(kind, 0, tgid, tid, size_of::<abi::Task>());
        let record = abi::Task {
            header,
            tgid,
            tid: subject,
            comm: [0; 16],
        };
        self.push(&record);
    }

    /// A thread, or the virtual thread that runs on it, starts another.
    pub fn spawn(&mut self, tgid: u32, parent: u32, child: u32) {
        let (runtime, execution) = self.running.get(&parent).copied().unwrap_or_default();
        if runtime != abi::runtime::JAVA {
            return self.task(abi::kind::SPAWN, tgid, parent, child);
        }
        let len = size_of::<abi::Started>();
        let record = abi::Started {
            task: abi::Task {
                header: self.header(abi::kind::SPAWN, 0, tgid, parent, len),
                tgid,
                tid: child,
                comm: [0; 16],
            },
            execution,
            runtime,
            reserved: [0; 7],
        };
        self.push(&record);
    }

    /// A thread begins a process.
    pub fn fork(&mut self, tgid: u32, parent: u32, child: u32) {
        let header = self.header(abi::kind::FORK, 0, tgid, parent, size_of::<abi::Task>());
        let record = abi::Task {
            header,
            tgid: child,
            tid: child,
            comm: [0; 16],
        };
        self.push(&record);
    }

    /// A thread ends.
    pub fn exit(&mut self, tgid: u32, tid: u32) {
        self.task(abi::kind::EXIT, tgid, tid, tid);
    }

    /// What ran in a thread ends, and its runtime keeps the thread.
    pub fn park(&mut self, tgid: u32, tid: u32) {
        self.task(abi::kind::PARK, tgid, tid, tid);
    }

    /// A thread gives one that was kept something to run: `child`, or 0 if it is not known which.
    pub fn reuse(&mut self, tgid: u32, tid: u32, child: u32) {
        self.task(abi::kind::REUSE, tgid, tid, child);
    }

    /// A thread that has waited at `word` since `since` is woken by another one, now.
    pub fn woke(&mut self, tgid: u32, tid: u32, waker: u32, word: u64, since: u64) {
        let woken = self.now + STEP;
        self.now = woken;
        let header = self.header(abi::kind::WOKE, 0, tgid, tid, size_of::<abi::Woke>());
        let record = abi::Woke {
            header,
            word,
            since,
            woken,
            waker,
            reserved: 0,
        };
        self.push(&record);
    }
}
