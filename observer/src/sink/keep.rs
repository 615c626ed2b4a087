//! Keeps the summary alone.

use std::io;

use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};

use super::Sink;

/// Shows nothing and keeps the summary.
pub struct Keep<'a>(pub &'a mut Option<Summary>);

impl Sink for Keep<'_> {
    fn judged(&mut self, _: Judged) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: KernelNanos) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        *self.0 = Some(summary);
        Ok(())
    }
}
