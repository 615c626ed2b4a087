//! OTLP over HTTP with binary protobuf (OTLP specification, "OTLP/HTTP").

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use observer_core::text::printable;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Response, StatusCode, Url};

use super::{Outcome, Request, with_causes};
use crate::otlp::config::{ConfigError, Target};

/// Bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// Characters of an answer that are told.
const TOLD: usize = 200;

/// A client for one address.
pub(in crate::otlp) struct Client {
    client: reqwest::Client,
    url: Url,
    gzip: bool,
}

impl Client {
    pub(super) fn new(target: &Target) -> Result<Self, ConfigError> {
        let wrong = |e: reqwest::Error| ConfigError::Client(with_causes(&e));
        let mut builder = reqwest::Client::builder()
            .user_agent(super::super::USER_AGENT)
            .default_headers(headers(&target.headers)?)
            // A redirected POST would become a GET.
            .redirect(Policy::none())
            .timeout(target.timeout);
        if let Some(pem) = &target.tls.authority {
            builder = builder.tls_built_in_root_certs(false);
            for certificate in Certificate::from_pem_bundle(pem).map_err(wrong)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let Some((certificate, key)) = &target.tls.identity {
            let pem = [certificate.as_slice(), b"\n", key].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
        }
        Ok(Self {
            client: builder.build().map_err(wrong)?,
            url: target.url.clone(),
            gzip: target.gzip,
        })
    }

    pub(super) async fn send(&self, request: &Request) -> Outcome {
        let mut post = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf");
        let mut body = request.encode();
        if self.gzip
            && let Ok(smaller) = gzip(&body)
        {
            body = smaller;
            post = post.header(CONTENT_ENCODING, "gzip");
        }
        match post.body(body).send().await {
            Ok(answer) => read(request, answer).await,
            Err(error) => Outcome::later(None, with_causes(&error)),
        }
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = |_| ConfigError::Client(format!("the header {name} can't be sent"));
        let key = HeaderName::try_from(name).map_err(|_| wrong(()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong(()))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

async fn read(request: &Request, answer: Response) -> Outcome {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(wait);
    let page = is_page(answer.headers());
    let body = body(answer).await;
    if status.is_success() && page {
        return Outcome::Refused(format!(
            "{status}, but with a page for people: is this the address of an OTLP receiver?"
        ));
    }
    if status.is_success() {
        return request.answer(&body);
    }
    let why = format!("{status}{}", remark(&body));
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge(why),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Outcome::later(after, why),
        _ => Outcome::Refused(why),
    }
}

/// Whether the answer is HTML, as of a web server or a login in front of it, which takes no telemetry.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// The beginning of an answer's body; what can't be read is left out.
async fn body(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ANSWER
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body
}

/// What an answer says in text. Errors may also be a `google.rpc.Status`, whose message is text
/// among a few other bytes.
fn remark(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body)
        .chars()
        .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
        .take(TOLD)
        .collect();
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    format!(": {}", printable(text))
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn wait(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let wait = |text: &str| wait(&HeaderValue::from_str(text).unwrap());
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

    #[test]
    fn pages_are_told_from_answers() {
        let of = |kind: Option<&'static str>| {
            let kind = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
            is_page(&HeaderMap::from_iter(kind))
        };
        assert!(of(Some("text/html")) && of(Some("Text/HTML; charset=utf-8")));
        assert!(!of(Some("application/x-protobuf")) && !of(Some("text/plain")) && !of(None));
    }

    #[test]
    fn remarks_are_short_and_printable() {
        assert_eq!(remark(b""), "");
        assert_eq!(remark(b"\x08\x03\x12\x0bno such org"), ": no such org");
        assert_eq!(remark(&[b'x'; 9_999]).len(), 2 + TOLD);
        assert_eq!(
            remark("a\u{1b}[31m\u{202e}b".as_bytes()),
            r": a[31m\u{202e}b"
        );
    }
}
