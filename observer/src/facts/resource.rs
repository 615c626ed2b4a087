//! What a process is, in the words of OpenTelemetry's resources.

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::resource::{
    CONTAINER_ID, HOST_NAME, PROCESS_EXECUTABLE_NAME, PROCESS_EXECUTABLE_PATH, SERVICE_NAME,
};
use percent_encoding::percent_decode_str;
use rustix::system::uname;

use super::container::container;
use super::{proc::Process, published};

/// Attributes that are taken from a process's own declaration, at most.
const DECLARED: usize = 32;

/// The longest name or value that is kept, in characters.
const LENGTH: usize = 256;

/// Attributes beside the service's name and the process's number. Arguments are left out: they may
/// hold secrets.
pub(super) fn attributes<'a>(
    process: &Process,
    exe: Option<&str>,
    declared: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in declared.filter(|(name, _)| *name != SERVICE_NAME) {
        if found.len() == DECLARED {
            break;
        }
        found.entry(short(name)).or_insert_with(|| short(value));
    }
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

/// What a process declares of itself.
#[derive(Debug)]
pub(super) struct Declared {
    /// What its SDK publishes while it runs.
    published: Vec<(String, String)>,
    /// What it was started with.
    environment: Vec<(String, String)>,
}

impl Declared {
    /// Names and values; what the SDK publishes comes first, since it says what came of the rest.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.published.iter().chain(&self.environment);
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The service's name that the SDK publishes.
    pub(super) fn published_service(&self) -> Option<String> {
        service(&self.published)
    }

    /// The service's name among the attributes that it was started with.
    pub(super) fn started_service(&self) -> Option<String> {
        service(&self.environment)
    }
}

fn service(attributes: &[(String, String)]) -> Option<String> {
    let named = |(name, value): &&(String, String)| name == SERVICE_NAME && !value.is_empty();
    attributes
        .iter()
        .find(named)
        .map(|(_, value)| value.clone())
}

/// What a process publishes and was started with.
pub(super) fn declared(process: &Process) -> Declared {
    Declared {
        published: published::attributes(process),
        environment: environment(process),
    }
}

/// What `OTEL_RESOURCE_ATTRIBUTES` declares, as the OpenTelemetry SDKs read it: values are
/// percent-encoded.
fn environment(process: &Process) -> Vec<(String, String)> {
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
