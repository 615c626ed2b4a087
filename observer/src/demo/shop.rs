//! The shop's services. Their faults are on purpose, and of the kind that real services have.

use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::http::{self, Request};
use crate::cli::args::{ShopArgs, ShopService};
use crate::cli::exit::Exit;

/// Runs one service of the shop; its standard input is the socket to listen on.
///
/// # Errors
///
/// If there is no such socket.
pub fn run(args: &ShopArgs) -> io::Result<Exit> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let service = args.service;
    let next = SocketAddr::from((Ipv4Addr::LOCALHOST, args.next));
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // A customer who leaves early is no fault.
            let _ = serve(service, next, stream);
        });
    }
    Ok(Exit::Ok)
}

fn serve(service: ShopService, next: SocketAddr, stream: TcpStream) -> io::Result<()> {
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    while let Some(request) = http::read_request(&mut from)? {
        match service {
            ShopService::Gateway => gateway(next, &request)?,
            ShopService::Cart => cart(next, &request)?,
            ShopService::Payments => payments(&request),
        }
        http::respond(&mut to, "200 OK", "{\"ok\":true}")?;
    }
    Ok(())
}

/// Does everything right: a new span for the call, and its trace's id in every line.
fn gateway(cart: SocketAddr, request: &Request) -> io::Result<()> {
    let context = request.traceparent.as_deref();
    log("checkout begins", context);
    let target = request.target.replace("/checkout/", "/cart/");
    http::call(cart, "cart", "GET", &target, child(context).as_deref())?;
    Ok(())
}

/// Right for the payment; but the discount is asked for by code that never heard of contexts.
fn cart(payments: SocketAddr, request: &Request) -> io::Result<()> {
    let context = request.traceparent.as_deref();
    log("cart loaded", context);
    let number = request.target.rsplit('/').next().unwrap_or_default();
    if number.parse::<u32>().is_ok_and(|n| n % 3 == 2) {
        let target = format!("/discount/{number}?customer=4711");
        http::call(payments, "payments", "GET", &target, None)?;
    }
    http::call(
        payments,
        "payments",
        "POST",
        "/charge",
        child(context).as_deref(),
    )?;
    Ok(())
}

/// Calls nobody, but one of its lines is written by a logger without the id.
fn payments(request: &Request) {
    thread::sleep(Duration::from_millis(2));
    if request.target == "/charge" {
        log("card charged", request.traceparent.as_deref());
        log("receipt printed", None);
    }
}

/// Writes a line of structured log.
fn log(message: &str, context: Option<&str>) {
    let line = match context.and_then(|c| c.get(3..35)) {
        Some(trace) => {
            format!("{{\"level\":\"info\",\"message\":\"{message}\",\"trace_id\":\"{trace}\"}}\n")
        }
        None => format!("{{\"level\":\"info\",\"message\":\"{message}\"}}\n"),
    };
    // One write per line, as loggers do. Nobody to read it is no reason to stop serving.
    let mut out = io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// The context for a call: the same trace, a span of this service's own.
fn child(context: Option<&str>) -> Option<String> {
    static SPANS: AtomicU64 = AtomicU64::new(1);
    let context = context.filter(|c| c.len() == 55 && c.is_ascii())?;
    let number = SPANS.fetch_add(1, Ordering::Relaxed);
    // Unlike other processes' and not zero; more is not asked of a span's id.
    let span = (u64::from(std::process::id()) << 32) | number;
    Some(format!("{}{span:016x}{}", &context[..36], &context[52..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_keeps_the_trace_and_changes_the_span() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let child = child(Some(parent)).unwrap();
        assert_eq!(child.len(), parent.len());
        assert_eq!((&child[..36], &child[52..]), (&parent[..36], &parent[52..]));
        assert_ne!(child, parent);
    }
}
