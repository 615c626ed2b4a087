//! What a process is, in the words of OpenTelemetry's resources.

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::resource::{
    CONTAINER_ID, HOST_NAME, PROCESS_EXECUTABLE_NAME, PROCESS_EXECUTABLE_PATH, SERVICE_NAME,
};
use percent_encoding::percent_decode_str;
use rustix::system::uname;

use super::container::container;
use super::proc::Process;

/// Attributes that are taken from a process's own declaration, at most.
const DECLARED: usize = 32;

/// The longest name or value that is kept, in characters.
const LENGTH: usize = 256;

/// Attributes beside the service's name and the process's number. Arguments are left out: they may
/// hold secrets.
pub(super) fn attributes(process: &Process, exe: Option<&str>) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = declared(process)
        .into_iter()
        .filter(|(name, _)| name != SERVICE_NAME)
        .take(DECLARED)
        .map(|(name, value)| (short(&name), short(&value)))
        .collect();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            found.entry(name.to_owned()).or_insert(short(&value));
        }
    };
    add(PROCESS_EXECUTABLE_PATH, exe.map(str::to_owned));
    add(
        PROCESS_EXECUTABLE_NAME,
        exe.and_then(|path| path.rsplit('/').next().map(str::to_owned)),
    );
    add(
        CONTAINER_ID,
        container(&process.cgroups()).map(|found| found.id),
    );
    let host = uname().nodename().to_string_lossy().into_owned();
    add(HOST_NAME, Some(host).filter(|name| !name.is_empty()));
    found
}

fn short(text: &str) -> String {
    text.chars().take(LENGTH).collect()
}

/// What `OTEL_RESOURCE_ATTRIBUTES` declares, as the OpenTelemetry SDKs read it: values are
/// percent-encoded.
pub(super) fn declared(process: &Process) -> Vec<(String, String)> {
    let attributes = process.variable("OTEL_RESOURCE_ATTRIBUTES");
    let parse = |attribute: &str| {
        let (key, value) = attribute.split_once('=')?;
        let key = key.trim();
        let value = percent_decode_str(value.trim()).decode_utf8_lossy();
        (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
    };
    attributes
        .unwrap_or_default()
        .split(',')
        .filter_map(parse)
        .collect()
}
