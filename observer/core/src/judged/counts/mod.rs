//! Counts as they travel: flat, of bounded kinds, and such that those of several observers add up.
//!
//! Everything that is said of services and edges is derived from [`Cell`]s ([`crate::summary`]), so it comes
//! out the same from a recording, an agent's page and a Prometheus server. A cell is one series of
//! [docs/metrics.md](../../../../../docs/metrics.md).

mod cell;
mod families;
mod labels;
mod left_out;
mod name;
mod sample;
mod series;

pub use cell::{Carried, Cell, How, Inbound, Unread};
pub use families::{FAMILIES, Family, LABELS};
pub use labels::NotACell;
pub use left_out::{LeftOut, Measure, Reckoned, Reckoning};
pub use name::Name;
pub use sample::Sample;
use serde::{Deserialize, Serialize};
pub use series::Series;

/// Counts with what shows them by example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Counts, in the order of their cells.
    #[serde(rename = "counts")]
    pub series: Vec<Series>,
    /// Examples; they may be missing, as where counts come from a Prometheus server.
    #[serde(default)]
    pub samples: Vec<Sample>,
}
