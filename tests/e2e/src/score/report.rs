//! What a test demands of a score, and the score in words.

use std::fmt;

use super::{Score, Tally, Unrelated};

/// What a test demands.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Least share of requests, calls and lines that must be told.
    pub seen: f64,
    /// Least share of calls and lines that must be given to their request.
    pub attributed: f64,
    /// Whether background work must have been seen, so that not accusing it means something.
    pub background: bool,
}

impl Demand {
    /// Of services with a thread per request: nearly everything known, nothing wrong.
    pub const THREAD_PER_REQUEST: Self = Self {
        seen: 0.99,
        attributed: 0.99,
        background: true,
    };

    /// Of services that share threads: everything seen, nothing wrong, abstention welcome.
    pub const SHARED_THREADS: Self = Self {
        seen: 0.99,
        attributed: 0.0,
        background: true,
    };
}

impl Score {
    /// Whether nothing was given to a wrong request, and to none what was done for none.
    ///
    /// # Errors
    /// The first errors, word for word.
    pub fn gives_nothing_wrong(&self) -> Result<(), String> {
        let wrong = self.calls.wrong + self.lines.wrong;
        let background = self.background_calls.given + self.background_lines.given;
        match wrong + background {
            0 => Ok(()),
            _ => Err(format!("{:?}", self.samples)),
        }
    }

    /// Whether `demand` is met, and nothing wrong was told.
    ///
    /// # Errors
    /// Everything that is not as demanded, and the score.
    pub fn meets(&self, demand: Demand) -> Result<(), String> {
        let mut faults = Vec::new();
        let mut fault = |wrong: bool, text: String| {
            if wrong {
                faults.push(text);
            }
        };
        fault(
            !self.summarised,
            "the output does not end with one summary".to_owned(),
        );
        for (name, tally) in [
            ("requests", &self.requests),
            ("calls", &self.calls),
            ("lines", &self.lines),
        ] {
            let least = |share: f64| share * tally.total as f64;
            fault(
                (tally.seen as f64) < least(demand.seen),
                format!("too few {name} seen"),
            );
            fault(tally.repeated > 0, format!("{name} told twice"));
            fault(tally.wrong > 0, format!("{name} given to wrong requests"));
            if name != "requests" {
                fault(tally.total == 0, format!("the workload had no {name}"));
                fault(
                    (tally.right as f64) < least(demand.attributed),
                    format!("too few {name} attributed"),
                );
                fault(
                    tally.silent > 0,
                    format!("{name} not attributed, without a reason"),
                );
                fault(tally.verdict_wrong > 0, format!("wrong verdicts on {name}"));
                fault(tally.accused > 0, format!("{name} falsely accused"));
                fault(
                    demand.attributed > 0.0 && tally.verdict_right < tally.right,
                    format!("attributed {name} without their right verdict"),
                );
            }
        }
        for (name, unrelated) in [
            ("background calls", &self.background_calls),
            ("background lines", &self.background_lines),
        ] {
            fault(
                demand.background && unrelated.seen == 0,
                format!("no {name} seen"),
            );
            fault(unrelated.given > 0, format!("{name} given to requests"));
            fault(unrelated.accused > 0, format!("{name} accused"));
        }
        fault(
            self.exports.accused > 0,
            "telemetry export accused".to_owned(),
        );
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!("{}\n{self}", faults.join("; ")))
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "total {} seen {} repeated {} | right {} wrong {} silent {} | verdict right {} wrong {} accused {}",
            self.total,
            self.seen,
            self.repeated,
            self.right,
            self.wrong,
            self.silent,
            self.verdict_right,
            self.verdict_wrong,
            self.accused
        )
    }
}

impl fmt::Display for Unrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seen {} given {} accused {}",
            self.seen, self.given, self.accused
        )
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  requests    {}", self.requests)?;
        writeln!(f, "  calls       {}", self.calls)?;
        writeln!(f, "  lines       {}", self.lines)?;
        writeln!(
            f,
            "  background  calls {} | lines {}",
            self.background_calls, self.background_lines
        )?;
        writeln!(f, "  exports     {}", self.exports)?;
        for ((what, right, said), n) in &self.verdicts {
            writeln!(f, "  {what} {right} -> {said}: {n}")?;
        }
        for (ground, n) in &self.grounds {
            writeln!(f, "  ground {ground}: {n}")?;
        }
        for loss in &self.losses {
            writeln!(f, "  loss {loss}")?;
        }
        for sample in &self.samples {
            writeln!(f, "  ! {sample}")?;
        }
        Ok(())
    }
}
