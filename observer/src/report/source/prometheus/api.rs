//! The HTTP API of Prometheus, as Thanos and Mimir have it too (`/api/v1/query`).

use std::collections::BTreeMap;

use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::http::{HttpError, answer, remark};
use super::series::Target;
use observer_core::text::printable;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answered.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused the query.
    #[error("the server can't answer a query: {0}")]
    Query(String),
    /// The answer is none of a Prometheus server.
    #[error("the answer is not that of a Prometheus server{0}")]
    Answer(String),
}

/// A value at one time.
#[derive(Debug, Deserialize)]
pub(super) struct Instant {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "value")]
    pub value: f64,
}

impl Instant {
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    pub(super) fn target(&self) -> Target {
        Target::of(&self.labels)
    }
}

/// Values at several times: milliseconds since 1970, and the value.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    #[serde(rename = "values", deserialize_with = "values")]
    pub samples: Vec<(u64, f64)>,
}

/// A pair of seconds and the value as text, as JSON has it.
type Pair = (f64, String);

fn value<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let (_, value) = Pair::deserialize(from)?;
    value.parse().map_err(serde::de::Error::custom)
}

fn values<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<(u64, f64)>, D::Error> {
    let pairs = Vec::<Pair>::deserialize(from)?;
    let pair = |(seconds, value): Pair| {
        let value = value.parse().map_err(serde::de::Error::custom)?;
        Ok((super::series::millis(seconds), value))
    };
    pairs.into_iter().map(pair).collect()
}

#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    data: Option<Data<T>>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data<T> {
    result: Vec<T>,
}

/// A server, and what it warned of.
pub(super) struct Api {
    client: Client,
    url: String,
    warnings: Vec<String>,
}

impl Api {
    pub(super) fn new(client: Client, url: &str) -> Self {
        Self {
            client,
            url: format!("{url}/api/v1/query"),
            warnings: Vec::new(),
        }
    }

    /// The values of a query at a time, milliseconds since 1970.
    pub(super) async fn instant(&mut self, query: &str, at: u64) -> Result<Vec<Instant>, ApiError> {
        self.ask(query, at).await
    }

    /// The samples of a range query (`metric[1h]`) that ends at a time.
    pub(super) async fn range(&mut self, query: &str, at: u64) -> Result<Vec<Range>, ApiError> {
        self.ask(query, at).await
    }

    /// What the server warned of, once each: a part of its stores may be away.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort();
        warnings.dedup();
        warnings
    }

    async fn ask<T: DeserializeOwned>(&mut self, query: &str, at: u64) -> Result<Vec<T>, ApiError> {
        let time = format!("{}.{:03}", at / 1_000, at % 1_000);
        let form = [("query", query), ("time", &time)];
        let body = form.map(|(name, value)| {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        });
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let body = answer(request, true).await?;
        let Ok(answer) = serde_json::from_slice::<Answer<T>>(&body) else {
            return Err(ApiError::Answer(remark(&body)));
        };
        let shown = |text: &str| printable(text).chars().take(300).collect::<String>();
        self.warnings
            .extend(answer.warnings.iter().map(|w| shown(w)));
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data.result),
            _ => Err(ApiError::Query(shown(
                answer.error.as_deref().unwrap_or("no reason given"),
            ))),
        }
    }
}
