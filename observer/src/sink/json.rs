//! JSON Lines, the form for programs (docs/output.md).

use std::io::{self, Write};

use observer_core::healing::Healed;
use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};
use observer_core::text::{is_plain, shows};
use serde::Serialize;

use super::Sink;
use super::filter::Sieve;
use super::trees::{Part, Trees};
use crate::cli::show::ShowPlan;

/// Written out when this many bytes have come together, or at a tick.
const BUFFER: usize = 64 * 1024;

/// Writes one object per line, as soon as a tick says that it can be shown.
pub(super) struct JsonSink<W> {
    out: W,
    buffer: Vec<u8>,
    sieve: Sieve,
    /// Needed only to tell what a filter lets through; otherwise objects keep the pipeline's order.
    trees: Option<Trees>,
    quiet: bool,
}

impl<W: Write> JsonSink<W> {
    pub(super) fn new(plan: &ShowPlan, out: W) -> Self {
        let sieve = Sieve::new(plan);
        Self {
            out,
            buffer: Vec::with_capacity(2 * BUFFER),
            trees: (!sieve.is_open()).then(Trees::default),
            sieve,
            quiet: plan.quiet,
        }
    }

    fn line(&mut self, item: &impl Serialize) -> io::Result<()> {
        let start = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, item)?;
        make_visible(&mut self.buffer, start);
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER {
            self.drain()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn tell(&mut self, trees: Vec<super::trees::Tree>) -> io::Result<()> {
        for tree in trees {
            for item in self.sieve.matching(tree).into_judged() {
                self.line(&item)?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn judged(&mut self, item: Judged) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        match (item, &mut self.trees) {
            (Judged::Exchange(exchange), Some(trees)) => trees.add(Part::Call(exchange)),
            (Judged::Log(log), Some(trees)) => trees.add(Part::Line(log)),
            (item, _) => self.line(&item)?,
        }
        Ok(())
    }

    fn healed(&mut self, item: Healed) -> io::Result<()> {
        match item {
            // What is known of a line is in its `log` object.
            Healed::Span(_) if !self.quiet => self.line(&item),
            Healed::Span(_) | Healed::Log(_) => Ok(()),
        }
    }

    fn tick(&mut self, now: KernelNanos) -> io::Result<()> {
        if let Some(trees) = &mut self.trees {
            let ready = trees.tick(now);
            self.tell(ready)?;
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.drain()?;
        self.out.flush()
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        if let Some(trees) = &mut self.trees {
            let rest = trees.finish();
            self.tell(rest)?;
        }
        self.line(&Judged::Summary(Box::new(summary)))?;
        self.drain()?;
        self.out.flush()
    }
}

/// Escapes, in the JSON text from `start` on, what a terminal would not show. JSON itself asks for
/// that only below U+0020.
fn make_visible(buffer: &mut Vec<u8>, start: usize) {
    // Nearly all lines are plain ASCII, which JSON has made visible but for DEL.
    if is_plain(&buffer[start..]) {
        return;
    }
    // Most others have a few characters that show: `…` where a query's value is hidden.
    let line = &buffer[start..];
    let beyond = |byte: &u8| !matches!(byte, b' '..=b'~');
    let ends = (line.iter().position(beyond)).zip(line.iter().rposition(beyond));
    let shown =
        |(first, last)| str::from_utf8(&line[first..=last]).is_ok_and(|s| s.chars().all(shows));
    if ends.is_none_or(shown) {
        return;
    }
    let text = String::from_utf8_lossy(line).into_owned();
    buffer.truncate(start);
    let mut bytes = [0; 4];
    for c in text.chars() {
        if shows(c) {
            buffer.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            buffer.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use observer_core::judged::{LogVerdict, Verdict};

    use super::*;
    use crate::sink::samples;

    fn told(change: impl Fn(&mut ShowPlan)) -> Vec<serde_json::Value> {
        let mut plan = samples::plan();
        change(&mut plan);
        let mut out = Vec::new();
        let mut sink = JsonSink::new(&plan, &mut out);
        for item in samples::tree().into_judged() {
            sink.judged(item).unwrap();
        }
        sink.tick(KernelNanos(1)).unwrap();
        sink.finish(samples::summary()).unwrap();
        drop(sink);
        let lines = String::from_utf8(out).unwrap();
        lines
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    #[test]
    fn one_object_per_line_and_the_summary_last() {
        let objects = told(|_| ());
        assert_eq!(objects.len(), samples::tree().into_judged().count() + 1);
        assert_eq!(objects.last().unwrap()["kind"], "summary");
        assert!(objects.iter().all(|o| o["kind"].is_string()));
    }

    #[test]
    fn a_filter_leaves_what_matches_and_the_summary() {
        let objects = told(|p| p.filter.calls = [Verdict::Dropped].into());
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["verdict"], "dropped");
        assert_eq!(told(|p| p.quiet = true).len(), 1);
    }

    #[test]
    fn hidden_characters_become_visible_and_stay_the_same_value() {
        let mut line = samples::log(LogVerdict::Missing);
        line.line = "a\u{202e}b\u{7f}c\u{e0041}d\u{1b}größe".to_owned();
        let mut out = Vec::new();
        let mut sink = JsonSink::new(&samples::plan(), &mut out);
        sink.judged(Judged::Log(Box::new(line.clone()))).unwrap();
        sink.tick(KernelNanos(1)).unwrap();
        drop(sink);
        let text = String::from_utf8(out).unwrap();
        assert!(text.trim_end().chars().all(shows), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["line"], line.line);
    }
}
