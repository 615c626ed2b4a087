//! The downstream that every service calls: it answers after a delay and remembers what it was sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http::{Connection, Request};
use crate::workload::query;

/// How long the downstream takes to answer.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// At least, microseconds.
    pub min_us: u64,
    /// At most, microseconds.
    pub max_us: u64,
    /// One answer in so many takes [`SLOW`] instead; 0: none.
    pub slow_one_in: u64,
}

/// What a slow answer takes.
pub const SLOW: Duration = Duration::from_millis(60);

impl Delay {
    /// Answers at once.
    pub const NONE: Self = Self {
        min_us: 0,
        max_us: 0,
        slow_one_in: 0,
    };
    /// Long and uneven enough for requests to overlap and overtake one another.
    pub const UNEVEN: Self = Self {
        min_us: 500,
        max_us: 6000,
        slow_one_in: 0,
    };
    /// The same, and some answers that others overtake many times over.
    pub const SOME_SLOW: Self = Self {
        slow_one_in: 40,
        ..Self::UNEVEN
    };

    fn wait(self) {
        if self.slow_one_in > 0 && fastrand::u64(..self.slow_one_in) == 0 {
            thread::sleep(SLOW);
        } else if self.max_us > 0 {
            thread::sleep(Duration::from_micros(fastrand::u64(
                self.min_us..=self.max_us,
            )));
        }
    }
}

/// One request that the downstream got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Request target.
    pub target: String,
    /// Values of every `traceparent` header, in order.
    pub traceparent: Vec<String>,
    /// The trace-id in B3 headers, single or multiple.
    pub b3_trace: Option<String>,
}

impl Received {
    fn new(request: &Request) -> Self {
        let traceparent = request
            .headers
            .iter()
            .filter(|(name, _)| name == "traceparent")
            .map(|(_, value)| value.clone())
            .collect();
        let single = request.header("b3").and_then(|v| v.split('-').next());
        Self {
            target: request.target.clone(),
            traceparent,
            b3_trace: single.or(request.header("x-b3-traceid")).map(str::to_owned),
        }
    }

    /// The truth id in its target.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        query(&self.target).get("id").copied()
    }
}

/// A running downstream. Its threads end with the process.
pub struct Downstream {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Downstream {
    /// Starts on a port of the kernel's choosing on loopback.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn start(delay: Delay) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, delay)
    }

    /// The same at another address of this machine.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn start_at(address: Ipv4Addr, delay: Delay) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let received = Arc::default();
        let shared = Arc::clone(&received);
        thread::spawn(move || accept(&listener, delay, &shared));
        Ok(Self { address, received })
    }

    /// Address to call.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes what was received since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn accept(listener: &TcpListener, delay: Delay, received: &Arc<Mutex<Vec<Received>>>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let received = Arc::clone(received);
        // A client that breaks off is the client's business: what it sent is remembered.
        thread::spawn(move || drop(serve(stream, delay, &received)));
    }
}

fn serve(stream: TcpStream, delay: Delay, received: &Mutex<Vec<Received>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request()? {
        received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Received::new(&request));
        delay.wait();
        connection.respond("ok")?;
        if request.close {
            break;
        }
    }
    Ok(())
}
