//! The agent's HTTP server: small, read-only, and on a thread of its own.
//!
//! Whoever can reach it may be slow or hostile: connections, those of one address, the time for a
//! request's head, and that for a whole connection are bounded.

mod page;
mod respond;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
pub use respond::Server;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::stderr::say;

/// Connections at once, at most; more wait to be accepted.
const CONNECTIONS: usize = 64;

/// Connections at once of one address, at most; more are closed.
const OF_ONE: usize = 16;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection may last. Scrapers connect anew.
const LIFETIME: Duration = Duration::from_secs(120);

/// How long to wait when connections can't be accepted (descriptors, memory).
const PAUSE: Duration = Duration::from_millis(100);

/// The largest head of a request, bytes.
const HEAD_BYTES: usize = 16 << 10;

/// Why the server can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken.
    #[error(
        "metrics.listen: {0} is taken by another program (`ss -ltnp` shows which); choose another address, or off"
    )]
    Taken(SocketAddr),
    /// It can't be listened there.
    #[error("metrics.listen: {address} can't be listened on: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("the HTTP server can't be started: {0}")]
    Thread(io::Error),
}

/// Takes the address: before anything else is begun, so that nobody waits for probes to learn that it
/// is taken.
///
/// # Errors
///
/// If it can't be listened there.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::Taken(address),
        _ => ServeError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Serves until the program ends.
///
/// # Errors
///
/// If there is no thread for it.
pub fn start(listener: TcpListener, server: Arc<Server>) -> Result<(), ServeError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Thread)?;
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            crate::privileges::keep_none();
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, server).await,
                    Err(error) => say(format_args!("the HTTP server ended: {error}")),
                }
            });
        })
        .map_err(ServeError::Thread)?;
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, server: Arc<Server>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let guests = Guests::default();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some(guest) = guests.enter(from.ip()) {
                    let server = Arc::clone(&server);
                    tokio::spawn(serve(stream, server, guest, permit));
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn serve(
    stream: TcpStream,
    server: Arc<Server>,
    _guest: Guest,
    _permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { server.respond(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever is wrong is the client's business.
    let _ = timeout(LIFETIME, connection).await;
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection, counted until it is dropped.
struct Guest {
    of: Guests,
    from: IpAddr,
}

impl Guests {
    fn enter(&self, from: IpAddr) -> Option<Guest> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Guest {
            of: self.clone(),
            from,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}
