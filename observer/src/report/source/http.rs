//! Asks over HTTP, within bounds of time and size.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};

/// Bytes of an answer that are read: a fleet of 2 000 edges needs some 10 MB.
const ANSWER: usize = 512 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody answered, or not whole.
    #[error("no answer: {0}")]
    Transport(String),
    /// The answer is a refusal.
    #[error("answered {status}{remark}")]
    Status {
        /// Its status.
        status: StatusCode,
        /// The beginning of what it said, made printable, after a colon.
        remark: String,
    },
    /// The answer does not end.
    #[error("the answer is longer than {} MiB", ANSWER / 1024 / 1024)]
    TooLong,
    /// The client can't be made.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
}

/// A client that sends these headers.
pub(super) fn client(timeout: Duration, headers: &[(String, String)]) -> Result<Client, HttpError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || HttpError::Client(format!("the header {name} can't be sent"));
        let key = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        map.append(key, value);
    }
    Client::builder()
        .user_agent(concat!("observer/", env!("CARGO_PKG_VERSION")))
        .default_headers(map)
        .timeout(timeout)
        .build()
        .map_err(|error| HttpError::Client(with_causes(&error)))
}

/// Sends a request and reads the whole answer; `whatever` takes refusals as answers, too.
pub(super) async fn answer(request: RequestBuilder, whatever: bool) -> Result<Vec<u8>, HttpError> {
    let failed = |error: reqwest::Error| HttpError::Transport(with_causes(&error.without_url()));
    let mut answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() || whatever && !body.is_empty() {
        return Ok(body);
    }
    Err(HttpError::Status {
        status,
        remark: remark(&body),
    })
}

/// The beginning of a body, made printable.
pub(super) fn remark(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body)
        .trim()
        .chars()
        .take(200)
        .collect();
    match text.as_str() {
        "" => String::new(),
        text => format!(": {}", observer_core::text::printable(text)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
