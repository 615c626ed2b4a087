//! What is in `deploy/`, checked with the tools that read it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::root;
use observer_e2e::deploy::{CHART, file, fine, helm, run};
use observer_e2e::skip::{missing, skip};

/// The chart for the version of which `deploy/kubernetes.yaml` is made.
fn template(more: &[&str]) -> Option<Command> {
    observer_e2e::deploy::template("1.33.0", more)
}

#[test]
fn the_chart_is_right_and_its_manifests_are_those_that_lie_beside_it() -> Result<()> {
    let Some(mut plain) = template(&[]) else {
        skip("the Helm chart", "helm is missing (run tests/setup.sh)");
        return Ok(());
    };
    fine(Command::new(helm().context("helm")?).args(["lint", "--strict", CHART]))?;
    let made = fine(&mut plain)?;
    let kept = file("kubernetes.yaml")?;
    ensure!(
        kept.ends_with(&made),
        "deploy/kubernetes.yaml is not what the chart makes: its head says how to make it"
    );
    Ok(())
}

#[test]
fn the_chart_asks_for_no_more_than_it_needs() -> Result<()> {
    let Some(mut plain) = template(&[]) else {
        skip(
            "privileges in the Helm chart",
            "helm is missing (run tests/setup.sh)",
        );
        return Ok(());
    };
    let made = fine(&mut plain)?;
    for part in [
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [ALL]",
        "- SYS_ADMIN",
    ] {
        ensure!(made.contains(part), "{part}");
    }
    ensure!(!made.contains("privileged: true") && !made.contains("secrets"));
    let mut less = template(&["--set", "config.privileges.attach=false"]).context("helm")?;
    ensure!(!fine(&mut less)?.contains("SYS_ADMIN"));
    Ok(())
}

#[test]
fn values_that_make_no_sense_are_refused() -> Result<()> {
    for value in [
        "config.metrcs.listen=x",
        "image.pullPolicy=Sometimes",
        "tolerations=x",
        "nonsense=1",
    ] {
        let Some(mut command) = template(&["--set", value]) else {
            skip(
                "values of the Helm chart",
                "helm is missing (run tests/setup.sh)",
            );
            return Ok(());
        };
        let output = run(&mut command)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && error.contains("values don't meet"),
            "{value}: {error}"
        );
    }
    Ok(())
}

#[test]
fn every_optional_object_can_be_made() -> Result<()> {
    let all = "podMonitor.enabled=true,prometheusRule.enabled=true,networkPolicy.enabled=true";
    let Some(mut command) = template(&["--set", all]) else {
        skip(
            "optional objects of the Helm chart",
            "helm is missing (run tests/setup.sh)",
        );
        return Ok(());
    };
    let made = fine(&mut command)?;
    for kind in [
        "PodMonitor",
        "PrometheusRule",
        "NetworkPolicy",
        "DaemonSet",
        "ClusterRole",
        "ConfigMap",
    ] {
        ensure!(made.contains(&format!("kind: {kind}\n")), "{kind}");
    }
    ensure!(made.contains("alert: TraceContextLost"));
    ensure!(
        file("helm/observer/files/alerts.yaml")? == file("prometheus/alerts.yaml")?,
        "the chart's copy of the alerts differs"
    );
    Ok(())
}

#[test]
fn alerts_fire_when_they_should_and_else_not() -> Result<()> {
    if let Some(why) = missing(&["promtool"]) {
        skip("alert rules", &why);
        return Ok(());
    }
    fine(Command::new("promtool").args(["check", "rules", "deploy/prometheus/alerts.yaml"]))?;
    fine(Command::new("promtool").args(["test", "rules", "deploy/prometheus/alerts.test.yaml"]))
        .map(drop)
}

#[test]
fn systemd_takes_the_unit() -> Result<()> {
    if let Some(why) = missing(&["systemd-analyze"]) {
        skip("the systemd unit", &why);
        return Ok(());
    }
    let output = run(Command::new("systemd-analyze").args(["verify", "deploy/observer.service"]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // The program is not installed here, which is no fault of the unit.
    let faults: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("observer.service") && !line.contains("is not executable"))
        .collect();
    ensure!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() -> Result<()> {
    let dashboard: serde_json::Value = serde_json::from_str(&file("grafana/dashboard.json")?)?;
    let known = format!(
        "{}\n{}",
        std::fs::read_to_string(root().join("docs/metrics.md"))?,
        std::fs::read_to_string(root().join("docs/agent.md"))?
    );
    let panels = dashboard["panels"].as_array().context("panels")?;
    ensure!(panels.len() > 8);
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().context("expr")?;
            let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for metric in words.filter(|w| w.starts_with("observer_") || w.starts_with("process_"))
            {
                ensure!(known.contains(metric), "{metric} is documented nowhere");
            }
        }
    }
    Ok(())
}

#[test]
fn the_seccomp_profile_is_one_and_forbids_what_is_not_named() -> Result<()> {
    let profile: serde_json::Value = serde_json::from_str(&file("seccomp.json")?)?;
    ensure!(profile["defaultAction"] == "SCMP_ACT_ERRNO");
    let names = profile["syscalls"][0]["names"]
        .as_array()
        .context("names")?;
    let has = |name: &str| names.iter().any(|n| n == name);
    ensure!(
        ["bpf", "perf_event_open", "epoll_wait", "openat"]
            .into_iter()
            .all(has)
    );
    ensure!(
        ![
            "ptrace",
            "process_vm_writev",
            "mount",
            "init_module",
            "kexec_load",
            "setns"
        ]
        .into_iter()
        .any(has)
    );
    Ok(())
}
