//! What the name-value pairs of a request say (specification §3.4, §5.2; RFC 3875 §4.1 names them).

use std::sync::Arc;

use crate::context::Extractor;
use crate::message::{RequestHead, Version, telemetry};
use crate::text::Text;

/// Bytes kept of a method.
const MAX_METHOD: usize = 32;
/// Bytes kept of a target.
const MAX_TARGET: usize = 4096;
/// A header's name longer than this carries no context.
const MAX_NAME: usize = 64;

/// The request that `bytes`, all of its pairs, describe; `None` if they are no pairs, or name no method.
///
/// Its host is left out: what `HTTP_HOST` names is who the client of the web server had asked.
pub(super) fn request(at: u64, bytes: &[u8]) -> Option<RequestHead> {
    let mut method = None;
    let mut uri = None;
    let mut script = None;
    let mut told = telemetry::Told::default();
    let mut carrier = Extractor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (name, value, after) = pair(rest)?;
        rest = after;
        match name {
            b"REQUEST_METHOD" => method = Some(text(value, MAX_METHOD)),
            b"REQUEST_URI" => uri = Some(text(value, MAX_TARGET)),
            b"SCRIPT_NAME" => script = Some(text(value, MAX_TARGET)),
            b"CONTENT_TYPE" => told.content_type = value,
            b"HTTP_USER_AGENT" => told.user_agent = value,
            _ => {
                if let Some(header) = name.strip_prefix(b"HTTP_") {
                    push(&mut carrier, header, value);
                }
            }
        }
    }
    let method = method?;
    // `REQUEST_URI` is in no standard, yet every web server sends it.
    let target = uri.or(script).unwrap_or_default();
    let telemetry = telemetry::is_delivery(&method, &target, &told);
    Some(RequestHead {
        at,
        method,
        target,
        host: None,
        carrier: Arc::new(carrier.finish()),
        version: Version::FastCgi,
        telemetry,
    })
}

/// A header as the web server took it over: in capitals, with `_` for `-`.
fn push<'a>(carrier: &mut Extractor<'a>, header: &[u8], value: &'a [u8]) {
    let mut name = [0; MAX_NAME];
    let Some(name) = name.get_mut(..header.len()) else {
        return;
    };
    for (to, from) in name.iter_mut().zip(header) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    carrier.push(name, value);
}

/// The first pair of `bytes`, and what comes after it.
fn pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, bytes) = length(bytes)?;
    let (value, bytes) = length(bytes)?;
    let (name, bytes) = bytes.split_at_checked(name)?;
    let (value, bytes) = bytes.split_at_checked(value)?;
    Some((name, value, bytes))
}

/// A length: one byte up to 127, else four whose first bit is set.
pub(crate) fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short @ 0..=0x7f, ref rest @ ..] => Some((usize::from(short), rest)),
        [a, b, c, d, ref rest @ ..] => {
            let long = u32::from_be_bytes([a & 0x7f, b, c, d]);
            Some((usize::try_from(long).ok()?, rest))
        }
        _ => None,
    }
}

fn text(value: &[u8], max: usize) -> Text {
    let value = String::from_utf8_lossy(&value[..value.len().min(max)]);
    Text::new(&value[..value.floor_char_boundary(max)])
}
