//! Counts what was judged, and explains it.
//!
//! A [`Counter`] counts within bounds what one observer sees. What it counted travels as
//! [`cells`](crate::judged::counts::Cell), those of several observers are put together in a [`Tally`], and everything
//! that is said of services is a function of that alone.

mod counter;
mod derive;
mod edge;
mod estimate;
mod openmetrics;
mod page;
mod samples;
mod tally;

#[cfg(test)]
mod tests;

pub use crate::judged::wilson::rate;
pub use counter::{Circumstances, Counter, OTHER};
pub use derive::Totals;
pub use edge::verdicts_of;
pub use estimate::{Extent, extent};
pub use openmetrics::openmetrics;
pub use page::{Page, PageError, VERSION};
pub use tally::Tally;
