//! The observer's memory with many open connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::nginx::Nginx;
use crate::observer::Observer;
use crate::report::Report;

const CONNECTIONS: usize = 10_000;
/// Descriptors that this process needs, and each worker of nginx at worst.
const DESCRIPTORS: u64 = 10_200;
/// The observer tells what was judged within 100 ms.
const SETTLING: Duration = Duration::from_millis(500);

/// Opens the connections, each of them for one request, and keeps them open.
pub fn run(report: &mut Report, observer: &Path) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|most| most >= DESCRIPTORS);
    ensure!(
        enough,
        "this needs a limit of {DESCRIPTORS} open files (ulimit -Hn)"
    );
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // nginx inherits it.
    setrlimit(Resource::Nofile, raised).context("raising the limit of open files")?;
    let nginx = Nginx::start()?;
    let observer = Observer::watch(observer, nginx.pid(), &["--quiet", "--cpu-budget", "off"])?;
    let (idle, _) = observer.memory()?;
    let mut open = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        open.push(ask(nginx.port())?);
    }
    sleep(SETTLING);
    let (now, most) = observer.memory()?;
    drop(open);
    let told = observer.stop()?;
    let mebibytes = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    let table = report.table(
        "Resident memory of the observer, MiB",
        [
            "just started",
            "10 000 open connections",
            "at most",
            "aim",
            "lost",
        ],
    );
    let [idle, now, most, aim] = [idle, now, most, 64 << 10].map(mebibytes);
    table.row([idle, now, most, aim, told.lost.to_string()]);
    table.note("Each connection has carried one request and idles. Pages of the ring count when they have been used.");
    Ok(())
}

/// A connection that has carried one request.
fn ask(port: u16) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.write_all(
        b"GET / HTTP/1.1\r\nHost: shop\r\n\
          traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    )?;
    let mut answer = [0; 4096];
    let len = connection.read(&mut answer)?;
    ensure!(
        answer[..len].starts_with(b"HTTP/1.1 200"),
        "nginx does not answer"
    );
    Ok(connection)
}
