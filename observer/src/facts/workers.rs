//! Threads that are workers by the names which their servers give them.
//!
//! The names are looked at when such a thread reads, once: workers come and go.

use std::mem::offset_of;

use observer_abi::{self as abi, class, data_flag};
use observer_core::facts::Runtime;
use observer_core::ids::Tid;

/// What a response begins with.
const RESPONSE: &[u8] = b"HTTP/";

/// What the names of Puma's workers begin with: `puma srv tp 001`; before 5.0 `puma threadpool 001` (`thread_pool.rb`).
const PUMA: [&str; 2] = ["puma srv tp ", "puma threadpool"];

/// What the names of Tomcat's workers begin with: connector, `-exec-`, number (`AbstractEndpoint.createExecutor`), or
/// `catalina-exec-` where connectors share an executor. An address follows, a port, `auto-` and a number, or a number
/// (`AbstractProtocol.getName`).
const TOMCAT: [&str; 3] = ["http-nio-", "http-nio2-", "catalina-exec-"];

/// The longest name that the kernel keeps, bytes.
const LONGEST: usize = 15;

/// Whether servers of the runtime name their workers.
pub(super) fn has_workers(runtime: Runtime) -> bool {
    matches!(runtime, Runtime::Java | Runtime::Ruby)
}

/// The thread that read what a `DATA` record tells, if that may be a request: it is not a response, and was read without
/// blocking (a blocking read needs no name).
pub(super) fn may_be_worker(raw: &[u8]) -> Option<Tid> {
    let flags = *raw.get(offset_of!(abi::Header, flags))?;
    if flags & (data_flag::NONBLOCK | data_flag::WRITE) != data_flag::NONBLOCK {
        return None;
    }
    let class = *raw.get(offset_of!(abi::Data, class))?;
    let payload = raw.get(size_of::<abi::Data>()..)?;
    if !matches!(class, class::TCP4 | class::TCP6 | class::UNIX) || payload.starts_with(RESPONSE) {
        return None;
    }
    let tid = raw.get(offset_of!(abi::Header, tid)..)?.first_chunk()?;
    Some(Tid(u32::from_ne_bytes(*tid)))
}

/// Whether a thread of this `name`, as the kernel keeps it, is a worker of a server that gives each of them one request
/// at a time and nothing else. Where the end of the name is missing it may be another one of the server's threads: those
/// accept connections or wait for them, and read no requests.
pub(super) fn is_worker(runtime: Runtime, name: &str) -> bool {
    match runtime {
        Runtime::Ruby => PUMA.iter().any(|start| name.starts_with(start)),
        Runtime::Java => is_tomcats(name),
        _ => false,
    }
}

/// Java gives the kernel the beginning of a name (17 and 25 do).
fn is_tomcats(name: &str) -> bool {
    let mut rest = TOMCAT.iter().filter_map(|start| name.strip_prefix(start));
    name.len() == LONGEST
        && rest
            .any(|rest| rest.starts_with("auto-") || rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_tomcat_and_puma_are_known_by_their_names() {
        for name in [
            "catalina-exec-3",
            "http-nio-8080-e",
            "http-nio-18080-",
            "http-nio-127.0.",
            "http-nio-auto-1",
            "http-nio2-8080-",
        ] {
            assert!(is_worker(Runtime::Java, name), "{name}");
            assert!(!is_worker(Runtime::Ruby, name), "{name}");
        }
        for name in ["puma srv tp 001", "puma threadpool"] {
            assert!(is_worker(Runtime::Ruby, name), "{name}");
            assert!(!is_worker(Runtime::Java, name), "{name}");
        }
    }

    #[test]
    fn threads_that_serve_more_than_one_request_are_not() {
        for name in [
            // Tomcat's own, Jetty, Netty below Spring, Vert.x, Ktor, Akka, Undertow, carriers of virtual threads, executors.
            "qtp186370029-25",
            "reactor-http-ni",
            "nioEventLoopGro",
            "vert.x-eventloo",
            "DefaultDispatch",
            "akka.actor.defa",
            "XNIO-1 task-1",
            "ForkJoinPool-1-",
            "pool-1-thread-1",
            "http-nio",
            "http-nio-8080",
            "http-nio-worker",
            "http-nio-boss-1",
            "java",
            "",
        ] {
            assert!(!is_worker(Runtime::Java, name), "{name}");
        }
        for name in [
            "puma reactor",
            "puma srv",
            "puma srv thread",
            "ruby",
            "worker.rb:1",
        ] {
            assert!(!is_worker(Runtime::Ruby, name), "{name}");
        }
        assert!(!is_worker(Runtime::Python, "http-nio-8080-e"));
    }
}
