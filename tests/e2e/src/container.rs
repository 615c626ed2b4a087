//! The agent in a container as the manifests describe it: its seccomp profile, its capabilities, a root file
//! system that can't be written to, under a runtime that Kubernetes uses.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::deploy;
use crate::process::Process;

/// The capabilities that the manifest gives the agent, by the kernel's names.
fn capabilities() -> Result<Vec<String>> {
    let manifest = deploy::file("kubernetes.yaml")?;
    let (_, given) = manifest
        .split_once("              add:\n")
        .context("capabilities")?;
    let entries = given.lines().map(str::trim);
    let entries = entries.take_while(|line| line.starts_with(['-', '#']));
    let names = entries.filter_map(|line| line.strip_prefix("- "));
    Ok(names.map(|name| format!("CAP_{name}")).collect())
}

/// The profile in the form of the runtime's specification, as a kubelet's runtime translates it.
fn seccomp() -> Result<Value> {
    let mut profile: Value = serde_json::from_str(&deploy::file("seccomp.json")?)?;
    let object = profile.as_object_mut().context("an object")?;
    let map = object.remove("archMap").context("architectures")?;
    let all = map.as_array().context("architectures")?.iter();
    let all: Vec<Value> = all.map(|one| one["architecture"].clone()).collect();
    object.insert("architectures".into(), all.into());
    Ok(profile)
}

/// A mount that shows what lies at `from` on this machine, and can't be written through.
#[must_use]
pub fn bind(from: &Path, to: &str) -> Value {
    json!({"destination": to, "source": from, "type": "bind", "options": ["rbind", "ro"]})
}

/// Starts `command` in a container by runc, with `/proc` and `/sys` of this machine and further `mounts`. Mount points
/// are made in `root`, the root file system. What the runtime needs lies in `folder`. A signal to runc is passed on.
///
/// # Errors
/// When the files can't be written, or runc can't be started.
pub fn start(folder: &Path, root: &Path, command: &[&str], mounts: Vec<Value>) -> Result<Process> {
    std::fs::create_dir_all(folder)?;
    let mut all = vec![
        json!({"destination": "/proc", "source": "proc", "type": "proc"}),
        bind(Path::new("/sys"), "/sys"),
    ];
    all.extend(mounts);
    let given = capabilities()?;
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": command,
            "capabilities": {"bounding": given, "effective": given, "permitted": given},
            "noNewPrivileges": true,
        },
        "root": {"path": root, "readonly": true},
        "mounts": all,
        "linux": {"namespaces": [{"type": "mount"}], "seccomp": seccomp()?},
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let name = folder.file_name().context("the folder has no name")?;
    let mut run = Command::new("runc");
    run.arg("--root").arg(folder.join("state"));
    run.args(["run", "--bundle"]).arg(folder).arg(name);
    Process::start("runc", run)
}
