//! What the observer told, read back from its JSON Lines. Only fields that the scorer uses.

use anyhow::{Context, Result};
use serde::Deserialize;

/// One line of output.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// A request and its response.
    Exchange(Exchange),
    /// A logged event.
    Log(Log),
    /// Something not seen.
    Loss(serde_json::Value),
    /// The last line.
    Summary(serde_json::Value),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// Side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read the request.
    Server,
    /// Wrote the request.
    Client,
}

/// An exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    /// Its name.
    pub id: String,
    /// Side.
    pub role: Role,
    /// Request target.
    pub target: String,
    /// Client: the request that it was done for.
    pub request: Option<String>,
    /// Server: the exchange at the other end.
    #[serde(default)]
    pub parent: Option<String>,
    /// How `request` was found.
    pub attribution: Option<Attribution>,
    /// The likeliest request, where none is known.
    #[serde(default)]
    pub inferred: Option<Inferred>,
    /// The judgement.
    pub verdict: Option<String>,
}

/// A line.
#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    /// The text.
    pub line: String,
    /// The request that it was written for.
    pub request: Option<String>,
    /// How `request` was found.
    pub attribution: Option<Attribution>,
    /// The likeliest request, where none is known.
    #[serde(default)]
    pub inferred: Option<Inferred>,
    /// The judgement.
    pub verdict: String,
}

/// How a link was found, or why not.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Attribution {
    /// Kind of evidence.
    pub tier: Option<String>,
    /// How sure the observer is that the link is right, from 0 to 1.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// Why there is no link.
    pub reason: Option<String>,
}

/// What is likely, and decides nothing.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Inferred {
    /// Its name among kinds of evidence.
    pub tier: String,
    /// The request.
    pub request: String,
    /// How sure the observer is, from 0 to 1.
    pub confidence: f64,
}

/// Reads all lines.
///
/// # Errors
/// When a line is not an object of the output contract.
pub fn read(lines: &[String]) -> Result<Vec<Told>> {
    lines
        .iter()
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("not a line of the contract: {line}"))
        })
        .collect()
}
