//! What an agent tells of its counts, as JSON.

use serde::{Deserialize, Serialize};

use crate::judged::WallTime;
use crate::judged::counts::Counted;
use crate::text::Text;

/// Version of the page. Further fields, metrics and labels do not make a new one.
pub const VERSION: u32 = 1;

/// Everything that an agent has counted since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// [`VERSION`].
    pub version: u32,
    /// Version of the program.
    pub program: Text,
    /// The agent: name of its host or node, unique in the fleet.
    pub agent: Text,
    /// When it began to count.
    pub since: WallTime,
    /// Its clock when it answered.
    pub now: WallTime,
    /// The counts.
    #[serde(flatten)]
    pub counted: Counted,
}

/// Why a page can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is of another version.
    #[error("its page of counts has version {0}, of which this observer knows only {VERSION}")]
    Version(u32),
    /// It is no such page.
    #[error("its answer is no page of counts: {0}")]
    Json(#[from] serde_json::Error),
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    ///
    /// See [`PageError`].
    pub fn read(json: &[u8]) -> Result<Self, PageError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(json)?;
        if head.version != VERSION {
            return Err(PageError::Version(head.version));
        }
        Ok(serde_json::from_slice(json)?)
    }
}
