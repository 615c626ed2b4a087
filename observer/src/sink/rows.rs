//! Rows of coloured text that fit a terminal: what all output for people is made of.

use anstyle::{AnsiColor, Style};
use observer_core::text::printable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::sink::Canvas;

/// What a piece of text is, which decides its colour. Nothing is told by colour alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    #[default]
    Plain,
    /// A heading, or the name of a service.
    Strong,
    /// Lines, times, and what is true but seldom looked for.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Context was lost.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Odd => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// A piece of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    tone: Tone,
    /// Gives up room first when the row is too long.
    elastic: bool,
}

/// The least that is left of an elastic piece, columns.
const LEAST: usize = 16;

/// A line of output: pieces, separated by two spaces where they were added with [`Row::then`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pieces: Vec<Piece>,
    /// Columns that a wrapped row's further lines begin with.
    wrap: Option<usize>,
}

impl Row {
    /// A row that begins with `text`.
    #[must_use]
    pub fn new(text: &str, tone: Tone) -> Self {
        Self::default().and(text, tone)
    }

    /// Adds text without a space before it.
    #[must_use]
    pub fn and(mut self, text: &str, tone: Tone) -> Self {
        self.pieces.push(Piece {
            text: printable(text).into_owned(),
            tone,
            elastic: false,
        });
        self
    }

    /// Adds text after two spaces; nothing if there is no text.
    #[must_use]
    pub fn then(self, text: &str, tone: Tone) -> Self {
        if text.is_empty() {
            return self;
        }
        self.and("  ", Tone::Plain).and(text, tone)
    }

    /// Adds text without a space before it, that is shortened when the row is too long.
    #[must_use]
    pub fn elastic(self, text: &str, tone: Tone) -> Self {
        let mut row = self.and(text, tone);
        if let Some(piece) = row.pieces.last_mut() {
            piece.elastic = true;
        }
        row
    }

    /// Adds text after two spaces, that is shortened when the row is too long.
    #[must_use]
    pub fn then_elastic(self, text: &str, tone: Tone) -> Self {
        self.and("  ", Tone::Plain).elastic(text, tone)
    }

    /// Text too long for the terminal goes on in further lines, indented by `columns`, instead of
    /// being cut.
    #[must_use]
    pub fn wrapped(mut self, columns: usize) -> Self {
        self.wrap = Some(columns);
        self
    }

    /// Its width in columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|p| p.text.width()).sum()
    }

    /// Writes it and a line feed.
    pub fn print(mut self, canvas: Canvas, out: &mut String) {
        let Some(room) = canvas.width else {
            return self.line(canvas, out);
        };
        if self.width() <= room {
            return self.line(canvas, out);
        }
        if let Some(indent) = self.wrap {
            return self.print_wrapped(canvas, room, indent, out);
        }
        let over = self.width() - room;
        if let Some(elastic) = self.pieces.iter_mut().find(|p| p.elastic) {
            let width = elastic.text.width();
            elastic.text = shortened(&elastic.text, width.saturating_sub(over).max(LEAST));
        }
        self.cut(room);
        self.line(canvas, out);
    }

    fn line(&self, canvas: Canvas, out: &mut String) {
        for piece in &self.pieces {
            let style = piece.tone.style();
            if canvas.color && style != Style::new() {
                out.push_str(&format!("{style}{}{style:#}", piece.text));
            } else {
                out.push_str(&piece.text);
            }
        }
        // Padding at the end of a line is nobody's need.
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }

    /// Cuts what goes beyond `room` columns.
    fn cut(&mut self, room: usize) {
        let mut left = room;
        for at in 0..self.pieces.len() {
            let width = self.pieces[at].text.width();
            if width > left {
                self.pieces[at].text = shortened(&self.pieces[at].text, left);
                self.pieces.truncate(at + 1);
                return;
            }
            left -= width;
        }
    }

    /// Breaks the last piece between words.
    fn print_wrapped(mut self, canvas: Canvas, room: usize, indent: usize, out: &mut String) {
        let Some(last) = self.pieces.pop() else {
            return;
        };
        let mut line = self;
        let mut empty = true;
        for word in last.text.split(' ') {
            if !empty && line.width() + 1 + word.width() > room {
                line.clone().unwrapped().print(canvas, out);
                line = Row::new(&" ".repeat(indent), Tone::Plain);
                empty = true;
            }
            line = line
                .and(if empty { "" } else { " " }, Tone::Plain)
                .and(word, last.tone);
            empty = false;
        }
        line.unwrapped().print(canvas, out);
    }

    fn unwrapped(mut self) -> Self {
        self.wrap = None;
        self
    }
}

/// The beginning of `text` in at most `room` columns, with `…` where it is cut.
fn shortened(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut width = 1;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > room {
            break;
        }
        out.push(c);
    }
    if room > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(row: Row, width: usize) -> String {
        let canvas = Canvas {
            color: false,
            width: Some(width),
        };
        let mut out = String::new();
        row.print(canvas, &mut out);
        out
    }

    #[test]
    fn elastic_text_gives_way_first() {
        let row = Row::new("GET", Tone::Plain)
            .then_elastic("/a/very/long/path/to/something", Tone::Plain)
            .then("200", Tone::Good);
        assert_eq!(print(row.clone(), 30), "GET  /a/very/long/path/t…  200\n");
        assert_eq!(
            print(row.clone(), 99),
            "GET  /a/very/long/path/to/something  200\n"
        );
        assert_eq!(print(row, 12), "GET  /a/ver…\n");
    }

    #[test]
    fn long_text_wraps_between_words() {
        let row = Row::new("why  ", Tone::Strong)
            .and("one two three four", Tone::Plain)
            .wrapped(5);
        assert_eq!(print(row, 14), "why  one two\n     three\n     four\n");
    }

    #[test]
    fn colours_are_closed() {
        let canvas = Canvas {
            color: true,
            width: None,
        };
        let mut out = String::new();
        Row::new("a", Tone::Good)
            .and("b", Tone::Plain)
            .print(canvas, &mut out);
        assert_eq!(out, "\u{1b}[32ma\u{1b}[0mb\n");
    }

    proptest! {
        #[test]
        fn rows_fit_and_hide_nothing(texts in proptest::collection::vec(any::<(String, bool)>(), 1..5), width in 4_usize..90) {
            let row = texts.iter().fold(Row::default(), |row, (text, elastic)| {
                if *elastic { row.then_elastic(text, Tone::Bad) } else { row.then(text, Tone::Plain) }
            });
            let out = print(row, width);
            let line = out.strip_suffix('\n').unwrap_or(&out);
            prop_assert!(line.width() <= width, "{line:?} is {} wide", line.width());
            prop_assert!(line.chars().all(observer_core::text::shows));
        }
    }
}
