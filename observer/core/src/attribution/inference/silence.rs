//! Why nothing is inferred.

use std::fmt;

use super::MAX_CANDIDATES;
use super::scores::{MIN_TRIALS, Score};

/// Why nothing is inferred about some work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Silence {
    /// Stronger evidence names its request.
    Certain,
    /// The reason why no evidence names one speaks against all of them, or is about what was lost.
    Excluded,
    /// No request was in flight.
    NoRequest,
    /// More requests were in flight than are looked at.
    TooMany,
    /// It became known only after requests had ended that it may have been done for.
    Late,
    /// What requests of a route in flight do is not known.
    Unknown,
    /// No request is likely enough.
    Undecided,
    /// It went on after the end of the likeliest request.
    Outside,
    /// Such work is done without requests too.
    Background,
    /// Requests may be in flight that are not observed.
    Unseen,
    /// Records were lost.
    Lost,
    /// Too few such inferences could be checked, or too few were right.
    Unproven(Score),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certain => f.write_str("not needed, as there is evidence"),
            Self::Excluded => f.write_str("nothing, as what is known speaks against any request"),
            Self::NoRequest => f.write_str("nothing, as no request was in flight"),
            Self::TooMany => write!(
                f,
                "nothing, as more than {MAX_CANDIDATES} requests were in flight"
            ),
            Self::Late => f.write_str("nothing, as a request that ended meanwhile may be its own"),
            Self::Unknown => f.write_str(
                "nothing, as it is not known yet what is done for such requests, and when",
            ),
            Self::Undecided => f.write_str("nothing, as none is likely enough"),
            Self::Outside => f.write_str("nothing, as the likeliest request ended before it did"),
            Self::Background => f.write_str("nothing, as such work is done without requests too"),
            Self::Unseen => f.write_str("nothing, as requests may be in flight unseen"),
            Self::Lost => f.write_str("nothing, as records were lost meanwhile"),
            Self::Unproven(Score { right, trials }) if *trials < MIN_TRIALS => write!(
                f,
                "nothing, as only {trials} such inferences could be checked, of which {right} were right"
            ),
            Self::Unproven(Score { right, trials }) => write!(
                f,
                "nothing, as of {trials} inferences that could be checked only {right} were right"
            ),
        }
    }
}
