//! What a service is known by.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// Identity of a service: its name in its namespace (`service.namespace` and `service.name` of
/// OpenTelemetry's resources). An unobserved peer is named by its host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The namespace; empty where none is known.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub namespace: Text,
    /// The name, escaped for printing.
    pub name: Text,
}

impl Name {
    /// A name without a namespace.
    #[must_use]
    pub fn plain(name: impl Into<Text>) -> Self {
        Self {
            namespace: Text::default(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}
