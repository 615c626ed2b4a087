//! What standard output can do.

use std::io;

use crate::cli::args::Color;
use crate::sink::Canvas;

/// Colours as asked for, else as the terminal and `NO_COLOR` have it; the terminal's width if it is one.
#[must_use]
pub fn canvas(color: Color) -> Canvas {
    let stdout = io::stdout();
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
    };
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Canvas {
        color,
        width: width.filter(|columns| *columns > 0),
    }
}
