//! Examples of what is counted.

use serde::{Deserialize, Serialize};

use super::Name;
use crate::judged::WallTime;
use crate::text::Text;

/// A call or logged event that shows what a count is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// When it happened.
    pub time: WallTime,
    /// Its name in the output of the observer that saw it: `x17`, `l42`.
    pub id: Text,
    /// Which observer that is, where several are put together.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub source: Text,
    /// Whose it is.
    pub service: Name,
    /// Who is called; absent of a logged event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Name>,
    /// Word of the verdict.
    pub verdict: Text,
    /// Method and path template of a call, source of a logged event.
    pub what: Text,
    /// Trace-id that the request came in with.
    #[serde(default)]
    pub trace_id: Option<Text>,
    /// Another trace-id that the call or event carries.
    #[serde(default)]
    pub sent_trace_id: Option<Text>,
}
