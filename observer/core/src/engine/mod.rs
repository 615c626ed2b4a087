//! Runs the stages: records, facts and ticks in; judged things and feedback out.

mod input;

pub use input::{Config, Feedback, Input};

use crate::judged::{Judged, Summary};

/// The whole pipeline.
///
/// ```text
/// engine.input(Input::Record(bytes), &mut out);   // as often as records come
/// engine.input(Input::Tick { now, lost }, &mut out); // every 20–100 ms
/// let summary = engine.finish(&mut out);           // at the end
/// ```
#[derive(Debug)]
pub struct Engine {
    config: Config,
}

impl Engine {
    /// A pipeline that has seen nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Takes one input; appends what it makes known to `out`. Only ticks make anything known.
    pub fn input(&mut self, input: Input<'_>, out: &mut Vec<Judged>) {
        let _ = (input, out, &self.config);
    }

    /// What the pipeline asks of the probes since the last call.
    pub fn feedback(&mut self) -> Vec<Feedback> {
        Vec::new()
    }

    /// Ends the watch: everything still open is told as it stands, then the counts.
    pub fn finish(&mut self, out: &mut Vec<Judged>) -> Summary {
        let _ = out;
        unreachable!("not integrated yet")
    }
}
