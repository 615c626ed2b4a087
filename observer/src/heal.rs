//! Joins healing with what shows it: a sink around a sink.

use std::io;

use observer_core::facts::ProcessFacts;
use observer_core::healing::{Healed, Healer};
use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};
use observer_core::summary::Tally;

use crate::cli::export::HealPlan;
use crate::otlp::config::Config;
use crate::otlp::{Exporter, FLUSH, Gauge, StartError};
use crate::sink::Sink;

/// The sink that `plan` asks for: `inner`, which is also told what healing makes; and the export.
///
/// # Errors
///
/// If there is to be an export, and it can't be started.
pub fn around<'a>(
    plan: Option<&HealPlan>,
    inner: Box<dyn Sink + 'a>,
) -> Result<Box<dyn Sink + 'a>, StartError> {
    let (sink, _) = around_with_gauge(plan, inner)?;
    Ok(sink)
}

/// The same, with what tells how the export stands.
///
/// # Errors
///
/// As [`around`].
pub fn around_with_gauge<'a>(
    plan: Option<&HealPlan>,
    inner: Box<dyn Sink + 'a>,
) -> Result<(Box<dyn Sink + 'a>, Gauge), StartError> {
    let Some(plan) = plan else {
        return Ok((inner, Gauge::default()));
    };
    let exporter = match &plan.otlp {
        Some(otlp) => {
            let config = Config::new(otlp, |name| std::env::var(name).ok())?;
            Some(Exporter::start(config)?)
        }
        None => None,
    };
    let gauge = exporter.as_ref().map(Exporter::gauge).unwrap_or_default();
    let healing = Box::new(Healing {
        healer: Healer::new(plan.settings),
        healed: Vec::new(),
        exporter,
        inner,
    });
    Ok((healing, gauge))
}

/// Heals what passes through.
struct Healing<'a> {
    healer: Healer,
    healed: Vec<Healed>,
    exporter: Option<Exporter>,
    inner: Box<dyn Sink + 'a>,
}

impl Healing<'_> {
    fn pass_on(&mut self) -> io::Result<()> {
        for item in self.healed.drain(..) {
            if let Some(exporter) = &self.exporter {
                exporter.offer(&item);
            }
            self.inner.healed(item)?;
        }
        Ok(())
    }
}

impl Sink for Healing<'_> {
    fn process(&mut self, facts: &ProcessFacts) {
        self.healer.process(facts);
        self.inner.process(facts);
    }

    fn judged(&mut self, item: Judged) -> io::Result<()> {
        self.healer.judged(&item);
        if let Some(exporter) = &self.exporter {
            exporter.measure(&item);
        }
        self.inner.judged(item)
    }

    fn tick(&mut self, now: KernelNanos) -> io::Result<()> {
        self.healer.tick(now, &mut self.healed);
        self.pass_on()?;
        self.inner.tick(now)
    }

    fn count(&mut self, tally: &dyn Fn() -> Tally) {
        self.inner.count(tally);
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        self.healer.finish(&mut self.healed);
        // What is exported does not depend on whether the rest can be shown.
        let shown = self.pass_on();
        if let Some(exporter) = self.exporter.take() {
            exporter.finish(FLUSH);
        }
        shown?;
        self.inner.finish(summary)
    }
}
