//! The manifests and what the chart makes, against the schemas of Kubernetes and of the Prometheus operator.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use observer_e2e::app::root;
use observer_e2e::deploy::{file, fine, run, template};
use observer_e2e::skip::skip;

/// Versions of Kubernetes, 1.N: the first that the chart allows, the first with AppArmor's field, that of the plain
/// manifests, and the newest whose schemas there are.
const VERSIONS: [u32; 4] = [27, 30, 33, 37];

/// Values that the chart is tried with, beside its own.
const VALUES: [&str; 2] = ["most", "least"];

/// `kubernetes-validate`, as `tests/setup.sh` installs it; nothing, and why, if that is not so.
fn validator() -> Option<PathBuf> {
    let folder = root().join("target/e2e/kubernetes-validate");
    folder.is_dir().then_some(folder)
}

/// What is wrong with the objects in these files, a line each. Kinds without a schema count as wrong.
fn faults(validator: &Path, version: u32, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut command = Command::new("python3");
    command
        .args(["-m", "kubernetes_validate", "--strict", "-k"])
        .arg(format!("1.{version}"))
        .args(files)
        .env("PYTHONPATH", validator);
    let output = run(&mut command)?;
    let said = String::from_utf8(output.stdout)?;
    let (fine, faults): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| {
        line.starts_with("INFO ") && line.ends_with(&format!(" against version 1.{version}"))
    });
    ensure!(
        !fine.is_empty() && output.status.success() != faults.iter().any(|f| f.starts_with("ERR")),
        "{command:?}: {:?}: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(faults.into_iter().map(str::to_owned).collect())
}

/// A folder for the files of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let folder = root().join(format!("target/manifests-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn put(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.0.join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn values(name: &str) -> String {
    format!("{}/ci/{name}-values.yaml", observer_e2e::deploy::CHART)
}

#[test]
fn every_version_of_kubernetes_takes_the_manifests_and_what_the_chart_makes() -> Result<()> {
    let test = "manifests against the schemas of Kubernetes";
    let (Some(validator), Some(_)) = (validator(), template("1.33.0", &[])) else {
        skip(test, "a tool is missing (run tests/setup.sh)");
        return Ok(());
    };
    let folder = Folder::new("taken")?;
    for version in VERSIONS {
        let mut files = vec![folder.put("plain.yaml", &file("kubernetes.yaml")?)?];
        if version < 30 {
            // AppArmor's field is newer; the plain manifests are for 1.33.
            files.clear();
        }
        for name in VALUES.map(values).iter().map(Some).chain([None]) {
            let more: Vec<&str> = name.iter().flat_map(|name| ["--values", name]).collect();
            let made = template(&format!("1.{version}.0"), &more).context("helm")?;
            let made = fine(&mut { made })?;
            files.push(folder.put(&format!("{}.yaml", files.len()), &made)?);
        }
        let faults = faults(&validator, version, &files)?;
        ensure!(faults.is_empty(), "Kubernetes 1.{version}: {faults:#?}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_found() -> Result<()> {
    let test = "wrong manifests against the schemas of Kubernetes";
    let values = values("most");
    let (Some(validator), Some(mut made)) =
        (validator(), template("1.33.0", &["--values", &values]))
    else {
        skip(test, "a tool is missing (run tests/setup.sh)");
        return Ok(());
    };
    let made = fine(&mut made)?;
    let folder = Folder::new("refused")?;
    for (right, wrong, told) in [
        ("hostPID: true", "hostPid: true", "hostPid"),
        (
            "hostPID: true",
            "hostPID: sometimes",
            "spec.template.spec.hostPID",
        ),
        ("containerPort: 9500", "containerPort:", "containerPort"),
        ("verbs: [get]", "verb: [get]", "verb"),
        ("kind: DaemonSet", "kind: DemonSet", "DemonSet"),
        (
            "networking.k8s.io/v1",
            "networking.k8s.io/v1beta9",
            "v1beta9",
        ),
        (
            "podMetricsEndpoints:",
            "podMetricsEndpoint:",
            "podMetricsEndpoint",
        ),
        ("- alert: ", "- alrt: ", "alrt"),
    ] {
        ensure!(made.contains(right), "the chart makes no `{right}`");
        let file = folder.put("wrong.yaml", &made.replacen(right, wrong, 1))?;
        let faults = faults(&validator, 33, &[file])?;
        let [fault] = faults.as_slice() else {
            bail!("`{wrong}`: {faults:#?}");
        };
        ensure!(fault.contains(told), "`{wrong}`: {fault}");
    }
    Ok(())
}

#[test]
fn what_needs_a_port_is_not_made_without() -> Result<()> {
    for object in ["podMonitor", "networkPolicy"] {
        for listen in ["off", "127.0.0.1:9466"] {
            let set = format!("config.metrics.listen={listen},{object}.enabled=true");
            let Some(mut command) = template("1.33.0", &["--set", &set]) else {
                skip(
                    "ports in the Helm chart",
                    "helm is missing (run tests/setup.sh)",
                );
                return Ok(());
            };
            let output = run(&mut command)?;
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(
                !output.status.success() && error.contains("set config.metrics.listen"),
                "{set}: {error}"
            );
        }
    }
    Ok(())
}
