//! Sinks: where judged things go. A sink depends on the core's output alone.

mod explain;
mod filter;
mod json;
mod keep;
mod lines;
pub mod rows;
pub(crate) mod text;
mod trees;

#[cfg(test)]
pub mod samples;
#[cfg(test)]
pub(crate) mod schema;

use std::io::{self, Write};

use observer_core::facts::ProcessFacts;
use observer_core::healing::Healed;
use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};
use observer_core::summary::Tally;

pub use keep::Keep;

use crate::cli::show::{Output, ShowPlan};

/// Takes what the pipeline tells, in its order.
pub trait Sink {
    /// One judged thing.
    ///
    /// # Errors
    ///
    /// Those of what is written to; after one, the sink is of no more use.
    fn judged(&mut self, item: Judged) -> io::Result<()>;

    /// What is known about a process, before what is told about it.
    fn process(&mut self, _facts: &ProcessFacts) {}

    /// Something that healing made.
    ///
    /// # Errors
    ///
    /// As [`judged`](Self::judged).
    fn healed(&mut self, _item: Healed) -> io::Result<()> {
        Ok(())
    }

    /// Everything that was to be told until `now` has been told: time to show it.
    ///
    /// # Errors
    ///
    /// As [`judged`](Self::judged).
    fn tick(&mut self, now: KernelNanos) -> io::Result<()>;

    /// Everything told so far can be had as counts, at some cost.
    fn count(&mut self, _tally: &dyn Fn() -> Tally) {}

    /// Nothing comes any more but the counts.
    ///
    /// # Errors
    ///
    /// As [`judged`](Self::judged).
    fn finish(&mut self, summary: Summary) -> io::Result<()>;
}

/// What the place that is written to can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canvas {
    /// Whether colours are shown.
    pub color: bool,
    /// Columns of the terminal; `None` where lines may have any length.
    pub width: Option<usize>,
}

/// The sink that `plan` asks for, writing to `out`.
pub fn open<'a>(plan: &ShowPlan, canvas: Canvas, out: impl Write + 'a) -> Box<dyn Sink + 'a> {
    if plan.lines {
        return Box::new(lines::LinesSink::new(out));
    }
    if plan.explain.is_some() {
        return Box::new(explain::ExplainSink::new(plan.output, out));
    }
    match plan.output {
        Output::Json => Box::new(json::JsonSink::new(plan, out)),
        Output::Text => Box::new(text::TextSink::new(plan, canvas, out)),
    }
}
