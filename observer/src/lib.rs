//! The program's edges: what it hears from the kernel, and what becomes of what it finds.

pub mod agent;
pub mod allocator;
pub mod budget;
pub mod check;
pub mod cli;
pub mod decode;
pub mod demo;
pub mod doctor;
pub mod facts;
pub mod generate;
pub mod heal;
pub mod kernel;
pub mod kubernetes;
pub mod otlp;
pub mod output;
pub mod privileges;
pub mod replay;
pub mod report;
pub mod runtimes;
pub mod session;
pub mod sink;
pub mod stderr;
pub mod watch;

use std::process::ExitCode;

use clap::Parser;

use cli::args::{Cli, Command};
use cli::exit::Exit;
use stderr::say;

/// Runs the program with its command line.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(with_causes(&error));
            if let Some(watch::Error::Capture(_)) = error.downcast_ref() {
                say("`observer doctor` says more about what this host allows");
            }
            Exit::Cannot.into()
        }
    }
}

/// An error with its causes, leaving out those whose words it has already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(command: Command) -> anyhow::Result<Exit> {
    Ok(match command {
        Command::Watch(args) => watch::run(&cli::watch::plan(args)?)?,
        Command::Logs(args) => watch::run(&cli::watch::logs(args)?)?,
        Command::Agent(args) => agent::run(&args)?,
        Command::Replay(args) => replay::run(&cli::replay::plan(args)?)?,
        Command::Report(args) => report::run(&cli::report::plan(args)?)?,
        Command::Check(args) => check::run(&cli::check::plan(args)?)?,
        Command::Completions(args) => generate::completions(args.shell)?,
        Command::Man => generate::man()?,
        Command::Decode(args) => decode::run(&args)?,
        Command::Doctor(args) => doctor::run(&args)?,
        Command::Demo(args) => demo::run(&args)?,
        Command::Shop(args) => demo::shop::run(&args)?,
    })
}
