//! Prints the decoded records of processes: `dump [--all] [--quiet] [--ring BYTES] [PID…]
//! [-- COMMAND ARGS…]`, until Ctrl-C or the end of the command; `--quiet` decodes and counts only.

use std::{process::Command, time::Duration};

use observer::kernel::{Capture, CaptureConfig, Spawned};
use observer_core::{ids::Tgid, record::decode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut config = CaptureConfig::default();
    let mut quiet = false;
    let mut pids = Vec::new();
    let mut command: Vec<String> = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--all" => config.all = true,
            "--quiet" => quiet = true,
            "--ring" => config.ring_bytes = args.next().unwrap_or_default().parse()?,
            "--" => command = args.by_ref().collect(),
            pid => pids.push(Tgid(pid.parse()?)),
        }
    }
    let mut capture = Capture::start(config)?;
    for probe in capture.status() {
        eprintln!("{probe:?}");
    }
    for pid in pids {
        eprintln!("watching {:?}", capture.watch_tree(pid)?);
    }
    let mut child = match command.split_first() {
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args);
            Some(Spawned::start(command, &capture)?)
        }
        None => None,
    };
    loop {
        let ended = child
            .as_mut()
            .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        capture.wait(Duration::from_millis(200))?;
        capture.drain(|bytes| match decode(bytes) {
            Ok(_) if quiet => {}
            Ok(record) => println!("{record:?}"),
            Err(error) => println!("malformed: {error}"),
        });
        if ended {
            eprintln!("{:#?}", capture.counters());
            return Ok(());
        }
    }
}
