//! Fleets as they are: scraped twice, with wrong clocks, of several versions, away for a while, behind a gateway.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use observer_core::judged::counts::{Counted, Series};
use observer_e2e::process::Ended;
use observer_e2e::prometheus::Prometheus;
use observer_e2e::skip::skip;
use serde_json::{Value, json};

use crate::counted::{Agent, fleet, now, numbers, recorded, records, report, run, sum};

fn has_prometheus(test: &str) -> bool {
    if let Some(why) = Prometheus::missing() {
        skip(test, why);
    }
    Prometheus::missing().is_none()
}

/// A report that is made although something is wrong.
fn partly(sources: &[&str]) -> Result<Value> {
    let ended = run(&[&["report", "--format", "json"], sources].concat())?;
    ensure!(ended.status.code() == Some(1), "{ended:?}");
    Ok(serde_json::from_str(&ended.out.join("\n"))?)
}

fn said(report: &Value) -> String {
    format!("{}{}", report["warnings"], report["sources"][0]["notes"])
}

fn asked(url: &str) -> [&str; 4] {
    ["--prometheus", url, "--since", "5m"]
}

/// As by two replicas of a server whose data nobody deduplicates, one of which came later and went away earlier. The
/// agent is replaced by a newer one meanwhile.
#[test]
fn an_agent_that_is_scraped_twice_counts_once() -> Result<()> {
    if !has_prometheus("an agent scraped twice") {
        return Ok(());
    }
    let (_, first) = recorded("flask")?;
    let (_, second) = recorded("go")?;
    let agent = Agent::start(first.clone())?;
    agent.change(|state| state.version = "0.0.9");
    let target = [agent.address];
    let jobs: [(&str, &[SocketAddr]); 2] = [("one", &target), ("two", &target)];
    let prometheus = Prometheus::with("twice", &jobs, "")?;
    prometheus.has("count(observer_records_total)", 2.0)?;
    agent.change(|state| state.version = env!("CARGO_PKG_VERSION"));
    agent.count(Some(now()), second.clone());
    prometheus.has("count(observer_agent_info)", 2.0)?;
    prometheus.has("min(observer_records_total)", records(&second))?;
    prometheus.has("max(observer_records_total)", records(&second))?;
    let told = report(&asked(&prometheus.url()))?;
    let expected = Agent::start(sum(&[&first, &second]))?.address.to_string();
    assert_eq!(numbers(&told), numbers(&report(&["--agent", &expected])?));
    let said = said(&told);
    assert!(said.contains("agent node-1 is scraped twice"), "{said}");
    assert!(said.contains("agent node-1 is of version 0.0.9"), "{said}");
    Ok(())
}

/// Two agents, one of which is ten minutes ahead, and the other behind: they count what they count.
#[test]
fn wrong_clocks_change_no_number_and_are_told() -> Result<()> {
    let (_, first) = recorded("flask")?;
    let (_, second) = recorded("go")?;
    let agents = [Agent::start(first.clone())?, Agent::start(second.clone())?];
    for (agent, (name, skew)) in agents.iter().zip([("slow", -600.0), ("fast", 600.0)]) {
        agent.change(|state| (state.name, state.skew) = (name, skew));
    }
    let addresses = agents.each_ref().map(|a| a.address.to_string());
    let direct = report(&["--agent", &addresses[0], "--agent", &addresses[1]])?;
    let right = Agent::start(sum(&[&first, &second]))?.address.to_string();
    let right = report(&["--agent", &right])?;
    assert_eq!(numbers(&direct), numbers(&right));
    let mut reports = vec![direct];
    if has_prometheus("wrong clocks") {
        let prometheus = Prometheus::start("clocks", &agents.each_ref().map(|a| a.address))?;
        prometheus.has("count(observer_records_total)", 2.0)?;
        let told = report(&asked(&prometheus.url()))?;
        assert_eq!(numbers(&told), numbers(&right));
        reports.push(told);
    }
    for told in &reports {
        let said = said(told);
        for part in ["agent slow is 600 s behind", "agent fast is 600 s ahead"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    Ok(())
}

/// An agent of another version counts something new beside what is known.
#[test]
fn what_another_version_counts_besides_is_left_out_and_told() -> Result<()> {
    let (_, known) = recorded("flask")?;
    let mut more = known.clone();
    let labels = [
        ("service_name", "cart"),
        ("peer_name", "pay"),
        ("verdict", "teleported"),
    ];
    more.series.push(Series {
        metric: "observer_calls_total".into(),
        labels: labels.map(|(n, v)| (n.into(), v.into())).into(),
        count: 7,
    });
    let right = Agent::start(known)?.address.to_string();
    let right = report(&["--agent", &right])?;
    let agent = Agent::start(more.clone())?;
    agent.change(|state| state.version = "9.9.9");
    let mut reports = vec![partly(&["--agent", &agent.address.to_string()])?];
    if has_prometheus("another version") {
        let prometheus = Prometheus::start("version", &[agent.address])?;
        prometheus.has("observer_records_total", records(&more))?;
        reports.push(partly(&asked(&prometheus.url()))?);
    }
    for told in &reports {
        assert_eq!(numbers(told), numbers(&right));
        let said = said(told);
        for part in ["agent node-1 is of version 9.9.9", "1 counts are of kinds"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    Ok(())
}

/// An agent can't be scraped for a while, and counts on: that is said as long as it lasts, and changes nothing
/// afterwards. Another one goes on all the time.
#[test]
fn a_gap_in_the_scrapes_is_told_while_it_lasts_and_loses_nothing() -> Result<()> {
    if !has_prometheus("a gap in the scrapes") {
        return Ok(());
    }
    let (_, first) = recorded("flask")?;
    let (_, second) = recorded("go")?;
    let agents = [Agent::start(first.clone())?, Agent::start(first.clone())?];
    agents[1].change(|state| state.name = "node-2");
    let prometheus = Prometheus::start("gap", &agents.each_ref().map(|a| a.address))?;
    prometheus.has("count(observer_records_total)", 2.0)?;
    agents[0].change(|state| state.away = true);
    prometheus.has("sum(up)", 1.0)?;
    let both = |one: &Counted| -> Result<Value> {
        let sum = Agent::start(sum(&[one, &first]))?.address.to_string();
        Ok(numbers(&report(&["--agent", &sum])?))
    };
    let told = partly(&asked(&prometheus.url()))?;
    let text = said(&told);
    assert!(text.contains("agent node-1 can't be scraped now"), "{text}");
    assert!(!text.contains("node-2"), "{text}");
    assert_eq!(numbers(&told), both(&first)?);

    let more = sum(&[&first, &second]);
    agents[0].count(None, more.clone());
    agents[0].change(|state| state.away = false);
    prometheus.has("max(observer_records_total)", records(&more))?;
    prometheus.has("sum(up)", 2.0)?;
    let told = report(&asked(&prometheus.url()))?;
    assert_eq!(numbers(&told), both(&more)?);
    assert_eq!(said(&told), "[][]");
    Ok(())
}

/// Hands on to `url` what names its tenant, as Mimir's gateway does.
fn gateway(url: String) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = hand_on(stream, &url);
        }
    });
    Ok(address)
}

fn hand_on(mut stream: std::net::TcpStream, url: &str) -> Result<()> {
    use std::io::Write;
    let (head, body) = read(&mut stream)?;
    let tenant = head
        .lines()
        .any(|line| line.eq_ignore_ascii_case("x-scope-orgid: shop"));
    let (status, answer) = if tenant {
        let target = head.split(' ').nth(1).context("no target")?;
        let request = ureq::post(format!("{url}{target}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        ("200 OK", request.send(&body)?.body_mut().read_to_string()?)
    } else {
        ("401 Unauthorized", "no org id\n".to_owned())
    };
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )?;
    Ok(())
}

/// A request's head and body.
fn read(stream: &mut std::net::TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Ok((head, bytes.split_off(end + 4)));
            }
        }
        let n = stream.read(&mut chunk)?;
        ensure!(n > 0, "the request ends early");
        bytes.extend_from_slice(&chunk[..n]);
    }
}

#[test]
fn a_server_behind_a_gateway_is_asked_below_its_path_and_with_its_tenant() -> Result<()> {
    if !has_prometheus("a server behind a gateway") {
        return Ok(());
    }
    let (_, counted) = recorded("flask")?;
    let agent = Agent::start(counted.clone())?;
    let jobs: [(&str, &[SocketAddr]); 1] = [("one", &[agent.address])];
    let prometheus = Prometheus::with("gateway", &jobs, "/prometheus")?;
    prometheus.has("observer_records_total", records(&counted))?;
    let host = prometheus.url();
    let host = host.strip_suffix("/prometheus").context("no prefix")?;
    let url = format!("http://{}/prometheus/", gateway(host.to_owned())?);
    let tenant = ["--prometheus-header", "X-Scope-OrgID=shop"];
    let told = report(&[&asked(&url)[..], &tenant].concat())?;
    let direct = report(&["--agent", &agent.address.to_string()])?;
    assert_eq!(numbers(&told), numbers(&direct));

    let refused = |args: &[&str], part: &str| -> Result<()> {
        let ended: Ended = run(&[&["report"], args].concat())?;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(
            ended.err.join("\n").contains(part),
            "{part}: {:?}",
            ended.err
        );
        Ok(())
    };
    refused(&asked(&url), "no org id")?;
    // Nothing of Prometheus lies at the root.
    refused(&asked(host), "404")
}

#[test]
fn a_large_fleet_is_reported_from_prometheus_in_seconds() -> Result<()> {
    if !has_prometheus("a large fleet in Prometheus") {
        return Ok(());
    }
    let page: Counted = serde_json::from_value(fleet(200, 2_000))?;
    let agent = Agent::start(Counted::default())?;
    let prometheus = Prometheus::start("large", &[agent.address])?;
    prometheus.has("count(observer_agent_info)", 1.0)?;
    agent.count(None, page);
    prometheus.has("count(observer_requests_total)", 200.0)?;
    let began = Instant::now();
    let url = prometheus.url();
    let told = report(&asked(&url))?;
    let took = began.elapsed();
    eprintln!("200 services, 2 000 edges from Prometheus: {took:?}");
    assert_eq!(told["fleet"]["services"], json!(200));
    assert_eq!(told["fleet"]["edges"], json!(2_000));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let direct = report(&["--agent", &agent.address.to_string()])?;
    assert_eq!(numbers(&told), numbers(&direct));
    // When it restarts, all samples are fetched.
    agent.count(Some(now()), Counted::default());
    prometheus.has("count(observer_requests_total) or vector(0)", 0.0)?;
    let began = Instant::now();
    let told = report(&asked(&url))?;
    assert_eq!(numbers(&told), numbers(&direct));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}
