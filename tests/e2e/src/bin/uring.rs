//! A service with a thread per connection, whose sockets are driven through `io_uring`s. It logs by ordinary calls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, ensure};
use observer_e2e::http::Connection;
use observer_e2e::uring::RingStream;
use observer_e2e::workload::{Work, env_number};

fn main() -> Result<()> {
    let downstream = std::env::var("DOWNSTREAM").context("DOWNSTREAM is not set")?;
    let address = downstream.strip_prefix("http://").unwrap_or(&downstream);
    let address: SocketAddr = address.parse().context("reading DOWNSTREAM")?;
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env_number("PORT", 0)))?;
    print_line(&format!("ready {}", listener.local_addr()?.port()))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = serve(stream, address) {
                eprintln!("connection ended: {error:#}");
            }
        });
    }
    Ok(())
}

fn serve(stream: TcpStream, downstream: SocketAddr) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(RingStream::new(stream)?);
    while let Some(request) = connection.request()? {
        let job = Work::new(&request.target, request.header("traceparent"));
        for n in 0..4 {
            print_line(&job.line(n))?;
        }
        for n in 1..=job.calls {
            call(&job, downstream, n)?;
        }
        connection.respond("done\n")?;
        if request.close {
            break;
        }
    }
    Ok(())
}

/// Makes call `n` over a connection of its own.
fn call(job: &Work, downstream: SocketAddr, n: u32) -> Result<()> {
    let mut stream = RingStream::new(TcpStream::connect(downstream)?)?;
    let headers = job.headers().into_iter();
    let headers: String = headers.map(|(k, v)| format!("{k}: {v}\r\n")).collect();
    let target = job.url("", n);
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {downstream}\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the call failed");
    Ok(())
}

fn print_line(line: &str) -> io::Result<()> {
    io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
}
