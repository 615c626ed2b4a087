//! What a server under full load loses to being watched, when it shares its CPUs with the observer.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::observer::Observer;
use crate::report::{Report, Table};

const CONNECTIONS: &str = "32";
/// How long a run of wrk is. Which worker gets how many connections differs from run to run and moves its result by a tenth and more, so
/// many short runs tell more than a few long ones.
const SECONDS: &str = "1s";
const STARTING: Duration = Duration::from_secs(10);

/// A running nginx.
pub struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    /// Starts it: `/` answers with 600 bytes, `/proxy` asks itself for them, `/logged` logs too.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // nginx can't be asked which port it got: take one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let body = "x".repeat(600);
        let conf = format!(
            "daemon off; worker_processes 2; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 10200; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
    proxy_temp_path proxy; client_body_temp_path body; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    log_format traced '$time_iso8601 $request $status trace_id=$http_traceparent';
    upstream self {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location / {{ return 200 '{body}'; }}
        location /logged {{ access_log access.log traced; return 200 '{body}'; }}
        location /proxy {{ proxy_pass http://self/; proxy_http_version 1.1;
                           proxy_set_header Connection ''; }}
    }}
}}
"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, conf)?;
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .context("starting nginx (tests/setup.sh installs it)")?;
        let nginx = Self {
            child,
            folder,
            port,
        };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(began.elapsed() < STARTING, "nginx does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// Its master process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let stop = Command::new("nginx")
            .args(["-e", "stderr", "-s", "stop", "-p"])
            .arg(self.folder.path())
            .arg("-c")
            .arg(self.folder.path().join("nginx.conf"))
            .status();
        if !stop.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What wrk measured.
struct Load {
    requests: f64,
    per_second: f64,
    p99: Duration,
}

/// All rounds of one way of being watched.
#[derive(Default)]
struct Rounds {
    speeds: Vec<f64>,
    ratios: Vec<f64>,
    p99: Vec<Duration>,
    p99_watched: Vec<Duration>,
    cpu: Vec<f64>,
    lost: u64,
    records: u64,
    shares: Vec<f64>,
}

/// Everything is observed, whatever it takes.
const EVERYTHING: [&str; 3] = ["--quiet", "--cpu-budget", "off"];

/// What is observed by default: as many connections as fit the budget.
const WITHIN: [&str; 1] = ["--quiet"];

/// Runs of wrk while the share of connections and time falls, where it does.
const SETTLING: usize = 6;

/// Runs of wrk that are measured then: two rounds of a pause and a window.
const WHOLE_ROUNDS: usize = 20;

/// Runs of wrk that come first and that are measured, where nothing is left out for a part of the time.
const ALWAYS: (usize, usize) = (2, 4);

/// Next to nothing is observed: what is left is what the probes take to find out.
const LEFT_OUT: [&str; 5] = ["--quiet", "--cpu-budget", "off", "--sample", "0.001"];

/// Compares nginx with and without the observer, in alternation.
///
/// Only the rows with `named` in their names, if given.
pub fn run(report: &mut Report, observer: &Path, rounds: u32, named: Option<&str>) -> Result<()> {
    let nginx = Nginx::start()?;
    let table = report.table(
        "nginx under wrk, observer on the same CPUs",
        [
            "load",
            "requests/s watched",
            "throughput, ratio",
            "least to most",
            "p99 ms",
            "p99 ms watched",
            "observer µs/request",
            "records",
            "lost",
            "share observed",
        ],
    );
    let bystander = Bystander::start()?;
    for (name, path, pid, args) in [
        (
            "600-byte answers, another process watched",
            "/",
            bystander.pid(),
            &EVERYTHING[..],
        ),
        (
            "600-byte answers, 1 in 1 000 observed",
            "/",
            nginx.pid(),
            &LEFT_OUT,
        ),
        (
            "600-byte answers, within the budget",
            "/",
            nginx.pid(),
            &WITHIN,
        ),
        (
            "with access log, within the budget",
            "/logged",
            nginx.pid(),
            &WITHIN,
        ),
        (
            "through a proxy, within the budget",
            "/proxy",
            nginx.pid(),
            &WITHIN,
        ),
        ("600-byte answers", "/", nginx.pid(), &EVERYTHING),
        ("with access log", "/logged", nginx.pid(), &EVERYTHING),
        (
            "through a proxy, both watched",
            "/proxy",
            nginx.pid(),
            &EVERYTHING,
        ),
        (
            "600-byte answers, all told as JSON",
            "/",
            nginx.pid(),
            &EVERYTHING[1..],
        ),
    ] {
        if named.is_some_and(|named| !name.contains(named)) {
            continue;
        }
        let url = format!("http://127.0.0.1:{}{path}", nginx.port());
        let mut seen = Rounds::default();
        for _ in 0..rounds {
            seen.round(
                &url,
                || Observer::watch(observer, pid, args),
                args == WITHIN,
            )?;
        }
        seen.tell(table, name);
    }
    table.note(format!(
        "Medians of {rounds} rounds: 2 s without the observer, 4 s with it, 2 s without it, and unmeasured load between, \
         since CPUs are faster after a rest; runs of wrk of {SECONDS} with one thread and {CONNECTIONS} connections, nginx with two workers. Which worker gets \
         how many connections differs from run to run, which moves the result of one by a tenth and more. The load is closed: everything shares the \
         CPUs, and is at their limit, so that the ratio holds what the observer itself takes. Aims: ratio 0.95; 20 000 requests/s \
         without a lost record. Within the budget: as `watch` does without options, after 6 s of the same load, of which records are \
         counted as well, for 20 s, as it may pause, and as long without it; the share is that of connections and time; other rows with \
         `--cpu-budget off`."
    ));
    Ok(())
}

/// A process that does nothing.
struct Bystander(Child);

impl Bystander {
    fn start() -> Result<Self> {
        let child = Command::new("sleep").arg("infinity").spawn();
        Ok(Self(child.context("starting sleep")?))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Rounds {
    /// Without, with, with, without: what changes steadily meanwhile cancels out.
    fn round(
        &mut self,
        url: &str,
        watch: impl FnOnce() -> Result<Observer>,
        settles: bool,
    ) -> Result<()> {
        let (unmeasured, measured) = match settles {
            true => (SETTLING, WHOLE_ROUNDS),
            false => ALWAYS,
        };
        wrk(url)?;
        let mut without = runs(url, measured / 2)?;
        let observer = watch()?;
        runs(url, unmeasured)?;
        let used = observer.cpu()?;
        let watched = runs(url, measured)?;
        let used = observer.cpu()?.saturating_sub(used);
        let told = observer.stop()?;
        wrk(url)?;
        without.extend(runs(url, measured / 2)?);

        let requests: f64 = watched.iter().map(|load| load.requests).sum();
        self.speeds.push(speed(&watched));
        self.ratios.push(speed(&watched) / speed(&without));
        self.p99.extend(without.iter().map(|load| load.p99));
        self.p99_watched.extend(watched.iter().map(|load| load.p99));
        self.cpu.push(used.as_secs_f64() * 1e6 / requests);
        self.lost += told.lost;
        self.records += told.records;
        self.shares.push(told.share);
        Ok(())
    }

    fn tell(mut self, table: &mut Table, name: &str) {
        let millis = |times: &[Duration]| {
            let mut millis: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
            format!("{:.2}", median(&mut millis))
        };
        let ratio = median(&mut self.ratios);
        let (least, most) = (self.ratios.first(), self.ratios.last());
        let range = least.zip(most).map(|(l, m)| format!("{l:.2}–{m:.2}"));
        table.row([
            name.to_owned(),
            format!("{:.0}", median(&mut self.speeds)),
            format!("{ratio:.2}"),
            range.unwrap_or_default(),
            millis(&self.p99),
            millis(&self.p99_watched),
            format!("{:.1}", median(&mut self.cpu)),
            self.records.to_string(),
            self.lost.to_string(),
            format!("{:.1} %", median(&mut self.shares) * 100.0),
        ]);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn runs(url: &str, count: usize) -> Result<Vec<Load>> {
    (0..count).map(|_| wrk(url)).collect()
}

fn speed(loads: &[Load]) -> f64 {
    let sum: f64 = loads.iter().map(|load| load.per_second).sum();
    sum / loads.len() as f64
}

fn wrk(url: &str) -> Result<Load> {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", CONNECTIONS, "-d", SECONDS, "--latency"])
        .args([
            "-H",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            url,
        ])
        .output()
        .context("starting wrk (tests/setup.sh installs it)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && !text.contains("Non-2xx"),
        "wrk failed: {text}"
    );
    read(&text).with_context(|| format!("wrk's output can't be read: {text}"))
}

fn read(text: &str) -> Option<Load> {
    let after = |label: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim)
    };
    let total = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))?
        .0;
    Some(Load {
        requests: total.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p99: duration(after("99%")?)?,
    })
}

/// `1.23ms` and the like.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let scale = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(
        text[..unit].parse::<f64>().ok()? * scale,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "  Latency Distribution\n     50%  310.00us\n     99%    1.25ms\n  \
                    21000 requests in 3.00s, 16.2MB read\nRequests/sec:   7000.25\n";
        let load = read(text).expect("readable");
        assert_eq!((load.requests, load.per_second), (21_000.0, 7000.25));
        assert_eq!(load.p99, Duration::from_micros(1250));
    }
}
