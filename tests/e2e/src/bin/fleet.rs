//! A service of the fleet (`tests/apps/fleet`) with a thread per connection: blocking sockets, `ureq` for calls.
//! It knows B3 alone: another format that comes in is not read, and a trace of its own begins.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use observer_e2e::http::Connection;
use observer_e2e::workload::{span_id, trace_id};
use serde_json::json;

fn main() -> Result<()> {
    let listen = std::env::var("LISTEN").context("LISTEN is not set")?;
    let peers = std::env::var("PEERS").unwrap_or_default();
    let peers: Vec<(String, String)> = peers
        .split_whitespace()
        .filter_map(|peer| peer.split_once('='))
        .map(|(name, url)| (name.to_owned(), url.to_owned()))
        .collect();
    let listener = TcpListener::bind(listen)?;
    let agent = ureq::Agent::new_with_defaults();
    print_line("ready")?;
    for stream in listener.incoming() {
        let (stream, agent, peers) = (stream?, agent.clone(), peers.clone());
        thread::spawn(move || {
            if let Err(error) = serve(stream, &agent, &peers) {
                eprintln!("connection ended: {error:#}");
            }
        });
    }
    Ok(())
}

fn serve(stream: TcpStream, agent: &ureq::Agent, peers: &[(String, String)]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request()? {
        let b3 = request.header("b3").and_then(|b3| b3.split('-').next());
        let mut rng = fastrand::Rng::new();
        let (trace, sent, log) = match b3 {
            Some(trace) => (trace.to_owned(), "propagated", "linked"),
            None => (trace_id(&mut rng), "restarted", "foreign"),
        };
        for (name, url) in peers {
            let context = format!("{trace}-{}-1", span_id(&mut rng));
            let call = agent.get(format!("{url}/{name}")).header("b3", context);
            call.call()?.body_mut().read_to_vec()?;
            let line = json!({"level": "info", "message": "called", "to": name, "sent": sent, "log": log, "trace_id": trace});
            print_line(&line.to_string())?;
        }
        let line = json!({"level": "info", "message": "served", "log": log, "trace_id": trace});
        print_line(&line.to_string())?;
        connection.respond("done\n")?;
        if request.close {
            break;
        }
    }
    Ok(())
}

/// One write for one line.
fn print_line(line: &str) -> io::Result<()> {
    io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
}
