//! What observing may take, as it is typed and as it is meant.

use std::fmt;
use std::str::FromStr;

use clap::Args;

use super::size::{Share, Size};

/// What the observer may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Processor time, of the observer and of its probes.
    pub cpu: CpuBudget,
    /// Resident memory.
    pub memory: Size,
    /// Connections that are observed even within the budget.
    pub sample: Share,
}

impl Budget {
    /// Everything is observed, whatever that takes.
    pub const NONE: Self = Self {
        cpu: CpuBudget::Off,
        memory: Size(u64::MAX),
        sample: Share::ALL,
    };
}

/// How much processor time observing may take before fewer connections are observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CpuBudget {
    /// A twentieth of the host's processors, and two thirds of what is idle of them beyond a quarter.
    #[default]
    Auto,
    /// A share of one core.
    Core(Share),
    /// As much as it takes. Records for which the kernel has no room are lost.
    Off,
}

impl FromStr for CpuBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            share => share
                .parse()
                .map(Self::Core)
                .map_err(|why: String| format!("{why}, nor `auto` or `off`")),
        }
    }
}

impl fmt::Display for CpuBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Core(share) => write!(f, "{share} of a core"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// Arguments of what watches for a while.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Budget")]
pub struct BudgetArgs {
    /// Processor time beyond which fewer connections are observed: a share of one core (0.5, 50%), auto, or off
    ///
    /// What the probes take counts as well. `auto` is a twentieth of the host's processors, and two thirds of what
    /// is idle of them beyond a quarter. Unless it is off, the share also falls before the kernel's ring is full. It rises when there is room, and is told.
    /// `off` observes everything: records that find no room are lost, which is told.
    #[arg(long, value_name = "SHARE", default_value = "auto")]
    pub cpu_budget: CpuBudget,
    /// Observe this share of connections even within the budget, rounded down to a half, a quarter, …
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = part)]
    pub sample: Share,
}

impl BudgetArgs {
    /// The budget that they mean.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget {
            cpu: self.cpu_budget,
            sample: self.sample,
            ..Budget::NONE
        }
    }
}

fn part(text: &str) -> Result<Share, String> {
    let share: Share = text.parse()?;
    (share.get() <= 1.0)
        .then_some(share)
        .ok_or_else(|| format!("`{text}` is more than all connections"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_of_a_core_or_one_of_two_words() {
        assert_eq!("auto".parse(), Ok(CpuBudget::Auto));
        assert_eq!("off".parse(), Ok(CpuBudget::Off));
        assert_eq!("25%".parse(), Ok(CpuBudget::Core(Share::new(0.25))));
        assert_eq!("2".parse(), Ok(CpuBudget::Core(Share::new(2.0))));
        for wrong in ["", "on", "-1", "0%"] {
            assert!(wrong.parse::<CpuBudget>().is_err(), "{wrong}");
        }
        assert!(part("100%").is_ok() && part("101%").is_err());
    }
}
