//! `observer demo`: a small shop that loses context, watched with the real probes, and explained.
//!
//! ```text
//! customers ─► gateway ─► cart ─► payments
//! ```
//!
//! The shop's services are processes of this program (`observer __shop`), each with a thread per
//! connection. Cart forgets the context when it asks for a discount, and payments writes a line without an
//! id. What is printed about it comes from the watch alone.

mod customers;
mod explain;
mod http;
pub mod shop;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};

use crate::cli::args::DemoArgs;
use crate::cli::budget::Budget;
use crate::cli::exit::Exit;
use crate::cli::probes::DetailArgs;
use crate::cli::select::Selection;
use crate::cli::show::ShowPlan;
use crate::cli::watch::WatchPlan;
use crate::sink::{Canvas, Sink};
use crate::watch;

/// Requests shown in full: what three services did for three customers, one of them with a discount.
const SHOWN: usize = 10;

/// Runs `observer demo`.
///
/// # Errors
///
/// If the shop can't be started or watched.
pub fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let canvas = crate::output::canvas(args.color);
    let shop = Shop::open()?;
    println!(
        "A shop of three services runs on this host for a moment: gateway → cart → payments.\n\
         {} customers come; observer watches from outside, with its probes. The first three:\n",
        args.requests
    );
    let stop = watch::stop_or_hangup_flag()?;
    let plan = plan(&shop, args);
    let sink = Box::new(Explained {
        inner: crate::sink::open(&plan.show, canvas, io::stdout()),
        canvas,
    });
    let mut customers = None;
    watch::watch(&plan, sink, stop.clone(), |_| {
        customers = Some(visit(shop.gateway, args.requests, stop.clone()));
    })?;
    if let Some(customers) = customers {
        let served = customers.join().unwrap_or(0);
        if served < args.requests {
            eprintln!(
                "observer: the demo ended after {served} of {} customers",
                args.requests
            );
        }
    }
    Ok(Exit::Ok)
}

/// Sends the customers, then ends the watch. Gives how many were served.
fn visit(gateway: SocketAddr, count: u32, stop: Arc<AtomicBool>) -> JoinHandle<u32> {
    thread::spawn(move || {
        let served = customers::come(gateway, count, &stop);
        stop.store(true, Ordering::Relaxed);
        served
    })
}

fn plan(shop: &Shop, args: &DemoArgs) -> WatchPlan {
    WatchPlan {
        selection: Selection {
            pids: shop.services.iter().map(|s| s.0.id()).collect(),
            ..Selection::default()
        },
        command: None,
        duration: None,
        detail: DetailArgs::default(),
        budget: Budget::NONE,
        record: None,
        types: args.kernel.btf.clone(),
        show: ShowPlan {
            color: args.color,
            at_most: Some(SHOWN),
            ..ShowPlan::default()
        },
        heal: None,
    }
}

/// The running services; they end with it.
struct Shop {
    services: Vec<Service>,
    gateway: SocketAddr,
}

/// A process that is ended when it is no longer needed.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shop {
    fn open() -> io::Result<Self> {
        let mut services = Vec::new();
        let mut next = None;
        for name in ["payments", "cart", "gateway"] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            services.push(start(name, listener, next)?);
            next = Some(address);
        }
        let gateway = next.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { services, gateway })
    }
}

/// Starts a service, which is given its listening socket as standard input (as by inetd), so that
/// customers can come before it is up.
fn start(name: &str, listener: TcpListener, next: Option<SocketAddr>) -> io::Result<Service> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["__shop", name])
        .env("OTEL_SERVICE_NAME", name)
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::piped());
    if let Some(next) = next {
        command.arg("--next").arg(next.port().to_string());
    }
    let mut child = command.spawn()?;
    if let Some(mut lines) = child.stdout.take() {
        // Somebody has to read them; what they say is seen by the probes.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
    }
    Ok(Service(child))
}

/// Adds an explanation after the summary.
struct Explained<'a> {
    inner: Box<dyn Sink + 'a>,
    canvas: Canvas,
}

impl Sink for Explained<'_> {
    fn judged(&mut self, item: Judged) -> io::Result<()> {
        self.inner.judged(item)
    }

    fn tick(&mut self, now: KernelNanos) -> io::Result<()> {
        self.inner.tick(now)
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        let explanation = explain::text(&summary, self.canvas);
        self.inner.finish(summary)?;
        let mut out = io::stdout().lock();
        out.write_all(explanation.as_bytes())?;
        out.flush()
    }
}
