//! A service with a thread per connection: blocking sockets, `ureq` for calls.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use observer_e2e::http::Connection;
use observer_e2e::workload::{Work, background_line, background_url, env_number};

fn main() -> Result<()> {
    let downstream = std::env::var("DOWNSTREAM").context("DOWNSTREAM is not set")?;
    let port = env_number("PORT", 0);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let agent = ureq::Agent::new_with_defaults();
    print_line(&format!("ready {}", listener.local_addr()?.port()))?;
    start_background(agent.clone(), downstream.clone());
    for stream in listener.incoming() {
        let (stream, agent, downstream) = (stream?, agent.clone(), downstream.clone());
        thread::spawn(move || {
            if let Err(error) = serve(stream, &agent, &downstream) {
                eprintln!("connection ended: {error:#}");
            }
        });
    }
    Ok(())
}

fn serve(stream: TcpStream, agent: &ureq::Agent, downstream: &str) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request()? {
        if !request.target.starts_with("/work") {
            connection.respond("")?;
            continue;
        }
        let job = Work::new(&request.target, request.header("traceparent"));
        print_line(&job.line(0))?;
        let step = |n| step(&job, agent, downstream, n);
        if job.parallel {
            thread::scope(|scope| {
                let steps: Vec<_> = (1..=job.calls)
                    .map(|n| scope.spawn(move || step(n)))
                    .collect();
                steps.into_iter().try_for_each(|step| match step.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
            })?;
        } else {
            (1..=job.calls).try_for_each(step)?;
        }
        for k in job.calls.min(2) + 1..4 {
            print_line(&job.line(k))?;
        }
        connection.respond("done\n")?;
        if request.close {
            break;
        }
    }
    Ok(())
}

fn step(job: &Work, agent: &ureq::Agent, downstream: &str, n: u32) -> Result<()> {
    let mut call = agent.get(job.url(downstream, n));
    for (name, value) in job.headers() {
        call = call.header(name, value);
    }
    call.call()?.body_mut().read_to_vec()?;
    if n <= 2 {
        print_line(&job.line(n))?;
    }
    Ok(())
}

fn start_background(agent: ureq::Agent, downstream: String) {
    let pause = Duration::from_millis(env_number("BG_MS", 50));
    if pause.is_zero() {
        return;
    }
    thread::spawn(move || {
        for n in 1.. {
            thread::sleep(pause);
            let called = agent.get(background_url(&downstream, n)).call();
            if called.is_err() || print_line(&background_line(n)).is_err() {
                return;
            }
        }
    });
}

fn print_line(line: &str) -> io::Result<()> {
    io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
}
