//! A service of the test bed, and how it is started.

mod catalog;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, Stream};

/// How long a service may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// A service of the test bed; the constants are in the catalog.
///
/// In its command and in what it needs, `{apps}` is `tests/apps`, `{built}` is `target/e2e`, and `{own}`
/// the folder with this package's programs.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Name for messages and tables.
    pub name: &'static str,
    /// Language or kind, for tables.
    pub group: &'static str,
    /// What it is made of, in a few words.
    pub about: &'static str,
    /// Whether it makes the calls of one request in parallel when asked to.
    pub parallel: bool,
    /// Whether it hands each request on, instead of making calls of its own for it.
    pub proxy: bool,
    command: &'static str,
    env: &'static [(&'static str, &'static str)],
    needs: &'static [&'static str],
}

impl App {
    const fn new(
        name: &'static str,
        group: &'static str,
        about: &'static str,
        command: &'static str,
    ) -> Self {
        Self {
            name,
            group,
            about,
            command,
            parallel: false,
            proxy: false,
            env: &[],
            needs: &[],
        }
    }

    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    /// Files and programs that it needs beside those in its command.
    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    const fn parallel(self) -> Self {
        Self {
            parallel: true,
            ..self
        }
    }

    const fn proxy(self) -> Self {
        Self {
            proxy: true,
            ..self
        }
    }

    /// Whether it also does work for no request: proxies and PHP only answer.
    #[must_use]
    pub fn works_by_itself(self) -> bool {
        !self.proxy && self.group != "PHP"
    }

    /// Name for messages and truth ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What is missing to run it; `tests/setup.sh` installs it.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let mut words = self.command.split(' ');
        let program = words.next().into_iter();
        let files = words
            .flat_map(|word| word.split(':'))
            .filter(|word| word.starts_with('{') && !word.ends_with('*'));
        program
            .chain(files)
            .chain(self.needs.iter().copied())
            .map(expand)
            .find(|word| !Path::new(word).exists() && !on_path(word))
            .map(|word| format!("{word} is missing (run tests/setup.sh)"))
    }

    fn command(self, threads: usize) -> Command {
        let mut words = self.command.split(' ').map(expand);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .envs(self.env.iter().copied())
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
        Service::start(self.name, command)
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

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

pub(crate) fn expand(word: &str) -> String {
    let folder = |name: PathBuf| name.display().to_string();
    word.replace("{apps}", &folder(root().join("tests/apps")))
        .replace("{built}", &folder(root().join("target/e2e")))
        .replace("{own}", &folder(own_programs()))
}

/// Where Cargo puts the programs of this package: beside its tests.
fn own_programs() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.to_owned()
}
