//! `observer decode`: what a propagation header says.

use std::io::{self, Read, Write};

use observer_core::context::explain::{explain, render_text};

use crate::cli::args::{DecodeArgs, Output};
use crate::cli::exit::Exit;

/// The longest standard input that is read, bytes: the head of any HTTP message fits.
const INPUT: u64 = 64 * 1024;

/// Runs `observer decode`.
///
/// # Errors
///
/// If standard input can't be read, or standard output not be written.
pub fn run(args: &DecodeArgs) -> io::Result<Exit> {
    let mut text = String::new();
    for header in &args.headers {
        if header == "-" {
            text.push_str(&input()?);
        } else {
            text.push_str(header);
        }
        text.push('\n');
    }
    let explanation = explain(&text);
    let mut shown = match args.output {
        Output::Text => render_text(&explanation),
        Output::Json => serde_json::to_string(&explanation)?,
    };
    if !shown.ends_with('\n') {
        shown.push('\n');
    }
    let mut out = io::stdout().lock();
    match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    Ok(if explanation.valid {
        Exit::Ok
    } else {
        Exit::Partly
    })
}

fn input() -> io::Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(INPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
