//! Starts the services, asks them, and tells what they did.

use std::{
    fs::File,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, anyhow};
use observer_guest::Truth;

use crate::{http, service::Conduct};

/// Who asks a service at the same time.
const AT_ONCE: u32 = 2;

/// A service that ends with this process.
struct Service {
    child: Child,
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks each service `requests` times; writes the truth to a file, a line of JSON each.
pub fn run(requests: u32, truth: &Path) -> Result<()> {
    let truth = Mutex::new(File::create(truth).context("making the file of the truth")?);
    let truth = &truth;
    let leaf = start(Conduct::Leaf, 0)?;
    let services = Conduct::WORKING.map(|conduct| start(conduct, leaf.port).map(|s| (conduct, s)));
    let services: Vec<_> = services.into_iter().collect::<Result<_>>()?;
    thread::scope(|scope| {
        let askers: Vec<_> = services
            .iter()
            .flat_map(|service| (0..AT_ONCE).map(move |asker| (service, asker)))
            .map(|((conduct, service), asker)| {
                scope.spawn(move || ask(*conduct, service.port, asker, requests, truth))
            })
            .collect();
        askers.into_iter().try_for_each(|asker| match asker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Starts a service, which is given its listening socket as standard input.
fn start(conduct: Conduct, next: u16) -> Result<Service> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let mut child = Command::new("/proc/self/exe")
        .args(["service", conduct.name(), &next.to_string()])
        .env("OTEL_SERVICE_NAME", conduct.name())
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", conduct.name()))?;
    if let Some(mut lines) = child.stdout.take() {
        // Somebody has to read them.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
    }
    Ok(Service { child, port })
}

fn ask(conduct: Conduct, port: u16, asker: u32, requests: u32, truth: &Mutex<File>) -> Result<()> {
    let (call, line) = conduct.verdicts();
    for number in (asker..requests).step_by(AT_ONCE as usize) {
        let target = format!("/{}/{number}", conduct.name());
        http::call(port, &target, Some(&context(conduct, number)))
            .with_context(|| format!("asking for {target}"))?;
        tell(
            truth,
            &Truth::Call {
                target: format!("/leaf{target}"),
                verdict: call.to_owned(),
            },
        )?;
        tell(
            truth,
            &Truth::Line {
                message: format!("worked on {target}"),
                verdict: line.to_owned(),
            },
        )?;
    }
    Ok(())
}

fn tell(to: &Mutex<File>, truth: &Truth) -> Result<()> {
    let line = serde_json::to_string(truth)? + "\n";
    let mut file = to.lock().map_err(|_| anyhow!("another asker has failed"))?;
    file.write_all(line.as_bytes())?;
    Ok(())
}

/// A context of a trace of its own for each request.
fn context(conduct: Conduct, number: u32) -> String {
    let seed = u128::from(number) << 8 | conduct as u128 | 1 << 64;
    let trace = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("00-{trace:032x}-{:016x}-01", u64::from(number) | 1 << 63)
}
