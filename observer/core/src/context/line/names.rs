//! The table of field names under which loggers write trace ids.

use super::id::{LineTraceId, Reading};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A trace id in any notation.
    Id,
    /// `projects/PROJECT/traces/ID` or 16 or 32 hex digits; anything else is something else (a stack trace).
    Trace,
    /// Google's resource name, or an id.
    Google,
    /// `TRACE_ID/SPAN_ID;o=1`.
    CloudTraceContext,
    /// A whole `traceparent`.
    Traceparent,
    /// `{trace-id}:{span-id}:…`, or an id.
    Jaeger,
    /// `1-8hex-24hex`, alone or after `Root=`; an id.
    Xray,
    /// SkyWalking's own.
    SkyWalking,
}

/// Longest name looked up, in bytes.
pub(super) const MAX_NAME: usize = 64;

/// What stands under a name, if it can be a trace id. Parts before a dot or slash may be anything.
pub(super) fn kind(name: &str) -> Option<Kind> {
    if name.len() > MAX_NAME {
        return None;
    }
    // `tid` is a thread id nearly everywhere; SkyWalking writes it in capitals.
    if name == "TID" {
        return Some(Kind::SkyWalking);
    }
    // Every other name has a `c` in it, which few fields have. They are too short for a search to pay.
    if !name.bytes().any(|byte| byte | 0x20 == b'c') {
        return None;
    }
    let mut rest = name.as_bytes();
    loop {
        if let Some(kind) = in_table(rest) {
            return Some(kind);
        }
        let part = rest.iter().position(|b| matches!(b, b'.' | b'/'))?;
        rest = &rest[part + 1..];
    }
}

/// What stands in the table for a name of at most [`MAX_NAME`] bytes.
fn in_table(name: &[u8]) -> Option<Kind> {
    let mut letters = [0; MAX_NAME];
    let mut length = 0;
    for byte in name {
        letters[length] = byte.to_ascii_lowercase();
        length += usize::from(!matches!(byte, b'_' | b'-' | b'.' | b' '));
    }
    in_lower_case(&letters[..length])
}

/// What stands under a name in lower case without `_`, `-`, `.` and spaces.
fn in_lower_case(name: &[u8]) -> Option<Kind> {
    Some(match name {
        // trace_id, traceId, trace.id, trace-id, TraceId, and (after a dot) mdc.traceId, dt.trace_id
        b"traceid"
        // OpenTelemetry's Python log record factory
        | b"oteltraceid"
        // Datadog, where the dot became something else
        | b"ddtraceid"
        | b"xdatadogtraceid"
        | b"xtraceid"
        | b"xb3traceid"
        | b"b3traceid" => Kind::Id,
        b"ubertraceid" => Kind::Jaeger,
        b"traceparent" | b"elasticapmtraceparent" => Kind::Traceparent,
        b"logginggoogleapiscom/trace" => Kind::Google,
        b"trace" => Kind::Trace,
        b"xcloudtracecontext" => Kind::CloudTraceContext,
        b"awsxraytraceid" | b"xraytraceid" | b"xamzntraceid" | b"amazontraceid" => Kind::Xray,
        _ => return None,
    })
}

impl Kind {
    /// Whether `;` and `=` belong to a value.
    pub fn has_fields(self) -> bool {
        matches!(self, Self::Xray | Self::CloudTraceContext)
    }

    /// What a value under a name of this kind says.
    pub fn read(self, value: &str) -> Reading {
        let value = value.trim();
        match self {
            Self::Id => LineTraceId::read(value),
            Self::SkyWalking => LineTraceId::read_skywalking(value),
            Self::Trace => match google_resource(value).or(hex_id(value)) {
                Some(id) => LineTraceId::read(id),
                None => Reading::Nothing,
            },
            Self::Google => LineTraceId::read(google_resource(value).unwrap_or(value)),
            Self::CloudTraceContext => LineTraceId::read(until(value, &['/', ';'])),
            Self::Jaeger => LineTraceId::read(until(value, &[':', '%'])),
            Self::Traceparent => traceparent(value),
            Self::Xray => {
                let mut fields = value.split(';').map(str::trim);
                let root = fields.find_map(|field| field.strip_prefix("Root="));
                // The Java SDK logs the segment after an `@`.
                LineTraceId::read(until(root.unwrap_or(value), &['@']))
            }
        }
    }
}

/// The id within `projects/PROJECT/traces/ID`.
fn google_resource(value: &str) -> Option<&str> {
    let (_, id) = value.strip_prefix("projects/")?.split_once("/traces/")?;
    Some(id)
}

/// A value that is nothing but 16 or 32 hex digits.
fn hex_id(value: &str) -> Option<&str> {
    let digits = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    (matches!(value.len(), 16 | 32) && digits).then_some(value)
}

fn until<'a>(value: &'a str, ends: &[char]) -> &'a str {
    value.split(ends).next().unwrap_or_default()
}

/// The trace id of a whole `traceparent`, by itself.
fn traceparent(value: &str) -> Reading {
    match LineTraceId::read(value) {
        Reading::Id(_) if value.len() >= 55 => match value.get(3..35) {
            Some(id) => LineTraceId::read(id),
            None => Reading::Malformed,
        },
        Reading::Malformed
            if value
                .get(3..35)
                .is_some_and(|id| id.bytes().all(|b| b == b'0')) =>
        {
            Reading::Zero
        }
        Reading::Id(_) | Reading::Malformed => Reading::Malformed,
        nothing => nothing,
    }
}
