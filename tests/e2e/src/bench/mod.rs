//! The truth bench: how much the observer attributes in each runtime, and how much of that is wrong.
//!
//! Each service is driven with three loads. *Mixed* has every mode, kind of line and kind of inbound
//! context, changing from request to request; half of the calls are made in parallel where the service
//! can. *Propagating* is the control: everything carries its context, so whoever is accused is accused
//! falsely. *Leaking* is a service that mixes its requests up: every call carries the context of another
//! request, so that whoever believes the trace-id alone is wrong each time. While it is driven, each service works for no request as well, with calls and lines that no
//! request may be given.

mod case;
mod row;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::app::App;
use crate::plan::{Mix, Mode};
pub use row::{Counts, Row};
pub use table::markdown;

/// What is asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Every mode in turn.
    Mixed,
    /// One mode only, with lines that carry the id.
    Only(Mode),
}

impl Load {
    /// The load of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "mixed" {
            return Some(Self::Mixed);
        }
        let mut modes = Mode::ALL.into_iter().chain([Mode::Leak]);
        let mode = modes.find(|mode| mode.name() == name)?;
        Some(Self::Only(mode))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Only(mode) => mode.name(),
        }
    }

    /// Whether it makes sense: a leak needs a process that serves several requests at a time and makes calls,
    /// and is the same at any number of them.
    fn suits(self, app: App, clients: usize) -> bool {
        let several = (2..=case::WORKERS).contains(&clients);
        self != Self::Only(Mode::Leak) || (several && app.works_by_itself())
    }

    fn mix(self, parallel: bool) -> Mix {
        let mix = match self {
            Self::Mixed => Mix::everything(),
            // The control's lines carry the id as well: none of them may be accused.
            Self::Only(Mode::Propagate) => Mix::sdk(),
            Self::Only(mode) => Mix::only(mode),
        };
        Mix { parallel, ..mix }
    }
}

/// What the bench runs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The services.
    pub apps: Vec<App>,
    /// Requests at a time.
    pub concurrency: Vec<usize>,
    /// What is asked of them.
    pub loads: Vec<Load>,
    /// Requests in one run.
    pub requests: usize,
    /// Where the recordings of runs with an error go.
    pub recordings: PathBuf,
    /// Whether those of all other runs go there, too.
    pub keep: bool,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// One per service, concurrency and load.
    pub rows: Vec<Row>,
    /// Services that could not be run, and why.
    pub skipped: Vec<(String, String)>,
    /// Runs that failed, and how.
    pub failed: Vec<(String, String)>,
}

impl Bench {
    /// Runs everything; `tell` gets a line about each run as it ends.
    ///
    /// # Errors
    /// When the folder of recordings can't be made. A run that fails is noted in the results.
    pub fn run(&self, mut tell: impl FnMut(&str)) -> Result<Results> {
        std::fs::create_dir_all(&self.recordings)?;
        let mut results = Results::default();
        for app in &self.apps {
            if let Some(why) = app.missing() {
                tell(&format!("{}: skipped: {why}", app.name));
                results.skipped.push((app.name.to_owned(), why));
                continue;
            }
            for &clients in &self.concurrency {
                let name = format!("{} at {clients}", app.name);
                if let Err(error) = self.service(*app, clients, &mut results, &mut tell) {
                    tell(&format!("{name}: failed: {error:#}"));
                    results.failed.push((name, format!("{error:#}")));
                }
            }
        }
        Ok(results)
    }

    fn service(
        &self,
        app: App,
        clients: usize,
        results: &mut Results,
        tell: &mut impl FnMut(&str),
    ) -> Result<()> {
        let case = case::Case::start(app, clients)?;
        for load in self.loads.iter().filter(|load| load.suits(app, clients)) {
            // One at a time takes its time, and shows as much in fewer requests.
            let requests = self.requests / if clients == 1 { 3 } else { 1 };
            let row = case.run(*load, requests, &self.recordings, self.keep)?;
            tell(&row.to_string());
            results.rows.push(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
