//! What the labels of a series say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::{How, Name};
use crate::judged::Verdict;
use crate::text::{Text, printable};

/// Why a series is no cell of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACell {
    /// No such family.
    #[error("no such metric is known")]
    Metric,
    /// A label that must be there is missing, or has a value that is not known.
    #[error("label {0} is missing, or its value is not known")]
    Label(&'static str),
}

/// The label that says what matters of a call, and its value.
pub(super) fn how_label(how: How) -> Option<(&'static str, &'static str)> {
    Some(match how {
        How::Plain => return None,
        How::SameExecution => ("execution", "same"),
        How::OtherExecution => ("execution", "other"),
        How::SameFormat => ("format", "same"),
        How::OtherFormat => ("format", "other"),
        How::ForRequest => ("request", "with"),
        How::ForNone => ("request", "without"),
    })
}

/// The labels of a series.
pub(super) struct Labels<'a>(pub(super) &'a BTreeMap<Text, Text>);

impl Labels<'_> {
    fn raw(&self, label: &str) -> &str {
        self.0.get(label).map_or("", Text::as_str)
    }

    pub(super) fn text(&self, label: &'static str) -> Result<Text, NotACell> {
        match self.raw(label) {
            "" => Err(NotACell::Label(label)),
            text => Ok(printable(text).into()),
        }
    }

    pub(super) fn name(
        &self,
        name: &'static str,
        namespace: &'static str,
    ) -> Result<Name, NotACell> {
        Ok(Name {
            namespace: self.text(namespace).unwrap_or_default(),
            name: self.text(name)?,
        })
    }

    pub(super) fn word<T: DeserializeOwned>(&self, label: &'static str) -> Result<T, NotACell> {
        let word: StrDeserializer<'_, WordError> = self.raw(label).into_deserializer();
        T::deserialize(word).map_err(|_| NotACell::Label(label))
    }

    /// What matters of a call with this verdict; labels that do not go with it are no part of it.
    pub(super) fn how(&self, verdict: Verdict) -> Result<How, NotACell> {
        let which = |label, yes: &str, no: &str| match self.raw(label) {
            value if value == yes => Ok(true),
            value if value == no => Ok(false),
            _ => Err(NotACell::Label(label)),
        };
        let (mut execution, mut format, mut request) = (false, false, false);
        match How::of(verdict, true, true, true) {
            How::SameExecution => execution = which("execution", "same", "other")?,
            How::SameFormat => format = which("format", "same", "other")?,
            How::ForRequest => request = which("request", "with", "without")?,
            _ => {}
        }
        Ok(How::of(verdict, execution, format, request))
    }
}

/// The word that JSON has for a value without fields.
pub(super) fn word(value: &impl Serialize) -> Text {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().into()
}
