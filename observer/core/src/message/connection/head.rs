//! Message heads, over `httparse`.

use std::mem::MaybeUninit;
use std::sync::Arc;

use httparse::{Header, ParserConfig, Status};
use memchr::memchr;

use super::body::{BodyFields, Framing};
use crate::context::Extractor;
use crate::message::{Flaw, RequestHead, Version, telemetry};
use crate::text::Text;

/// Fields in a head; real servers allow at most 100–200.
const MAX_FIELDS: usize = 256;
/// Bytes kept of a method.
const MAX_METHOD: usize = 32;
/// Bytes kept of a target.
const MAX_TARGET: usize = 4096;
/// Bytes kept of `Host`.
const MAX_HOST: usize = 255;

/// What parsing came to.
#[derive(Debug)]
pub(super) enum Parsed<T> {
    /// A head of this many bytes.
    Complete(usize, T),
    /// The head does not end within the bytes.
    Partial,
    /// Not a head, or one whose fields contradict each other.
    Invalid(Flaw),
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub head: RequestHead,
    pub framing: Framing,
}

/// A response; its framing depends on the request it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    pub status: u16,
    version: u8,
    fields: BodyFields,
    /// It switches to HTTP/2.
    pub to_http2: bool,
}

impl Response {
    /// Framing when the request was not `HEAD`, or why it has none.
    pub fn framing(&self) -> Result<Framing, Flaw> {
        match self.status {
            100..=199 | 204 | 304 => Ok(Framing::Empty),
            _ => self.fields.of_response(self.version),
        }
    }
}

/// Fields in place, without the cost of zeroing them.
fn fields<'a>() -> [MaybeUninit<Header<'a>>; MAX_FIELDS] {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// Parses a request head at the start of `bytes`.
pub(super) fn request(bytes: &[u8]) -> Parsed<Request> {
    let mut space = fields();
    let mut parsed = httparse::Request::new(&mut []);
    let used = match parsed.parse_with_uninit_headers(bytes, &mut space) {
        Ok(Status::Complete(used)) => used,
        Ok(Status::Partial) => return Parsed::Partial,
        Err(error) => return Parsed::Invalid(flaw(error)),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Parsed::Invalid(Flaw::FirstLine);
    };
    let version = 10 + minor;
    let mut body = BodyFields::default();
    let mut host = None;
    let mut told = telemetry::Told::default();
    let mut carrier = Extractor::default();
    for field in parsed.headers.iter() {
        let (name, value) = (field.name, field.value);
        match name.len() {
            4 if host.is_none() && is(name, "Host") => host = Some(text(value, MAX_HOST)),
            10 if is(name, "User-Agent") => told.user_agent = value,
            12 if is(name, "Content-Type") => told.content_type = value,
            14 if is(name, "Content-Length") => body.content_length(value),
            17 if is(name, "Transfer-Encoding") => body.transfer_encoding(value),
            _ => carrier.push(name.as_bytes(), value),
        }
    }
    let framing = match body.of_request(version) {
        Ok(framing) => framing,
        Err(flaw) => return Parsed::Invalid(flaw),
    };
    let head = RequestHead {
        at: 0,
        method: keep(method, MAX_METHOD),
        target: keep(target, MAX_TARGET),
        host,
        carrier: Arc::new(carrier.finish()),
        version: if version == 10 {
            Version::Http10
        } else {
            Version::Http11
        },
        telemetry: telemetry::is_delivery(method, target, &told),
    };
    Parsed::Complete(used, Request { head, framing })
}

/// Parses a response head at the start of `bytes`.
pub(super) fn response(bytes: &[u8]) -> Parsed<Response> {
    let mut space = fields();
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = ParserConfig::default();
    // Folded fields are obsolete, but user agents must cope with them (RFC 9112 §5.2).
    config.allow_obsolete_multiline_headers_in_responses(true);
    // So does white space after a field's name (§5.1), which requests must be refused for.
    config.allow_spaces_after_header_name_in_responses(true);
    let used = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut space) {
        Ok(Status::Complete(used)) => used,
        Ok(Status::Partial) => return Parsed::Partial,
        Err(error) => return Parsed::Invalid(flaw(error)),
    };
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Parsed::Invalid(Flaw::FirstLine);
    };
    if status < 100 {
        return Parsed::Invalid(Flaw::FirstLine);
    }
    let mut fields = BodyFields::default();
    let mut to_http2 = false;
    for field in parsed.headers.iter() {
        match field.name.len() {
            7 if is(field.name, "Upgrade") => to_http2 = field.value.eq_ignore_ascii_case(b"h2c"),
            14 if is(field.name, "Content-Length") => fields.content_length(field.value),
            17 if is(field.name, "Transfer-Encoding") => fields.transfer_encoding(field.value),
            _ => {}
        }
    }
    Parsed::Complete(
        used,
        Response {
            status,
            version: 10 + minor,
            fields,
            to_http2,
        },
    )
}

fn flaw(error: httparse::Error) -> Flaw {
    use httparse::Error;
    match error {
        Error::HeaderName => Flaw::FieldName,
        Error::HeaderValue => Flaw::FieldValue,
        Error::NewLine => Flaw::LineEnd,
        Error::TooManyHeaders => Flaw::TooManyFields,
        Error::Status | Error::Token | Error::Version => Flaw::FirstLine,
    }
}

/// Whether `bytes` begin with a whole request line or status line: with that, they are certainly a head, wherever
/// they were found.
pub(super) fn has_first_line(bytes: &[u8]) -> bool {
    let Some(end) = memchr(b'\n', bytes) else {
        return false;
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let version = |word: &[u8]| matches!(word, b"HTTP/1.1" | b"HTTP/1.0");
    let words: Vec<&[u8]> = line.splitn(4, |&b| b == b' ').collect();
    match words.as_slice() {
        [first, status, ..] if version(first) => {
            status.len() == 3 && status.iter().all(u8::is_ascii_digit)
        }
        [_, target, last] => !target.is_empty() && version(last),
        _ => false,
    }
}

/// Whether a field has a name, which most senders write as given.
fn is(name: &str, usual: &str) -> bool {
    name == usual || name.eq_ignore_ascii_case(usual)
}

/// At most `max` bytes of `text`, cut between characters.
fn keep(text: &str, max: usize) -> Text {
    Text::new(&text[..text.floor_char_boundary(max)])
}

fn text(value: &[u8], max: usize) -> Text {
    let value = &value[..value.len().min(max)];
    match str::from_utf8(value) {
        Ok(value) => Text::new(value),
        Err(_) => keep(&String::from_utf8_lossy(value), max),
    }
}
