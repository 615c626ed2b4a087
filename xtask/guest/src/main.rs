//! The first process of a virtual machine, and the workload that is observed in it.

mod host;
mod http;
mod init;
mod output;
mod restrict;
mod service;
mod workload;

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        [] if std::process::id() == 1 => init::run(),
        ["workload", requests, truth] => workload::run(requests.parse()?, truth.as_ref()),
        ["show", file] => show(file),
        ["service", name, next] => service::run(name, next.parse()?),
        ["restricted", how, command @ ..] => restrict::run(how, command),
        ["keep-types", at] => restrict::keep_types(at.as_ref()),
        ["host"] => host::mount_all(),
        ["in-host", command @ ..] => host::run(command),
        ["verified", command @ ..] => verified(command),
        ["panic"] => init::panic(),
        ["hang"] => init::hang(),
        ["park"] => init::park(),
        _ => bail!("unknown arguments: {args:?}"),
    }
}

/// Runs a command, and has noted what verifying its BPF programs took.
fn verified(command: &[&str]) -> Result<()> {
    let (program, args) = command.split_first().context("no command")?;
    let error = Command::new(program)
        .args(args)
        .env("LD_PRELOAD", observer_guest::VERIFIED)
        .exec();
    Err(error).with_context(|| format!("starting {program}"))
}

/// Prints a file.
fn show(file: &str) -> Result<()> {
    print!("{}", std::fs::read_to_string(file).context("reading")?);
    Ok(())
}
