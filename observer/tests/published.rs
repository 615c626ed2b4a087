//! A process that publishes its context for readers is known by it.

#![allow(clippy::expect_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use observer::facts::{Proc, process};
use observer_core::ids::Tgid;

/// Publishes a context as OTEP 4719 says: the payload first, the signature last; then waits to be ended.
const PUBLISHER: &str = r#"
import ctypes, mmap, os, struct, sys, time

def field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content

def attribute(key, value):
    return field(1, field(1, key.encode()) + field(2, field(1, value.encode())))

resource = attribute("service.name", "cart") + attribute("service.instance.id", "i-7")
payload = field(1, resource)
memory = os.memfd_create("OTEL_CTX")
os.ftruncate(memory, 4096)
mapping = mmap.mmap(memory, 4096)
os.close(memory)
address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
mapping[32:32 + len(payload)] = payload
mapping[8:32] = struct.pack("=IIQQ", 2, len(payload), time.time_ns(), address + 32)
mapping[0:8] = b"OTEL_CTX"
print("ready", flush=True)
sys.stdin.read()
"#;

struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        // It ends with its input at the latest.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_published_context_names_the_service() {
    let spawned = Command::new("python3")
        .args(["-c", PUBLISHER])
        .env("OTEL_SERVICE_NAME", "from the environment")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.instance.id=old,region=eu",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(child) = spawned else {
        eprintln!("skipped a_published_context_names_the_service: python3 is missing");
        return;
    };
    let mut publisher = Publisher(child);
    let out = publisher.0.stdout.take().expect("piped");
    let ready = BufReader::new(out).lines().next();
    assert_eq!(ready.expect("a line").expect("readable"), "ready");
    let facts = process(&Proc::default(), Tgid(publisher.0.id()));
    assert_eq!(facts.service, "cart");
    assert_eq!(facts.resource["service.instance.id"], "i-7");
    assert_eq!(facts.resource["region"], "eu");
}
