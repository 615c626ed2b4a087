//! `observer decode`: what a propagation header says.

use std::io::{self, Read, Write};

use observer_core::context::explain::{Explanation, explain, render_text};
use serde::Serialize;

use crate::cli::args::DecodeArgs;
use crate::cli::exit::Exit;
use crate::cli::show::Output;

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
        Output::Json => serde_json::to_string(&Decoded::from(&explanation))?,
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

/// An explanation as an object among others.
#[derive(Serialize)]
struct Decoded<'e> {
    kind: &'static str,
    #[serde(flatten)]
    explanation: &'e Explanation,
}

impl<'e> From<&'e Explanation> for Decoded<'e> {
    fn from(explanation: &'e Explanation) -> Self {
        Self {
            kind: "decode",
            explanation,
        }
    }
}

fn input() -> io::Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(INPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::schema;

    #[test]
    fn what_is_decoded_is_as_the_schema_says() {
        let w3c = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let explained = [
            explain(w3c),
            explain(&w3c.replace("-01", "-1")),
            explain("b3: 80f198ee56343ba864fe8b2a57d3eff7"),
            explain("tracestate: a=1,b=2\nx-request-id: r1"),
            explain("foo"),
            explain(""),
        ];
        schema::check(explained.iter().map(Decoded::from));
    }
}
