//! The view for people: one request as a small tree, and the summary.

pub(crate) mod marks;
mod summary;
#[cfg(test)]
mod tests;
mod tree;
pub(crate) mod words;

use std::io::{self, Write};

use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};

use super::filter::Sieve;
use super::trees::{Part, Tree, Trees};
use super::{Canvas, Sink};
use crate::cli::show::ShowPlan;

/// Shows requests when they are complete.
pub(super) struct TextSink<W> {
    out: W,
    canvas: Canvas,
    sieve: Sieve,
    trees: Trees,
    quiet: bool,
    shown: bool,
    /// Requests that may still be shown.
    left: usize,
}

impl<W: Write> TextSink<W> {
    pub(super) fn new(plan: &ShowPlan, canvas: Canvas, out: W) -> Self {
        Self {
            out,
            canvas,
            sieve: Sieve::new(plan),
            trees: Trees::default(),
            quiet: plan.quiet,
            shown: false,
            left: plan.at_most.unwrap_or(usize::MAX),
        }
    }

    fn show(&mut self, trees: Vec<Tree>) -> io::Result<()> {
        let mut text = String::new();
        for tree in trees.into_iter().filter_map(|tree| self.sieve.whole(tree)) {
            if self.left == 0 {
                break;
            }
            self.left -= usize::from(tree.request.is_some());
            for row in tree::rows(&tree) {
                row.print(self.canvas, &mut text);
            }
        }
        self.print(&text)
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.shown = true;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn judged(&mut self, item: Judged) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        match item {
            Judged::Exchange(exchange) => self.trees.add(Part::Call(exchange)),
            Judged::Log(log) => self.trees.add(Part::Line(log)),
            Judged::Loss(loss) => {
                let mut text = String::new();
                tree::loss(&loss).print(self.canvas, &mut text);
                self.print(&text)?;
            }
            Judged::Sampling(sampling) => {
                let mut text = String::new();
                tree::sampling(&sampling).print(self.canvas, &mut text);
                self.print(&text)?;
            }
            Judged::Explanation(_) | Judged::Summary(_) => {}
        }
        Ok(())
    }

    fn tick(&mut self, now: KernelNanos) -> io::Result<()> {
        let ready = self.trees.tick(now);
        self.show(ready)
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        let rest = self.trees.finish();
        self.show(rest)?;
        let mut text = String::new();
        if self.shown {
            text.push('\n');
        }
        for row in summary::rows(&summary, self.canvas) {
            row.print(self.canvas, &mut text);
        }
        self.print(&text)
    }
}
