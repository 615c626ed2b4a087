//! What was asked of the API server, from its audit log.

use anyhow::Result;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Group of the resource; empty for the core's.
    pub group: String,
    /// The resource, in the plural.
    pub resource: String,
    /// What was to be done with it, in RBAC's words.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// HTTP status of the answer.
    pub status: u64,
}

impl Asked {
    /// What `user` asked, in the order of a log in the API server's format. The last line may still be written.
    pub(super) fn of(log: &str, user: &str) -> Result<Vec<Self>> {
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut asked = Vec::new();
        for line in whole.lines() {
            let event: Value = serde_json::from_str(line)?;
            if event["user"]["username"] == user {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let object = &event["objectRef"];
                asked.push(Self {
                    group: text(&object["apiGroup"]),
                    resource: text(&object["resource"]),
                    verb: text(&event["verb"]),
                    uri: text(&event["requestURI"]),
                    status: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                });
            }
        }
        Ok(asked)
    }
}
