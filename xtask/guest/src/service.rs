//! The services: each does one thing with contexts, and does it always.

use std::{
    io::{self, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use anyhow::{Context, Result, bail};

use crate::http::{self, Request};

/// What a service does for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Calls with the context, and logs with its id.
    Propagating,
    /// Calls without the context, but logs with its id.
    Dropping,
    /// Calls with the context, but logs without its id.
    Mislogging,
    /// Answers.
    Leaf,
}

impl Conduct {
    /// Those that call and log.
    pub const WORKING: [Self; 3] = [Self::Propagating, Self::Dropping, Self::Mislogging];

    /// The service's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Propagating => "propagating",
            Self::Dropping => "dropping",
            Self::Mislogging => "mislogging",
            Self::Leaf => "leaf",
        }
    }

    /// The right verdicts on its calls and lines.
    pub fn verdicts(self) -> (&'static str, &'static str) {
        match self {
            Self::Propagating | Self::Leaf => ("propagated", "linked"),
            Self::Dropping => ("dropped", "linked"),
            Self::Mislogging => ("propagated", "missing"),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = Self::WORKING.into_iter().chain([Self::Leaf]);
        all.into_iter().find(|conduct| conduct.name() == name)
    }
}

/// Serves on the socket that is standard input, with a thread per connection; calls port `next`.
pub fn run(name: &str, next: u16) -> Result<()> {
    let Some(conduct) = Conduct::named(name) else {
        bail!("no service is called {name}");
    };
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    for stream in listener.incoming() {
        let stream = stream.context("accepting")?;
        thread::spawn(move || {
            if let Err(error) = serve(conduct, next, stream) {
                eprintln!("{}: {error}", conduct.name());
            }
        });
    }
    Ok(())
}

fn serve(conduct: Conduct, next: u16, stream: TcpStream) -> io::Result<()> {
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    while let Some(request) = http::read(&mut from)? {
        if conduct != Conduct::Leaf {
            work(conduct, next, &request)?;
        }
        http::respond(&mut to)?;
    }
    Ok(())
}

fn work(conduct: Conduct, next: u16, request: &Request) -> io::Result<()> {
    let context = request.traceparent.as_deref();
    let logged = context.filter(|_| conduct != Conduct::Mislogging);
    log(&format!("worked on {}", request.target), logged)?;
    let carried = context.filter(|_| conduct != Conduct::Dropping);
    let target = format!("/leaf{}", request.target);
    http::call(next, &target, carried.and_then(child).as_deref())
}

/// One write for a line, as loggers do.
fn log(message: &str, context: Option<&str>) -> io::Result<()> {
    let trace = context
        .and_then(|context| context.get(3..35))
        .map_or_else(String::new, |id| format!(",\"trace_id\":\"{id}\""));
    let line = format!("{{\"level\":\"info\",\"message\":\"{message}\"{trace}}}\n");
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// The context of a call: the same trace, another span.
fn child(context: &str) -> Option<String> {
    static SPANS: AtomicU64 = AtomicU64::new(1);
    let span = u64::from(std::process::id()) << 32 | SPANS.fetch_add(1, Ordering::Relaxed);
    Some(format!(
        "{}{span:016x}{}",
        context.get(..36)?,
        context.get(52..)?
    ))
}
