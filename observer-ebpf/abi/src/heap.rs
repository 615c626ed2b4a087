//! What the words of a [`Layout`](super::control::Layout) in the `HEAPS` map mean: where threads of HotSpot, the Java virtual
//! machine of OpenJDK, make objects, and where those of pools keep their tasks.
//!
//! The words of [`java`](super::java) up to [`PTHREAD`](super::java::PTHREAD), and [`OBJECT`](super::java::OBJECT), mean
//! the same here.

/// Word: offset of `_stack_base` in a `JavaThread`: the upper end of its stack.
pub const STACK: usize = 5;
/// Word: offset in a `JavaThread` of its buffer's beginning (`Thread::_tlab`, `ThreadLocalAllocBuffer::_start`).
pub const START: usize = 7;
/// Word: the same of `ThreadLocalAllocBuffer::_top`.
pub const TOP: usize = 8;
/// Word: the same of `ThreadLocalAllocBuffer::_end`.
pub const END: usize = 9;
/// Word: address of `CollectedHeap::_total_collections`, 32 bits wide.
pub const COLLECTIONS: usize = 10;
/// Word: where the heap begins.
pub const LOW: usize = 11;
/// Word: where it ends.
pub const HIGH: usize = 12;
/// Word: where the machine's code begins, compiled and generated; 0 if that is not known.
pub const CODE_LOW: usize = 13;
/// Word: where it ends.
pub const CODE_HIGH: usize = 14;
/// Word: offset in a `Thread` of what it was started to run (`Thread.target`, until Java 18); 0 if that is not known.
pub const TARGET: usize = 15;
/// Word: how that is written: 0 in full, else in 32 bits that are to be shifted to the left by one less than this.
pub const NARROW: usize = 16;
/// Word: the class `CompletableFuture$UniCompletion`, whose objects are what is to be done when a future is complete; 0 if that is
/// not known, and then the words from here on are 0.
pub const DEPENDENT: usize = 17;
/// Word: offset in a class of its superclass at the depth of [`DEPENDENT`] (`Klass::_primary_supers`).
pub const SUPER: usize = 18;
/// Words: classes among these whose objects are not cleared when they have run (`UniCompose`, `UniComposeExceptionally`); 0 for one that is not loaded.
pub const COMPOSE: usize = 19;
/// Word: see [`COMPOSE`].
pub const RECOMPOSE: usize = 20;
/// Word: where classes begin, in objects: these name theirs by its distance from there, shifted to the right.
pub const CLASSES: usize = 21;
/// Word: by how much.
pub const CLASS_SHIFT: usize = 22;
/// Word: offset in a dependent of `ForkJoinTask.status`, whose lower 16 bits are 1 once somebody has taken it upon himself to run it.
pub const STATUS: usize = 23;
/// Word: offset in it of the future that it completes, which is cleared once it has run (`dep`).
pub const DEP: usize = 24;
/// Word: offset in it of the future on which it depends (`src`), cleared likewise.
pub const SRC: usize = 25;
/// Word: offset in a `JavaThread` of where its frames of Java begin while it runs other code (`_anchor`, `_last_Java_sp`).
pub const FRAMES: usize = 26;

/// What the words of an element of the `COMPILED` map mean: what a frame of a compiled version of
/// `ThreadPoolExecutor.runWorker` keeps where, while the call returns to the address that is, after the process's id, the key.
///
/// Slots are offsets in bytes from the stack pointer that the frame has outside of calls, or [`SAVED`](frame::SAVED).
pub mod frame {
    /// Words of an element.
    pub const WORDS: usize = 8;
    /// Word: where the version's header names its method (`nmethod::_method`).
    pub const METHOD_AT: usize = 0;
    /// Word: what must stand there.
    pub const METHOD: usize = 1;
    /// Word: where it keeps its number (`nmethod::_compile_id`), 32 bits wide.
    pub const ID_AT: usize = 2;
    /// Word: what must stand there.
    pub const ID: usize = 3;
    /// Word: size of a frame with the address that it returns to itself, bytes; 0 if the call is none of a task, or it is not
    /// known where that is kept.
    pub const BYTES: usize = 4;
    /// Word: slot of the worker.
    pub const WORKER: usize = 5;
    /// Word: slot of its thread.
    pub const THREAD: usize = 6;
    /// Word: slot of its task.
    pub const TASK: usize = 7;

    /// The slot in which what is called saves `rbp`: right below the address to which it returns.
    pub const SAVED: u64 = u64::MAX;
}
