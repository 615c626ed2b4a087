//! OTLP over gRPC (OTLP specification, "OTLP/gRPC").

use observer_core::text::printable;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Outcome, Request, with_causes};
use crate::otlp::config::{ConfigError, Target};

/// A client for one address. It connects when it is first used, and again when the connection was lost.
pub(in crate::otlp) struct Client {
    spans: TraceServiceClient<Channel>,
    logs: LogsServiceClient<Channel>,
    metrics: MetricsServiceClient<Channel>,
    metadata: MetadataMap,
}

impl Client {
    pub(super) fn new(target: &Target) -> Result<Self, ConfigError> {
        let wrong = |e: tonic::transport::Error| ConfigError::Client(with_causes(&e));
        let mut endpoint = Endpoint::from_shared(target.url.to_string())
            .and_then(|e| e.user_agent(super::super::USER_AGENT))
            .map_err(wrong)?
            .timeout(target.timeout)
            .connect_timeout(target.timeout);
        if target.url.scheme() == "https" {
            endpoint = endpoint.tls_config(tls(target)).map_err(wrong)?;
        }
        let channel = endpoint.connect_lazy();
        let mut client = Self {
            spans: TraceServiceClient::new(channel.clone()),
            logs: LogsServiceClient::new(channel.clone()),
            metrics: MetricsServiceClient::new(channel),
            metadata: metadata(&target.headers)?,
        };
        if target.gzip {
            let gzip = CompressionEncoding::Gzip;
            client.spans = client.spans.send_compressed(gzip);
            client.logs = client.logs.send_compressed(gzip);
            client.metrics = client.metrics.send_compressed(gzip);
        }
        Ok(client)
    }

    pub(super) async fn send(&self, request: &Request) -> Outcome {
        let answer = match request.clone() {
            Request::Spans(r) => {
                let answer = self.spans.clone().export(self.with_metadata(r)).await;
                answer.map(|a| Outcome::from(a.into_inner()))
            }
            Request::Logs(r) => {
                let answer = self.logs.clone().export(self.with_metadata(r)).await;
                answer.map(|a| Outcome::from(a.into_inner()))
            }
            Request::Metrics(r) => {
                let answer = self.metrics.clone().export(self.with_metadata(r)).await;
                answer.map(|a| Outcome::from(a.into_inner()))
            }
        };
        answer.unwrap_or_else(|status| outcome(&status))
    }

    fn with_metadata<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }
}

fn tls(target: &Target) -> ClientTlsConfig {
    let tls = match &target.tls.authority {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match &target.tls.identity {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    }
}

fn metadata(given: &[(String, String)]) -> Result<MetadataMap, ConfigError> {
    let mut map = MetadataMap::new();
    for (name, value) in given {
        let wrong = || ConfigError::Client(format!("the header {name} can't be sent"));
        let key: AsciiMetadataKey = name.to_ascii_lowercase().parse().map_err(|_| wrong())?;
        let value = AsciiMetadataValue::try_from(value.as_str()).map_err(|_| wrong())?;
        map.append(key, value);
    }
    Ok(map)
}

/// Which errors are worth another try is written in the OTLP specification.
fn outcome(status: &Status) -> Outcome {
    let after = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    let message = printable(status.message()).into_owned();
    let why = format!("{:?}: {message}", status.code());
    let why = match std::error::Error::source(status) {
        Some(cause) => format!("{why}: {}", with_causes(cause)),
        None => why,
    };
    match status.code() {
        Code::ResourceExhausted if after.is_none() => {
            // grpc-go: "grpc: received message larger than max (5000000 vs. 4194304)".
            if message.contains("larger than max") {
                Outcome::TooLarge(why)
            } else {
                Outcome::Refused(why)
            }
        }
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::later(after, why),
        // What the transport could not do is told as unknown.
        Code::Unknown if std::error::Error::source(status).is_some() => Outcome::later(None, why),
        _ => Outcome::Refused(why),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn errors_are_sorted_as_the_specification_says() {
        let plain = |code| outcome(&Status::new(code, "x"));
        assert!(matches!(
            plain(Code::Unavailable),
            Outcome::Later { after: None, .. }
        ));
        assert!(matches!(plain(Code::Unauthenticated), Outcome::Refused(_)));
        assert!(matches!(plain(Code::Unimplemented), Outcome::Refused(_)));
        assert!(matches!(
            plain(Code::ResourceExhausted),
            Outcome::Refused(_)
        ));
        let large = "grpc: received message larger than max (5 vs. 4)";
        let large = outcome(&Status::new(Code::ResourceExhausted, large));
        assert!(matches!(large, Outcome::TooLarge(_)));
    }

    #[test]
    fn an_endpoint_may_say_when_to_come_again() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let status = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        let Outcome::Later { after, .. } = outcome(&status) else {
            panic!("not to be tried again");
        };
        assert_eq!(after, Some(Duration::from_secs(3)));
    }
}
