//! What standard output can do.

use std::io;

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use crate::cli::show::Color;
use crate::sink::Canvas;

/// Whether standard output failed with this because nobody reads it any more: a pipe's reader has gone away, or
/// the terminal was closed.
#[must_use]
pub fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
        || (is_io(error) && fstat(io::stdout()).is_ok_and(|stat| is_device(&stat)))
}

fn is_io(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// A terminal that was closed is still a device, but can't be asked whether it is a terminal.
fn is_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
}

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
