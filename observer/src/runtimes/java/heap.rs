//! Where the threads of a Java virtual machine make objects, and where those of its pools name their tasks
//! ([`observer_abi::heap`]). What is not described, or not the way in which it is read here, is not read.

use observer_abi::{control::Layout, heap as word, java, runtime};

use super::super::memory::Memory;
use super::structs::Structs;
use super::{Unavailable, all, because, dependents, described, fields, unlike};
use crate::facts::Process;

/// How the names of threads begin that collect while the program runs on and moves objects, outside of what is counted as a
/// collection (ZGC, Shenandoah).
const CONCURRENT: [&str; 4] = ["ZDriver", "ZDirector", "ZWorker", "Shenandoah"];

/// Heaps are at most so large, bytes.
const LARGEST: u64 = 1 << 46;

/// Where `process` keeps what is read.
///
/// # Errors
///
/// Why that is not known.
pub fn layout(process: &Process) -> Result<Layout, Unavailable> {
    if process.thread_names().any(|name| is_concurrent(&name)) {
        return Err(because("its collector moves objects at any time"));
    }
    described(process, |structs, memory| {
        read(structs, memory).ok_or_else(unlike)
    })
}

fn is_concurrent(name: &str) -> bool {
    CONCURRENT.iter().any(|prefix| name.starts_with(prefix))
}

fn read(structs: &Structs<'_>, memory: &Memory) -> Option<Layout> {
    let described = structs.fields([
        ("ThreadsSMRSupport", "_java_thread_list"),
        ("Universe", "_collectedHeap"),
        ("ThreadsList", "_length"),
        ("ThreadsList", "_threads"),
        ("OSThread", "_pthread_id"),
        ("JavaThread", "_threadObj"),
        ("JavaThread", "_stack_base"),
        ("Thread", "_tlab"),
        ("ThreadLocalAllocBuffer", "_start"),
        ("ThreadLocalAllocBuffer", "_top"),
        ("ThreadLocalAllocBuffer", "_end"),
        ("CollectedHeap", "_total_collections"),
        ("CollectedHeap", "_reserved"),
        ("MemRegion", "_start"),
        ("MemRegion", "_word_size"),
    ]);
    // Java 17 describes it as a field of Java's threads, later ones as one of all.
    let [of_all, of_javas, code_low, code_high] = structs.fields([
        ("Thread", "_osthread"),
        ("JavaThread", "_osthread"),
        ("CodeCache", "_low_bound"),
        ("CodeCache", "_high_bound"),
    ]);
    let osthread = of_all.or(of_javas)?;
    // Without that, tasks of compiled code are not found.
    let code = [code_low, code_high].map(|field| {
        let field = field.filter(|field| field.is_static);
        field.and_then(|field| memory.word(field.at)).unwrap_or(0)
    });
    let described = all(described)?;
    let (places, offsets) = described.split_at(2);
    if places.iter().any(|f| !f.is_static) || offsets.iter().any(|f| f.is_static) {
        return None;
    }
    let [list, heap] = [places[0].at, memory.word(places[1].at)?];
    let [
        length,
        threads,
        pthread,
        object,
        stack,
        tlab,
        start,
        top,
        end,
        collections,
        reserved,
        region_start,
        region_size,
    ] = <[_; 13]>::try_from(offsets).ok()?.map(|f| f.at);
    let region = heap.checked_add(reserved)?;
    let low = memory.word(region.checked_add(region_start)?)?;
    let size = memory
        .word(region.checked_add(region_size)?)?
        .checked_mul(8)?;
    if heap == 0 || low == 0 || !(1..=LARGEST).contains(&size) {
        return None;
    }
    let mut layout = Layout {
        runtime: runtime::JAVA.into(),
        ..Layout::default()
    };
    layout.words[java::LIST] = list;
    layout.words[java::LENGTH] = length;
    layout.words[java::THREADS] = threads;
    layout.words[java::OSTHREAD] = osthread.at;
    layout.words[java::PTHREAD] = pthread;
    layout.words[java::OBJECT] = object;
    layout.words[word::STACK] = stack;
    layout.words[word::START] = tlab.checked_add(start)?;
    layout.words[word::TOP] = tlab.checked_add(top)?;
    layout.words[word::END] = tlab.checked_add(end)?;
    layout.words[word::COLLECTIONS] = heap.checked_add(collections)?;
    layout.words[word::LOW] = low;
    layout.words[word::HIGH] = low.checked_add(size)?;
    [layout.words[word::CODE_LOW], layout.words[word::CODE_HIGH]] = code;
    // Without that, threads that run one thing in their lives are followed by who started them.
    if let Some(target) = fields::target(structs, memory) {
        layout.words[word::TARGET] = target.at;
        layout.words[word::NARROW] = target.narrow;
    }
    dependents::add(structs, memory, &mut layout);
    Some(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_that_move_objects_at_any_time_are_known_by_their_threads() {
        for name in ["ZDriverMinor", "ZWorkerYoung#0", "Shenandoah GC T"] {
            assert!(is_concurrent(name), "{name}");
        }
        for name in ["G1 Main Marker", "GC Thread#0", "VM Thread", "ZooKeeper"] {
            assert!(!is_concurrent(name), "{name}");
        }
    }
}
