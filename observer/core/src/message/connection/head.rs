//! Message heads, over `httparse`.

use std::mem::MaybeUninit;
use std::sync::Arc;

use httparse::{Header, ParserConfig, Status};
use memchr::memchr;

use super::body::{BodyFields, Framing};
use crate::context::{Extractor, is_carrier};
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

const HOST: &[u8] = b"Host";
const USER_AGENT: &[u8] = b"User-Agent";
const CONTENT_TYPE: &[u8] = b"Content-Type";
const CONTENT_LENGTH: &[u8] = b"Content-Length";
const TRANSFER_ENCODING: &[u8] = b"Transfer-Encoding";
const UPGRADE: &[u8] = b"Upgrade";

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

/// The first line of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    method: &'a str,
    target: &'a str,
    /// 10 or 11.
    version: u8,
}

/// The first line of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusLine {
    /// At least 100.
    status: u16,
    /// 10 or 11.
    version: u8,
}

/// A head in place.
pub(super) struct Raw<'h, 'a, Line> {
    pub line: Line,
    pub fields: &'h [Header<'a>],
}

/// Places for fields, without the cost of zeroing them.
pub(super) type Space<'a> = [MaybeUninit<Header<'a>>; MAX_FIELDS];

pub(super) const fn space<'a>() -> Space<'a> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// The first line of a request, and what follows it, if it is at the start of `bytes` and whole.
pub(super) fn request_line(bytes: &[u8]) -> Option<(RequestLine<'_>, &[u8])> {
    let (line, rest) = bytes.split_at(memchr(b'\n', bytes)? + 1);
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(line, &mut []) {
        // All that is missing are the fields.
        Ok(Status::Partial) => Some((RequestLine::of(&parsed)?, rest)),
        Ok(Status::Complete(_)) | Err(_) => None,
    }
}

/// Finds the parts of a request head at the start of `bytes`.
pub(super) fn request<'h, 'a>(
    bytes: &'a [u8],
    space: &'h mut Space<'a>,
) -> Parsed<Raw<'h, 'a, RequestLine<'a>>> {
    let mut parsed = httparse::Request::new(&mut []);
    let used = match parsed.parse_with_uninit_headers(bytes, space) {
        Ok(Status::Complete(used)) => used,
        Ok(Status::Partial) => return Parsed::Partial,
        Err(error) => return Parsed::Invalid(flaw(error)),
    };
    let Some(line) = RequestLine::of(&parsed) else {
        return Parsed::Invalid(Flaw::FirstLine);
    };
    let fields = parsed.headers;
    Parsed::Complete(used, Raw { line, fields })
}

impl<'a> RequestLine<'a> {
    fn of(parsed: &httparse::Request<'_, 'a>) -> Option<Self> {
        Some(Self {
            method: parsed.method?,
            target: parsed.path?,
            version: 10 + parsed.version?,
        })
    }

    /// The request that has these fields, of which those that [don't matter](matters_of_request) may be left out.
    pub fn with(self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<Request, Flaw> {
        let mut body = BodyFields::default();
        let mut host = None;
        let mut told = telemetry::Told::default();
        let mut carrier = Extractor::default();
        for (name, value) in fields {
            match name.len() {
                4 if host.is_none() && is(name, HOST) => host = Some(text(value, MAX_HOST)),
                10 if is(name, USER_AGENT) => told.user_agent = value,
                12 if is(name, CONTENT_TYPE) => told.content_type = value,
                14 if is(name, CONTENT_LENGTH) => body.content_length(value),
                17 if is(name, TRANSFER_ENCODING) => body.transfer_encoding(value),
                _ => carrier.push(name, value),
            }
        }
        let framing = body.of_request(self.version)?;
        let head = RequestHead {
            at: 0,
            method: keep(self.method, MAX_METHOD),
            target: keep(self.target, MAX_TARGET),
            host,
            carrier: Arc::new(carrier.finish()),
            version: if self.version == 10 {
                Version::Http10
            } else {
                Version::Http11
            },
            telemetry: telemetry::is_delivery(self.method, self.target, &told),
        };
        Ok(Request { head, framing })
    }
}

/// Whether anything is read of a request's field of this name.
pub(super) fn matters_of_request(name: &[u8]) -> bool {
    let read = [
        HOST,
        USER_AGENT,
        CONTENT_TYPE,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
    ];
    read.iter().any(|read| is(name, read)) || is_carrier(name)
}

/// Finds the parts of a response head at the start of `bytes`.
pub(super) fn response<'h, 'a>(
    bytes: &'a [u8],
    space: &'h mut Space<'a>,
) -> Parsed<Raw<'h, 'a, StatusLine>> {
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = ParserConfig::default();
    // Folded fields are obsolete, but user agents must cope with them (RFC 9112 §5.2).
    config.allow_obsolete_multiline_headers_in_responses(true);
    // So does white space after a field's name (§5.1), which requests must be refused for.
    config.allow_spaces_after_header_name_in_responses(true);
    let used = match config.parse_response_with_uninit_headers(&mut parsed, bytes, space) {
        Ok(Status::Complete(used)) => used,
        Ok(Status::Partial) => return Parsed::Partial,
        Err(error) => return Parsed::Invalid(flaw(error)),
    };
    let (Some(status @ 100..), Some(minor)) = (parsed.code, parsed.version) else {
        return Parsed::Invalid(Flaw::FirstLine);
    };
    let version = 10 + minor;
    let line = StatusLine { status, version };
    let fields = parsed.headers;
    Parsed::Complete(used, Raw { line, fields })
}

impl StatusLine {
    /// The response that has these fields, of which those that [don't matter](matters_of_response) may be left out.
    pub fn with<'a>(self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Response {
        let mut body = BodyFields::default();
        let mut to_http2 = false;
        for (name, value) in fields {
            match name.len() {
                7 if is(name, UPGRADE) => to_http2 = value.eq_ignore_ascii_case(b"h2c"),
                14 if is(name, CONTENT_LENGTH) => body.content_length(value),
                17 if is(name, TRANSFER_ENCODING) => body.transfer_encoding(value),
                _ => {}
            }
        }
        Response {
            status: self.status,
            version: self.version,
            fields: body,
            to_http2,
        }
    }
}

/// Whether anything is read of a response's field of this name.
pub(super) fn matters_of_response(name: &[u8]) -> bool {
    let read = [UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING];
    read.iter().any(|read| is(name, read))
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
fn is(name: &[u8], usual: &[u8]) -> bool {
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
