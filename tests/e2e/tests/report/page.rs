//! The page in a real browser.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use observer_e2e::app::root;
use observer_e2e::process::Process;
use observer_e2e::skip::skip;
use serde_json::{Value, json};

use crate::counted::{fleet, run};

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What the page of a fleet is like in a browser.
fn browse(services: usize, edges: usize) -> Result<Option<Value>> {
    let modules = root().join("tests/apps/browser");
    let test = format!("page of {services} services in Chromium");
    if !has("chromium") || !has("node") || !modules.join("node_modules").exists() {
        skip(&test, "chromium, node or playwright-core is not installed");
        return Ok(None);
    }
    let folder = root().join("target/e2e").join(format!("page-{services}"));
    std::fs::create_dir_all(&folder)?;
    let (counts, page) = (folder.join("counts.json"), folder.join("report.html"));
    std::fs::write(&counts, fleet(services, edges).to_string() + "\n")?;
    let began = Instant::now();
    let ended = run(&[
        "report",
        &counts.to_string_lossy(),
        "--format",
        "html",
        "--output",
        &page.to_string_lossy(),
    ])?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "made in {:?}",
        began.elapsed()
    );
    Ok(Some(told_by_browser(&modules, &page, &folder)?))
}

fn told_by_browser(modules: &Path, page: &Path, folder: &Path) -> Result<Value> {
    let mut node = Command::new("node");
    node.arg(modules.join("page.js"))
        .arg("/usr/bin/chromium")
        .arg(page)
        .arg(folder);
    let ended = Process::start("node", node)?.ended(Duration::from_secs(120))?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    Ok(serde_json::from_str(
        ended.out.last().context("nothing told")?,
    )?)
}

#[test]
fn the_page_works_for_everybody_and_lets_nothing_in() -> Result<()> {
    let Some(told) = browse(12, 30)? else {
        return Ok(());
    };
    for nothing in ["errors", "dialogs"] {
        assert_eq!(told[nothing], json!([]), "{told:#}");
    }
    let requests: BTreeMap<&str, ()> = told["requests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| Some((r.as_str()?, ())))
        .collect();
    assert!(
        requests.len() == 1 && requests.keys().all(|r| r.starts_with("file://")),
        "{told:#}"
    );
    assert_eq!(told["injected"], 0, "{told:#}");
    assert_eq!(told["scripts"], 1, "{told:#}");
    assert_eq!(told["cards"], 12, "{told:#}");
    assert_eq!(told["first"], "skip", "{told:#}");
    assert_eq!(
        told["reached"].as_array().and_then(|r| r.last()),
        Some(&json!("node")),
        "{told:#}"
    );
    assert_eq!(told["focused"], 1, "{told:#}");
    assert_eq!(
        (&told["filtered"], &told["unfiltered"]),
        (&json!(1), &json!(12)),
        "{told:#}"
    );
    assert_eq!(told["folded"], 0, "{told:#}");
    for view in ["desktop", "dark", "phone"] {
        let overflow = told["views"][view]["overflow"].as_i64();
        assert!(overflow.is_some_and(|o| o <= 0), "{view}: {told:#}");
    }
    assert_ne!(
        told["views"]["dark"]["background"],
        told["views"]["desktop"]["background"]
    );
    Ok(())
}

#[test]
fn the_page_of_a_large_fleet_stays_usable() -> Result<()> {
    let Some(told) = browse(200, 2_000)? else {
        return Ok(());
    };
    assert_eq!(told["errors"], json!([]), "{told:#}");
    assert_eq!(told["nodes"], 200, "{told:#}");
    let ready = told["views"]["desktop"]["ready"].as_u64();
    assert!(ready.is_some_and(|ms| ms < 10_000), "{told:#}");
    assert!(
        told["views"]["phone"]["overflow"]
            .as_i64()
            .is_some_and(|o| o <= 0),
        "{told:#}"
    );
    Ok(())
}
