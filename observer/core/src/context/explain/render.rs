//! Explanations as text for a terminal.

use std::fmt::Write;

use super::{Explanation, Part, Problem};

/// Width of the column of names.
const NAMES: usize = 18;

/// An explanation as lines of text, without colour. Everything in it is printable.
#[must_use]
pub fn render_text(explanation: &Explanation) -> String {
    let mut out = String::new();
    for part in &explanation.parts {
        // Writing to a String can't fail.
        let _ = write_part(&mut out, part);
    }
    for note in &explanation.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn write_part(out: &mut String, part: &Part) -> std::fmt::Result {
    let headers = part.headers.join(", ");
    let guessed = if part.guessed {
        ", by the look of it"
    } else {
        ""
    };
    match &part.broken {
        None => writeln!(out, "{} ({headers}{guessed}): valid", part.title)?,
        Some(problem) => {
            writeln!(
                out,
                "{} ({headers}{guessed}): invalid, {}",
                part.title, problem.rule
            )?;
            write_problem(out, part, problem)?;
        }
    }
    let yes_or_no = part
        .sampled
        .map(|sampled| if sampled { "yes" } else { "no" });
    let ids = [
        ("trace id", part.trace_id.as_deref()),
        ("parent id", part.parent_id.as_deref()),
        ("sampled", yes_or_no),
    ];
    for (name, value) in ids {
        if let Some(value) = value {
            writeln!(out, "  {name:NAMES$} {value}")?;
        }
    }
    for detail in &part.details {
        writeln!(
            out,
            "  {:NAMES$} {}  ({})",
            detail.name, detail.value, detail.meaning
        )?;
    }
    for member in &part.members {
        writeln!(out, "  {:NAMES$} {}", member.key, member.value)?;
    }
    Ok(())
}

fn write_problem(out: &mut String, part: &Part, problem: &Problem) -> std::fmt::Result {
    writeln!(out, "  {}", part.raw)?;
    // Places can be pointed at only where the value is printed as it came, from its beginning.
    let as_it_came = !part.raw.contains('\\') && part.headers.len() == 1;
    match problem.at {
        Some(at) if as_it_came && at <= part.raw.len() && !part.raw.contains(", ") => {
            writeln!(out, "  {:at$}^", "")?;
        }
        Some(at) => writeln!(out, "  at byte {} of {}", at + 1, problem.header)?,
        None => {}
    }
    writeln!(out, "  {}", problem.explanation)?;
    writeln!(out, "  see {}", problem.spec)
}
