//! What a capture leaves behind: nothing.

use aya::{
    maps::loaded_maps,
    programs::{ProgramType, loaded_programs},
};
use observer::kernel::{CaptureConfig, ProbeState};

use crate::common::start;

/// Probes that this process holds; other processes may run captures of their own.
fn own_descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries
        .flatten()
        .map(|entry| std::fs::read_link(entry.path()));
    let links = links.flatten().map(|link| link.display().to_string());
    links.filter(|link| link.contains("bpf")).collect()
}

#[test]
fn all_probes_attach_and_none_remains() {
    // In a process of its own: other tests of this one have captures too.
    if std::env::var_os("OBSERVER_TEST_ALONE").is_none() {
        let status = crate::support::command()
            .env_remove("OBSERVER_TEST_WORKLOAD")
            .env("OBSERVER_TEST_ALONE", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let Some(capture) = start(CaptureConfig::default()) else {
        return;
    };
    for probe in capture.status() {
        assert_eq!(probe.state, ProbeState::Ok, "{probe:?}");
    }
    let held = own_descriptors();
    assert!(
        held.iter().any(|link| link.contains("bpf-prog")),
        "{held:?}"
    );
    let loaded = loaded_programs().flatten();
    let tracepoints =
        loaded.filter(|p| matches!(p.program_type(), t if t == ProgramType::RawTracePoint.into()));
    assert!(tracepoints.count() >= 5);
    assert!(loaded_maps().flatten().any(|map| map.name() == b"RING"));
    drop(capture);
    assert_eq!(own_descriptors(), [] as [String; 0]);
}
