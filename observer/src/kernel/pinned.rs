//! Traces that another observer of the host tells threads to work in, in a map that it pins for readers
//! (OpenTelemetry eBPF Instrumentation, "Correlating Profiles to OBI Traces").

use std::{io, path::Path};

use aya::maps::{MapError, MapInfo, MapType};

/// Where it is pinned.
pub const PATH: &str = "/sys/fs/bpf/otel/traces_ctx_v1";

/// `pid_tgid`.
const KEY: u32 = 8;
/// At least a trace-id and a span-id; what may follow in later versions is not read.
const VALUE: u32 = 24;

/// What there is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// Nothing is pinned there.
    Nothing,
    /// A map as it was agreed on.
    Readable,
    /// Something else, or it can't be opened: why, in words for people.
    Unusable(String),
}

/// Looks at what is pinned at `path`.
#[must_use]
pub fn look(path: &Path) -> Pinned {
    if !path.exists() {
        return Pinned::Nothing;
    }
    match MapInfo::from_pin(path) {
        Ok(info) => usable(info.map_type().ok(), info.key_size(), info.value_size()),
        Err(MapError::SyscallError(error)) => match error.io_error.kind() {
            io::ErrorKind::NotFound => Pinned::Nothing,
            _ => Pinned::Unusable(format!("{} failed: {}", error.call, error.io_error)),
        },
        Err(error) => Pinned::Unusable(error.to_string()),
    }
}

fn usable(kind: Option<MapType>, key: u32, value: u32) -> Pinned {
    if !matches!(kind, Some(MapType::Hash | MapType::LruHash)) {
        return Pinned::Unusable("it is no hash map".to_owned());
    }
    if key != KEY || value < VALUE {
        let sizes = format!("its keys have {key} bytes and its values {value}");
        return Pinned::Unusable(format!("{sizes}, not {KEY} and {VALUE}"));
    }
    Pinned::Readable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maps_as_agreed_on_are_read() {
        let lru = Some(MapType::LruHash);
        assert_eq!(usable(lru, 8, 24), Pinned::Readable);
        assert_eq!(usable(Some(MapType::Hash), 8, 40), Pinned::Readable);
        for (kind, key, value) in [
            (lru, 4, 24),
            (lru, 8, 16),
            (Some(MapType::Array), 8, 24),
            (None, 8, 24),
        ] {
            assert!(matches!(usable(kind, key, value), Pinned::Unusable(_)));
        }
    }
}
