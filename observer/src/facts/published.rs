//! The context that a process publishes for readers: resource attributes of its OpenTelemetry SDK in a
//! mapping named `OTEL_CTX` (OTEP 4719, version 2).
//!
//! The process wrote it, so nothing in it is believed before it was checked, and everything read is
//! bounded.

use std::fs::File;
use std::os::unix::fs::FileExt;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::proc::Process;

/// The longest payload that is read, in bytes: as the OpenTelemetry profiler does.
const MAX_PAYLOAD: u32 = 16 << 10;

/// How often it is tried again when the process changes the context meanwhile.
const TRIES: usize = 3;

/// Names that the mapping may have (OTEP 4719, "Reading Protocol"; the last is that of a mapping without a file).
const NAMES: [&str; 3] = [
    "/memfd:OTEL_CTX",
    "[anon_shmem:OTEL_CTX]",
    "[anon:OTEL_CTX]",
];

/// Bytes of the header.
const HEADER: usize = 32;

/// The only version that is known.
const VERSION: u32 = 2;

/// `opentelemetry.proto.processcontext.v1development.ProcessContext`; of it the resource alone.
#[derive(Clone, PartialEq, Message)]
struct ProcessContext {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
}

/// What the header says about the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    size: u32,
    /// When it was published: another one when it changes, 0 while it does.
    published: u64,
    /// Where the payload lies in the process.
    payload: u64,
}

/// The attributes that `process` publishes; empty if it does not, or what it publishes is not valid.
pub(super) fn attributes(process: &Process) -> Vec<(String, String)> {
    let Some(address) = mapping(process) else {
        return Vec::new();
    };
    let Ok(memory) = File::open(process.path("mem")) else {
        return Vec::new();
    };
    let read = |bytes: &mut [u8], at: u64| memory.read_exact_at(bytes, at).is_ok();
    (0..TRIES)
        .find_map(|_| consistent(address, &read))
        .and_then(|payload| decode(&payload))
        .unwrap_or_default()
}

/// Address of the mapping.
fn mapping(process: &Process) -> Option<u64> {
    process.mappings().find_map(|line| named(&line))
}

/// Address of a mapping, if a line of `/proc/PID/maps` is about the right one.
fn named(line: &str) -> Option<u64> {
    let at = line.find(['/', '['])?;
    let name = line[at..].trim_end();
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let (start, _) = line.split_once('-')?;
    NAMES
        .contains(&name)
        .then(|| u64::from_str_radix(start, 16).ok())
        .flatten()
}

/// A payload that did not change while it was read.
fn consistent(address: u64, read: &impl Fn(&mut [u8], u64) -> bool) -> Option<Vec<u8>> {
    let header = || {
        let mut bytes = [0; HEADER];
        read(&mut bytes, address).then_some(bytes).and_then(header)
    };
    let before = header()?;
    let mut payload = vec![0; before.size as usize];
    let whole = read(&mut payload, before.payload);
    (whole && header() == Some(before)).then_some(payload)
}

fn header(bytes: [u8; HEADER]) -> Option<Header> {
    let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let header = Header {
        size: word(12)?,
        published: long(16)?,
        payload: long(24)?,
    };
    let valid = bytes.starts_with(b"OTEL_CTX")
        && word(8)? == VERSION
        && header.published != 0
        && (1..=MAX_PAYLOAD).contains(&header.size);
    valid.then_some(header)
}

/// The resource's attributes whose values are single: text, numbers, truth values.
fn decode(payload: &[u8]) -> Option<Vec<(String, String)>> {
    let resource = ProcessContext::decode(payload).ok()?.resource?;
    let attributes = resource.attributes.into_iter().filter_map(|attribute| {
        let value = single(attribute.value?)?;
        (!attribute.key.is_empty() && !value.is_empty()).then_some((attribute.key, value))
    });
    Some(attributes.collect())
}

fn single(value: AnyValue) -> Option<String> {
    match value.value? {
        Value::StringValue(text) => Some(text),
        Value::BoolValue(value) => Some(value.to_string()),
        Value::IntValue(value) => Some(value.to_string()),
        Value::DoubleValue(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use proptest::prelude::*;

    use super::*;

    fn published(version: u32, size: u32, time: u64, payload: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(b"OTEL_CTX");
        bytes[8..12].copy_from_slice(&version.to_ne_bytes());
        bytes[12..16].copy_from_slice(&size.to_ne_bytes());
        bytes[16..24].copy_from_slice(&time.to_ne_bytes());
        bytes[24..].copy_from_slice(&payload.to_ne_bytes());
        bytes
    }

    fn payload(values: &[(&str, Value)]) -> Vec<u8> {
        let attributes = values.iter().map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(value.clone()),
            }),
            ..KeyValue::default()
        });
        let resource = Resource {
            attributes: attributes.collect(),
            ..Resource::default()
        };
        ProcessContext {
            resource: Some(resource),
        }
        .encode_to_vec()
    }

    #[test]
    fn the_mapping_is_found_by_its_names() {
        for name in [
            "/memfd:OTEL_CTX (deleted)",
            "/memfd:OTEL_CTX",
            "[anon_shmem:OTEL_CTX]",
            "[anon:OTEL_CTX]",
        ] {
            let line = format!("7f00a000-7f00b000 rw-s 00000000 00:01 2050    {name}");
            assert_eq!(named(&line), Some(0x7f00_a000), "{name}");
        }
        for other in [
            "7f00a000-7f00b000 rw-p 00000000 00:00 0 ",
            "7f00a000-7f00b000 rw-p 00000000 00:00 0 [heap]",
            "7f00a000-7f00b000 r--p 00000000 fe:00 9 /memfd:OTEL_CTX2",
            "x [anon:OTEL_CTX]",
            "",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_is_checked() {
        let right = published(2, 100, 7, 0x1000);
        let header = header as fn([u8; HEADER]) -> Option<Header>;
        assert!(header(right).is_some());
        assert_eq!(header(published(1, 100, 7, 0x1000)), None, "version");
        assert_eq!(header(published(2, 100, 0, 0x1000)), None, "changing");
        assert_eq!(header(published(2, 0, 7, 0x1000)), None, "empty");
        assert_eq!(header(published(2, 1 << 20, 7, 0x1000)), None, "too long");
        let mut unsigned = right;
        unsigned[0] = 0;
        assert_eq!(header(unsigned), None, "signature");
    }

    #[test]
    fn a_payload_that_changes_meanwhile_is_not_taken() {
        let times = RefCell::new(vec![9_u64, 9, 8, 7]);
        let read = |bytes: &mut [u8], at: u64| {
            if at == 0x1000 {
                let time = times.borrow_mut().pop().unwrap();
                bytes.copy_from_slice(&published(2, 3, time, 0x2000));
            } else {
                bytes.copy_from_slice(b"abc");
            }
            true
        };
        assert_eq!(consistent(0x1000, &read), None);
        assert_eq!(consistent(0x1000, &read), Some(b"abc".to_vec()));
        assert_eq!(consistent(0x1000, &|_: &mut [u8], _| false), None);
    }

    #[test]
    fn attributes_are_decoded() {
        let text = |s: &str| Value::StringValue(s.to_owned());
        let bytes = payload(&[
            ("service.name", text("cart")),
            ("replica", Value::IntValue(7)),
            ("", text("nameless")),
            ("nothing", text("")),
            ("bytes", Value::BytesValue(vec![1])),
        ]);
        let expected = [("service.name", "cart"), ("replica", "7")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(decode(&bytes), Some(expected.to_vec()));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(b""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: [u8; HEADER], payload: Vec<u8>, line: String) {
            let _ = (header(bytes), decode(&payload), named(&line));
        }
    }
}
