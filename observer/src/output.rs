//! What standard output can do.

use std::io;

use crate::cli::args::Color;
use crate::sink::Canvas;

/// Colours as asked for, else as the terminal and `NO_COLOR` have it; the terminal's width if it is one.
#[must_use]
pub fn canvas(color: Color) -> Canvas {
    canvas_of(&io::stdout(), color)
}

/// The same of standard error.
#[must_use]
pub fn canvas_of_stderr(color: Color) -> Canvas {
    canvas_of(&io::stderr(), color)
}

fn canvas_of(to: &(impl anstream::stream::RawStream + std::os::fd::AsFd), color: Color) -> Canvas {
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(to) != anstream::ColorChoice::Never,
    };
    let width = terminal_size::terminal_size_of(to).map(|(width, _)| usize::from(width.0));
    Canvas {
        color,
        width: width.filter(|columns| *columns > 0),
    }
}
