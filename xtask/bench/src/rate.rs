//! A fixed number of requests a second: whether the observer keeps up, and what it takes for that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::nginx::Nginx;
use crate::observer::Observer;
use crate::report::Report;

const PER_SECOND: u32 = 20_000;
const CONNECTIONS: usize = 40;
/// Requests are sent in bursts, one on each connection; between two beginnings lies this.
const BURST: Duration = Duration::from_millis(2);
const BURSTS: u32 = 2_500;

/// Asks nginx so often, with and without a log, while it is watched.
pub fn run(report: &mut Report, observer: &Path) -> Result<()> {
    let nginx = Nginx::start()?;
    let table = report.table(
        "20 000 requests a second",
        [
            "load",
            "requests/s",
            "records",
            "lost",
            "observer CPU",
            "observer µs/request",
            "memory MiB",
        ],
    );
    for (name, path, args) in [
        (
            "600-byte answers",
            "/",
            &["--quiet", "--cpu-budget", "off"][..],
        ),
        (
            "with access log",
            "/logged",
            &["--quiet", "--cpu-budget", "off"],
        ),
        (
            "with access log, all told as JSON",
            "/logged",
            &["--cpu-budget", "off"],
        ),
    ] {
        let mut connections = connect(nginx.port())?;
        let observer = Observer::watch(observer, nginx.pid(), args)?;
        let used = observer.cpu()?;
        let began = Instant::now();
        load(&mut connections, path)?;
        let (took, used) = (began.elapsed(), observer.cpu()?.saturating_sub(used));
        let (_, memory) = observer.memory()?;
        let told = observer.stop()?;
        let requests = f64::from(BURSTS) * CONNECTIONS as f64;
        table.row([
            name.to_owned(),
            format!("{:.0}", requests / took.as_secs_f64()),
            told.records.to_string(),
            told.lost.to_string(),
            format!("{:.0} %", 100.0 * used.as_secs_f64() / took.as_secs_f64()),
            format!("{:.1}", used.as_secs_f64() * 1e6 / requests),
            format!("{:.0}", memory as f64 / 1024.0),
        ]);
    }
    table.note(format!(
        "{PER_SECOND} a second are asked for on {CONNECTIONS} connections; fewer are made when the \
         machine has no time for them. Aim: no record lost. CPU in percent of one. Memory is the \
         most that was resident: the ring's pages, and what is remembered of up to 100 000 requests."
    ));
    Ok(())
}

fn connect(port: u16) -> Result<Vec<TcpStream>> {
    let connect = |_| {
        let connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_nodelay(true)?;
        Ok(connection)
    };
    (0..CONNECTIONS).map(connect).collect()
}

fn load(connections: &mut [TcpStream], path: &str) -> Result<()> {
    let mut answer = [0; 4096];
    let mut due = Instant::now();
    let mut trace = 0_u128;
    for _ in 0..BURSTS {
        sleep(due.saturating_duration_since(Instant::now()));
        due += BURST;
        for connection in &mut *connections {
            // Spread over all bits, as random ids are.
            trace = trace.wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: shop\r\ntraceparent: 00-{trace:032x}-00f067aa0ba902b7-01\r\n\r\n"
            );
            connection.write_all(request.as_bytes())?;
        }
        for connection in &mut *connections {
            let len = connection.read(&mut answer)?;
            ensure!(
                answer[..len].starts_with(b"HTTP/1.1 200"),
                "nginx does not answer"
            );
        }
    }
    Ok(())
}
