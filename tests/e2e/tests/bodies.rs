//! Long bodies: the probes are told to leave them out, and what follows on the connection is judged
//! as ever. Requests are pipelined behind the bodies, so that no change of direction helps.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::nginx::Nginx;
use observer_e2e::observer::Observer;
use observer_e2e::ports::free_address;
use observer_e2e::process::Stream;
use observer_e2e::run::{can_watch_unless, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::missing;
use serde_json::Value;

/// Much more than the buffers of both sockets hold.
const BODY: usize = 24 << 20;
const TELLING: Duration = Duration::from_secs(60);

/// A client that can stop in the middle of a body.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(nginx: &Nginx) -> Result<Self> {
        let stream = TcpStream::connect(nginx.address)?;
        stream.set_read_timeout(Some(TELLING))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    fn ask(&mut self, method: &str, path: &str, n: u32, length: usize) -> Result<()> {
        let head = head(method, path, n, length);
        Ok(self.stream.get_mut().write_all(head.as_bytes())?)
    }

    fn send(&mut self, length: usize) -> Result<()> {
        Ok(self.stream.get_mut().write_all(&vec![b'x'; length])?)
    }

    /// Reads the head of a response with status 200; returns the length of its body.
    fn head(&mut self) -> Result<usize> {
        let mut length = None;
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        ensure!(status.starts_with("HTTP/1.1 200"), "answered {status:?}");
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line == "\r\n" {
                return length.context("a response without a length");
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn read(&mut self, length: usize) -> Result<()> {
        self.stream.read_exact(&mut vec![0; length])?;
        Ok(())
    }

    fn response(&mut self) -> Result<()> {
        let length = self.head()?;
        self.read(length)
    }
}

fn head(method: &str, path: &str, n: u32, length: usize) -> String {
    format!(
        "{method} {path}?n={n} HTTP/1.1\r\nHost: bodies\r\nContent-Length: {length}\r\n\
         traceparent: 00-{n:032x}-{n:016x}-01\r\n\r\n"
    )
}

/// Makes sure that the observer has taken in everything until now, and told the probes what it does
/// not need: it tells of a later request.
fn caught_up(observer: &Observer, nginx: &Nginx, n: u32) -> Result<()> {
    let mut client = Client::new(nginx)?;
    client.ask("GET", "/mark", n, 0)?;
    client.response()?;
    let target = format!("/mark?n={n}\"");
    observer.process().wait_for(Stream::Out, TELLING, |line| {
        line.contains(&target).then_some(())
    })
}

/// Two uploads and two downloads over one connection, each with a request right behind it.
fn work(observer: &Observer, nginx: &Nginx) -> Result<()> {
    let mut client = Client::new(nginx)?;
    for n in [10, 20] {
        client.ask("POST", "/up", n, BODY)?;
        client.send(BODY / 2)?;
        caught_up(observer, nginx, n + 5)?;
        client.send(BODY / 2)?;
        client.ask("GET", "/after", n + 1, 0)?;
        client.response()?;
        client.response()?;
        // In one piece, so that nothing is read between the responses.
        let both = head("GET", "/large", n + 2, 0) + &head("GET", "/after", n + 3, 0);
        client.stream.get_mut().write_all(both.as_bytes())?;
        let length = client.head()?;
        ensure!(length == BODY, "{length} bytes");
        caught_up(observer, nginx, n + 6)?;
        client.read(length)?;
        client.response()?;
    }
    Ok(())
}

fn check(told: &[Value]) -> Result<()> {
    let of = |role: &str, n: u32| {
        let end = format!("?n={n}");
        let found = told.iter().filter(|x| x["role"] == role);
        found
            .filter(|x| x["target"].as_str().is_some_and(|t| t.ends_with(&end)))
            .collect::<Vec<&Value>>()
    };
    for n in [10, 11, 12, 13, 20, 21, 22, 23] {
        let served = of("server", n);
        let calls = of("client", n);
        // By the proxy and, if it is a file, by the server behind it.
        let servers = if n % 10 == 2 { 2 } else { 1 };
        ensure!(
            served.len() == servers && calls.len() == 1,
            "{n}: {served:?} {calls:?}"
        );
        for exchange in served.iter().chain(&calls) {
            let trace = format!("{n:032x}");
            ensure!(exchange["status"] == 200, "{exchange}");
            ensure!(exchange["unfinished"].is_null(), "{exchange}");
            ensure!(
                exchange["context"]["trace_id"] == trace.as_str(),
                "{exchange}"
            );
        }
        ensure!(calls[0]["verdict"] == "forwarded", "{}", calls[0]);
        let request = &calls[0]["request"];
        // The two requests for a file carry the same id and are served by one process.
        ensure!(
            servers == 2 || served.iter().any(|s| &s["id"] == request),
            "{}",
            calls[0]
        );
    }
    let losses: Vec<&Value> = told.iter().filter(|x| x["kind"] == "loss").collect();
    ensure!(losses.is_empty(), "{losses:?}");
    Ok(())
}

#[test]
fn what_follows_a_long_body_is_judged_as_ever() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(missing(&["nginx"]), "long bodies") {
        return Ok(());
    }
    let service = Downstream::start(Delay::NONE)?;
    let configuration = include_str!("../../apps/nginx/bodies.conf")
        .replace("@SERVICE@", &service.address().to_string())
        .replace("@FILES@", &free_address()?.to_string());
    let nginx = Nginx::start(&configuration)?;
    File::create(nginx.folder().join("large"))?.set_len(BODY as u64)?;
    let recording = nginx.folder().join("recording");
    let pid = nginx.process.pid().to_string();
    let observer = Observer::watch(["--pid", &pid, "--record", &recording.display().to_string()])?;
    work(&observer, &nginx)?;
    let told = observer.stop()?.out;
    let told = told.iter().map(|line| Ok(serde_json::from_str(line)?));
    let told = told.collect::<Result<Vec<Value>>>()?;
    check(&told)?;
    // Uploads go into the proxy and out of it, files out of their server too.
    let moved = (2 + 2 + 3 + 3) * BODY as u64;
    let recorded = std::fs::metadata(recording)?.len();
    ensure!(
        recorded < moved / 20,
        "{recorded} bytes recorded of {moved} moved"
    );
    Ok(())
}
