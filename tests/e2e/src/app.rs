//! The services, and how each is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, Stream};

/// How long a service may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// A service of the test bed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Flask, a thread per connection; `requests` with pooled connections.
    Flask,
    /// The same with a time-out, so that every wait is a `poll`, and a new connection for each call.
    FlaskTimeout,
    /// Flask under gunicorn's threaded worker.
    Gunicorn,
    /// A thread per connection on Rust's standard library.
    Threads,
    /// The JDK's HttpServer with a fixed pool, HttpURLConnection.
    Jdk,
    /// Express and axios on Node.
    Express,
    /// aiohttp, both sides.
    Aiohttp,
    /// Go's net/http, both sides.
    Go,
    /// axum and reqwest on tokio.
    Axum,
    /// Flask with the OpenTelemetry SDK; exports each span as it ends.
    OtelPythonSimple,
    /// Flask with the OpenTelemetry SDK; exports in batches from a thread.
    OtelPythonBatch,
    /// Express with the OpenTelemetry SDK; exports each span as it ends.
    OtelNodeSimple,
    /// Express with the OpenTelemetry SDK; exports in batches.
    OtelNodeBatch,
    /// Three Flask services in one process with loguru's queue.
    Wall,
}

impl App {
    /// Services in which a thread serves one request from its reading to its answer.
    pub const THREAD_PER_REQUEST: [Self; 5] = [
        Self::Flask,
        Self::FlaskTimeout,
        Self::Gunicorn,
        Self::Threads,
        Self::Jdk,
    ];

    /// Services in which requests share threads.
    pub const SHARED_THREADS: [Self; 4] = [Self::Express, Self::Aiohttp, Self::Go, Self::Axum];

    /// Services whose SDK propagates, with their way of exporting.
    pub const OPENTELEMETRY: [Self; 4] = [
        Self::OtelPythonSimple,
        Self::OtelPythonBatch,
        Self::OtelNodeSimple,
        Self::OtelNodeBatch,
    ];

    /// Name for messages and truth ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flask => "flask",
            Self::FlaskTimeout => "flask-timeout",
            Self::Gunicorn => "gunicorn",
            Self::Threads => "threads",
            Self::Jdk => "jdk",
            Self::Express => "express",
            Self::Aiohttp => "aiohttp",
            Self::Go => "go",
            Self::Axum => "axum",
            Self::OtelPythonSimple => "otel-python-simple",
            Self::OtelPythonBatch => "otel-python-batch",
            Self::OtelNodeSimple => "otel-node-simple",
            Self::OtelNodeBatch => "otel-node-batch",
            Self::Wall => "wall",
        }
    }

    /// What is missing to run it; `tests/setup.sh` installs it.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        self.needs()
            .into_iter()
            .find(|path| !path.exists())
            .map(|path| format!("{} is missing (run tests/setup.sh)", path.display()))
    }

    fn needs(self) -> Vec<PathBuf> {
        match self {
            Self::Threads => vec![own_program("service-threads")],
            Self::Axum => vec![own_program("service-axum")],
            Self::Jdk => vec![built("java/Server.class")],
            Self::Go => vec![built("go-server")],
            Self::Express => vec![
                apps("node/node_modules/express"),
                apps("node/node_modules/axios"),
            ],
            Self::OtelNodeSimple | Self::OtelNodeBatch => {
                vec![apps("node/node_modules/@opentelemetry/sdk-node")]
            }
            Self::Gunicorn => vec![python("gunicorn")],
            _ => vec![python("python")],
        }
    }

    fn command(self, threads: usize) -> Command {
        let script = |name: &str| {
            let mut command = Command::new(python("python"));
            command.arg(apps("python").join(name));
            command
        };
        let node = |name: &str| {
            let mut command = Command::new("node");
            command.arg(apps("node").join(name));
            command
        };
        let mut command = match self {
            Self::Flask | Self::FlaskTimeout => script("flask_app.py"),
            Self::Gunicorn => {
                let mut command = Command::new(python("gunicorn"));
                command.args(["-c", "gunicorn_conf.py", "flask_app:app"]);
                command
            }
            Self::Threads => Command::new(own_program("service-threads")),
            Self::Axum => Command::new(own_program("service-axum")),
            Self::Jdk => {
                let mut command = Command::new("java");
                command.arg("-cp").arg(built("java")).arg("Server");
                command
            }
            Self::Go => Command::new(built("go-server")),
            Self::Express => node("express_app.js"),
            Self::OtelNodeSimple | Self::OtelNodeBatch => node("otel_app.js"),
            Self::Aiohttp => script("aiohttp_app.py"),
            Self::OtelPythonSimple | Self::OtelPythonBatch => script("otel_app.py"),
            Self::Wall => script("wall_app.py"),
        };
        match self {
            Self::FlaskTimeout => {
                command.env("TIMEOUT", "10").env("POOL", "0");
            }
            Self::OtelPythonSimple | Self::OtelNodeSimple => {
                command.env("PROCESSOR", "simple");
            }
            Self::OtelPythonBatch | Self::OtelNodeBatch => {
                command.env("PROCESSOR", "batch");
            }
            _ => {}
        }
        command
            .current_dir(apps("python"))
            .env("THREADS", threads.to_string())
            .env("PORT", "0");
        command
    }

    /// Starts it, with `threads` threads where the service has a pool, and waits until it serves.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self, downstream: SocketAddr, threads: usize) -> Result<Service> {
        self.start_with(downstream, threads, |_| {})
    }

    /// As [`App::start`]; `adjust` may change the command, for example its environment.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(
        self,
        downstream: SocketAddr,
        threads: usize,
        adjust: impl FnOnce(&mut Command),
    ) -> Result<Service> {
        let mut command = self.command(threads);
        command.env("DOWNSTREAM", format!("http://{downstream}"));
        adjust(&mut command);
        Service::start(self.name(), command)
    }
}

/// A running service.
pub struct Service {
    /// Its process.
    pub process: Process,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Service {
    /// Starts `command` and waits for its line `ready PORT`.
    ///
    /// # Errors
    /// When that line does not come.
    pub fn start(name: &str, command: Command) -> Result<Self> {
        let process = Process::start(name, command)?;
        let port: u16 = process.wait_for(Stream::Out, STARTING, |line| {
            line.strip_prefix("ready ")?.parse().ok()
        })?;
        Ok(Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        })
    }
}

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn apps(path: &str) -> PathBuf {
    root().join("tests/apps").join(path)
}

fn built(path: &str) -> PathBuf {
    root().join("target/e2e").join(path)
}

fn python(program: &str) -> PathBuf {
    built("venv/bin").join(program)
}

/// A program of this package, which Cargo builds beside its tests.
fn own_program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.join(name)
}
