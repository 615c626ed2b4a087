//! Sends one request, over HTTP or gRPC, and says what became of it in OTLP's terms.

mod grpc;
mod http;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

use super::config::{ConfigError, Target};
use crate::cli::export::Protocol;

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A request.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Spans(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Request {
    /// Its length on the wire, before compression.
    pub fn len(&self) -> usize {
        match self {
            Self::Spans(r) => r.encoded_len(),
            Self::Logs(r) => r.encoded_len(),
            Self::Metrics(r) => r.encoded_len(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Spans(r) => r.encode_to_vec(),
            Self::Logs(r) => r.encode_to_vec(),
            Self::Metrics(r) => r.encode_to_vec(),
        }
    }

    /// Reads the answer to such a request; one that is none says nothing was rejected.
    fn answer(&self, bytes: &[u8]) -> Outcome {
        match self {
            Self::Spans(_) => ExportTraceServiceResponse::decode(bytes).map(Outcome::from),
            Self::Logs(_) => ExportLogsServiceResponse::decode(bytes).map(Outcome::from),
            Self::Metrics(_) => ExportMetricsServiceResponse::decode(bytes).map(Outcome::from),
        }
        .unwrap_or_else(|_| Outcome::taken(0, String::new()))
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken, but for some of its items.
    Taken {
        /// How many were rejected.
        rejected: u64,
        /// Why, or another remark.
        message: Option<String>,
    },
    /// It may be taken later.
    Later {
        /// When the endpoint wants to be asked again.
        after: Option<Duration>,
        /// Why it was not.
        why: String,
    },
    /// It may be taken in smaller parts.
    TooLarge(String),
    /// It is not taken.
    Refused(String),
}

impl Outcome {
    fn taken(rejected: i64, message: String) -> Self {
        Self::Taken {
            rejected: u64::try_from(rejected).unwrap_or(0),
            message: Some(message).filter(|m| !m.is_empty()),
        }
    }

    fn later(after: Option<Duration>, why: String) -> Self {
        Self::Later {
            after: after.map(|d| d.min(LONGEST_WAIT)),
            why,
        }
    }
}

impl From<ExportTraceServiceResponse> for Outcome {
    fn from(answer: ExportTraceServiceResponse) -> Self {
        let partial = answer.partial_success.unwrap_or_default();
        Self::taken(partial.rejected_spans, partial.error_message)
    }
}

impl From<ExportLogsServiceResponse> for Outcome {
    fn from(answer: ExportLogsServiceResponse) -> Self {
        let partial = answer.partial_success.unwrap_or_default();
        Self::taken(partial.rejected_log_records, partial.error_message)
    }
}

impl From<ExportMetricsServiceResponse> for Outcome {
    fn from(answer: ExportMetricsServiceResponse) -> Self {
        let partial = answer.partial_success.unwrap_or_default();
        Self::taken(partial.rejected_data_points, partial.error_message)
    }
}

/// A client for one target.
pub(super) enum Client {
    Http(http::Client),
    Grpc(Box<grpc::Client>),
}

impl Client {
    /// A client that has not connected yet. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// If certificates, keys or headers can't be used.
    pub fn new(target: &Target) -> Result<Self, ConfigError> {
        Ok(match target.protocol {
            Protocol::Http => Self::Http(http::Client::new(target)?),
            Protocol::Grpc => Self::Grpc(Box::new(grpc::Client::new(target)?)),
        })
    }

    /// Sends one request.
    pub async fn send(&self, request: &Request) -> Outcome {
        match self {
            Self::Http(client) => client.send(request).await,
            Self::Grpc(client) => client.send(request).await,
        }
    }
}

/// An error with its causes, those that say something new.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
