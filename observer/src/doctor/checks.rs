//! The checks, from the ground up: what stands on something else comes after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use observer_core::ids::Tgid;
use observer_core::record;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::{Check, CheckedProgram, State};
use crate::facts::Proc;
use crate::kernel::pinned::{self, Pinned};
use crate::kernel::trial::{self, Trial};
use crate::kernel::{Capture, CaptureConfig, CaptureError, ProbeState, ProbeStatus, Spawned, host};

/// How long the test process has to be seen.
const SOON: Duration = Duration::from_secs(3);

/// All of them; `types` is the file that is to tell the kernel's types, if one was named.
pub(super) fn all(types: Option<PathBuf>) -> Vec<Check> {
    let config = CaptureConfig {
        ring_bytes: 1 << 20,
        types,
        ..CaptureConfig::default()
    };
    let mut checks = vec![kernel()];
    checks.extend(super::types::checks(&config));
    checks.extend([
        capabilities_check(),
        lockdown(),
        pid_namespace(),
        memlock(),
        jit(),
        tracefs(),
        stats(),
    ]);
    probes(config, &mut checks);
    let proc = Proc::default();
    checks.push(super::rings::check(&proc));
    checks.extend(pinned());
    checks.extend(super::executions::checks(&proc));
    checks
}

/// What another observer of the host tells of threads, if there is one.
fn pinned() -> Option<Check> {
    let name = "pinned contexts";
    match pinned::look(Path::new(pinned::PATH)) {
        Pinned::Nothing => None,
        Pinned::Readable => Some(Check::ok(name, format!("read from {}", pinned::PATH))),
        Pinned::Unusable(why) => Some(Check::note(
            name,
            format!("{} is not read: {why}", pinned::PATH),
            "nothing is missing but what another observer tells of threads",
        )),
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn kernel() -> Check {
    let release = host::release();
    let found = format!("Linux {release}, {}", std::env::consts::ARCH);
    if host::version(&release) >= host::OLDEST {
        return Check::ok("kernel", found);
    }
    let advice = "use Linux 5.8 or later: the probes need the BPF ring buffer";
    Check::bad("kernel", State::Missing, found, advice)
}

/// A capability and what goes without it.
const WANTED: [(CapabilitySet, &str, State, &str); 3] = [
    (
        CapabilitySet::BPF,
        "CAP_BPF",
        State::Missing,
        "load programs",
    ),
    (
        CapabilitySet::PERFMON,
        "CAP_PERFMON",
        State::Missing,
        "attach them to tracepoints",
    ),
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        State::Degraded,
        "read names of services and log files of other users' processes",
    ),
];

fn capabilities_check() -> Check {
    const NAME: &str = "capabilities";
    let effective = match capabilities(None) {
        Ok(sets) => sets.effective,
        Err(error) => {
            let advice = "run as root";
            return Check::bad(
                NAME,
                State::Degraded,
                format!("not readable: {error}"),
                advice,
            );
        }
    };
    let admin = effective.contains(CapabilitySet::SYS_ADMIN);
    let missing: Vec<_> = WANTED
        .iter()
        // CAP_SYS_ADMIN was what later became CAP_BPF and CAP_PERFMON, and still includes both.
        .filter(|(set, _, state, _)| {
            let included = admin && *state == State::Missing;
            !(included || effective.contains(*set))
        })
        .collect();
    let Some(worst) = missing.iter().map(|(_, _, state, _)| *state).max() else {
        let names: Vec<&str> = WANTED
            .iter()
            .filter(|(set, ..)| effective.contains(*set))
            .map(|(_, name, ..)| *name)
            .chain(admin.then_some("CAP_SYS_ADMIN"))
            .collect();
        return Check::ok(NAME, names.join(", "));
    };
    let found: Vec<String> = missing
        .iter()
        .map(|(_, name, _, what)| format!("{name} is missing, which is needed to {what}"))
        .collect();
    Check::bad(
        NAME,
        worst,
        found.join("; "),
        "run as root, or: sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep $(command -v observer)",
    )
}

fn lockdown() -> Check {
    const NAME: &str = "lockdown";
    match read("/sys/kernel/security/lockdown") {
        Some(modes) if modes.contains("[confidentiality]") => Check::bad(
            NAME,
            State::Missing,
            modes,
            "boot with lockdown=integrity or none: confidentiality forbids BPF programs to read memory",
        ),
        Some(modes) => Check::ok(NAME, modes),
        None => Check::ok(NAME, "none (not built in, or securityfs is not mounted)"),
    }
}

fn pid_namespace() -> Check {
    const NAME: &str = "process ids";
    if host::in_initial_pid_namespace() {
        return Check::ok(NAME, "the host's (initial pid namespace)");
    }
    Check::bad(
        NAME,
        State::Missing,
        "those of a pid namespace, which the kernel's records don't use",
        "run on the host, or share its pid namespace: docker run --pid=host, or hostPID: true in Kubernetes",
    )
}

fn memlock() -> Check {
    const NAME: &str = "locked memory";
    // From Linux 5.11 on, maps are charged to the memory control group instead.
    if host::version(&host::release()) >= (5, 11) {
        return Check::ok(NAME, "not limited for BPF maps since Linux 5.11");
    }
    let limit = getrlimit(Resource::Memlock).current;
    let enough = limit.is_none_or(|bytes| bytes >= 128 << 20);
    let found = limit.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    let resource =
        capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::SYS_RESOURCE));
    if enough || resource {
        return Check::ok(NAME, found);
    }
    Check::bad(
        NAME,
        State::Missing,
        found,
        "ulimit -l unlimited, or run as root",
    )
}

fn jit() -> Check {
    const NAME: &str = "BPF compiler";
    match read("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Some("0") => Check::bad(
            NAME,
            State::Degraded,
            "off: probes are interpreted, several times slower",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Some(_) => Check::ok(NAME, "on"),
        None => Check::ok(NAME, "always on"),
    }
}

fn tracefs() -> Check {
    tracefs_by(|path| fs::metadata(path).map(drop))
}

/// As [`tracefs`], where `look` says whether something is there, or why that can't be seen.
fn tracefs_by(look: impl Fn(&str) -> io::Result<()>) -> Check {
    const NAME: &str = "tracefs";
    const PLACES: [&str; 2] = [
        "/sys/kernel/tracing/events",
        "/sys/kernel/debug/tracing/events",
    ];
    let Some(path) = PLACES.into_iter().find(|path| look(path).is_ok()) else {
        let hidden = |path: &&str| {
            look(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        return match PLACES.iter().find(|path| hidden(path)) {
            Some(path) => Check::note(
                NAME,
                format!("whether it is mounted can't be seen: {path} may not be looked at"),
                "run as root, or with CAP_DAC_READ_SEARCH; it is needed from Linux 7.0 on, where perf is asked for tracepoints",
            ),
            None => Check::ok(
                NAME,
                "not mounted; needed from Linux 7.0 on, where perf is asked for tracepoints",
            ),
        };
    };
    let calls = look(&format!("{path}/raw_syscalls/sys_enter")).is_ok();
    if calls {
        return Check::ok(NAME, format!("{path}, with system call tracepoints"));
    }
    Check::bad(
        NAME,
        State::Missing,
        format!("{path}, without system call tracepoints"),
        "use a kernel built with CONFIG_FTRACE_SYSCALLS=y",
    )
}

fn stats() -> Check {
    const NAME: &str = "BPF statistics";
    match read("/proc/sys/kernel/bpf_stats_enabled").as_deref() {
        Some("1") => Check::ok(
            NAME,
            "on: costs of the probes are measured (some ns per run)",
        ),
        _ => Check::ok(
            NAME,
            "off (sysctl kernel.bpf_stats_enabled=1 measures the probes)",
        ),
    }
}

/// Loads and attaches the probes for real, and has them see a test process.
fn probes(config: CaptureConfig, checks: &mut Vec<Check>) {
    let failed = |error: CaptureError| {
        let advice = "solve what is marked above first; if nothing is, please report this";
        Check::bad("probes", State::Missing, error.to_string(), advice)
    };
    match trial::programs(&config) {
        Ok(trials) => {
            checks.push(Check::ok("ring buffer", "made"));
            checks.extend(trials.into_iter().map(probe));
        }
        Err(error) => return checks.push(failed(error)),
    }
    match Capture::start(config) {
        Ok(mut capture) => {
            checks.extend(missed(capture.status()));
            checks.push(records(&mut capture));
        }
        Err(error) => checks.push(failed(error)),
    }
}

/// What a probe misses that perf refused, if it is so with one.
fn missed(probes: &[ProbeStatus]) -> Option<Check> {
    let why = probes.iter().find_map(|probe| probe.missed.as_ref())?;
    Some(Check::bad(
        "missed calls",
        State::Degraded,
        format!(
            "probes may be preempted here, and perf refuses them ({why}): calls are missed, and counted as lost"
        ),
        "mount tracefs: mount -t tracefs tracefs /sys/kernel/tracing (containers need the host's)",
    ))
}

fn probe(trial: Trial) -> Check {
    let place = trial
        .place
        .map_or_else(|| "observed programs".to_owned(), |place| place.to_string());
    let check = match trial.state {
        ProbeState::Ok => Check::ok(trial.name, format!("attached to {place}")),
        ProbeState::Unsupported(why) => Check::bad(
            trial.name,
            State::Degraded,
            format!("{place} can't be probed: {why}"),
            "what it reports is not seen on this kernel; nothing is accused for lack of it",
        ),
        ProbeState::Broken(why) => Check::bad(
            trial.name,
            State::Degraded,
            format!("refused on {place}: {why}"),
            "please report this with the kernel's release",
        ),
    };
    Check {
        program: Some(CheckedProgram {
            loaded: trial.loaded,
            instructions: trial.instructions,
        }),
        ..check
    }
}

/// Whether records come: a process that does nothing but end must be seen to.
fn records(capture: &mut Capture) -> Check {
    const NAME: &str = "records";
    let failed = |found: String| {
        let advice = "attached probes that report nothing are a fault: please report this";
        Check::bad(NAME, State::Missing, found, advice)
    };
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = match Spawned::start(command, capture) {
        Ok(child) => child,
        Err(error) => return failed(format!("no test process: {error}")),
    };
    let tgid = child.tgid();
    let deadline = Instant::now() + SOON;
    let mut seen = 0;
    while seen == 0 && Instant::now() < deadline {
        if capture.wait(Duration::from_millis(20)).is_err() {
            break;
        }
        capture.drain(|raw| seen += usize::from(is_of(raw, tgid)));
    }
    let _ = child.wait();
    if seen == 0 {
        return failed("none came of a test process".to_owned());
    }
    Check::ok(NAME, "a test process was seen")
}

fn is_of(raw: &[u8], tgid: Tgid) -> bool {
    record::decode(raw).is_ok_and(|record| record.tgid == tgid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracefs_that_is_hidden_is_not_called_missing() {
        let fails = |kind: io::ErrorKind| move |_: &str| Err(io::Error::from(kind));
        let hidden = tracefs_by(fails(io::ErrorKind::PermissionDenied));
        assert_eq!(hidden.state, State::Note);
        assert!(hidden.found.contains("can't be seen"), "{}", hidden.found);
        assert!(hidden.advice.is_some_and(|advice| advice.contains("root")));
        let missing = tracefs_by(fails(io::ErrorKind::NotFound));
        assert_eq!(missing.state, State::Ok);
        assert!(missing.found.starts_with("not mounted"));
        // The old place is asked when the new one is not there.
        let old = tracefs_by(|path| {
            if path.starts_with("/sys/kernel/debug") {
                Ok(())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        });
        assert!(old.found.starts_with("/sys/kernel/debug"), "{}", old.found);
        let plain = tracefs_by(|path| match path.contains("raw_syscalls") {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(()),
        });
        assert_eq!(plain.state, State::Missing);
    }
}
