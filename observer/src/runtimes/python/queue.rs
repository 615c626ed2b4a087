//! Where things are put into queues and taken out of them.

use super::super::{image::Image, memory::Memory};
use super::methods::{self, Call};

/// The functions that put something into a queue and take it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions<const N: usize> {
    /// What takes.
    pub takes: [u64; N],
    /// What gives.
    pub gives: [u64; N],
}

/// `_queue.SimpleQueue`: `ThreadPoolExecutor` gives its work to its threads so. `get_nowait` and `get`, `put_nowait` and `put`, called so
/// from 3.7 to 3.15 (`Modules/_queuemodule.c`); `None` if they are not there, or called in another way.
pub fn simple(image: &Image, memory: &Memory) -> Option<Functions<2>> {
    let wanted = [
        ("get_nowait", Call::Any),
        ("get", Call::Any),
        ("put_nowait", Call::Fast),
        ("put", Call::Fast),
    ];
    let [get_nowait, get, put_nowait, put] = methods::find(image, memory, wanted)?;
    Some(Functions {
        takes: [get_nowait, get],
        gives: [put_nowait, put],
    })
}

/// `collections.deque`, in which `queue.Queue` keeps what is put into it: `popleft` and `append`, called so from 3.5 to 3.15
/// (`Modules/_collectionsmodule.c`).
pub fn deque(image: &Image, memory: &Memory) -> Option<Functions<1>> {
    let wanted = [
        ("popleft", Call::NoArguments),
        ("append", Call::One),
        ("appendleft", Call::One),
    ];
    let [popleft, append, _] = methods::find(image, memory, wanted)?;
    Some(Functions {
        takes: [popleft],
        gives: [append],
    })
}
