//! Work for processes that are measured: HTTP over a loopback connection, an unrelated system
//! call, the starting of programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// Bytes of each message.
pub const MESSAGE: usize = 600;
/// System calls of one exchange: both ends write and read once.
pub const CALLS_PER_EXCHANGE: u32 = 4;

/// A piece of work.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Work {
    /// 50 000 requests and responses, both ends of them.
    Exchanges,
    /// A million calls of `getppid`.
    Unrelated,
    /// 300 programs, one after another.
    Programs,
}

/// Waits for a line on standard input, then works.
pub fn run(work: Work) -> Result<()> {
    let mut exchange = Exchange::new()?;
    std::io::stdin().read_line(&mut String::new())?;
    match work {
        Work::Exchanges => exchange.repeat(50_000),
        Work::Unrelated => {
            unrelated(1_000_000);
            Ok(())
        }
        Work::Programs => (0..300).try_for_each(|_| {
            Command::new("true").status().context("starting `true`")?;
            Ok(())
        }),
    }
}

/// Both ends of a connection.
pub struct Exchange {
    client: TcpStream,
    server: TcpStream,
    request: Vec<u8>,
    response: Vec<u8>,
    buffer: Vec<u8>,
}

impl Exchange {
    /// Connects to itself.
    pub fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let head = "GET /work?id=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\
                    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Filler: ";
        let filler = "x".repeat(MESSAGE - head.len() - 4);
        let request = format!("{head}{filler}\r\n\r\n").into_bytes();
        let head = "HTTP/1.1 200 OK\r\nContent-Length: ";
        let body = MESSAGE - head.len() - 7;
        let response = format!("{head}{body}\r\n\r\n{}", "y".repeat(body)).into_bytes();
        Ok(Self {
            client,
            server,
            request,
            response,
            buffer: vec![0; MESSAGE],
        })
    }

    /// So many requests and responses.
    pub fn repeat(&mut self, times: u32) -> Result<()> {
        for _ in 0..times {
            self.client.write_all(&self.request)?;
            self.server.read_exact(&mut self.buffer)?;
            self.server.write_all(&self.response)?;
            self.client.read_exact(&mut self.buffer)?;
        }
        Ok(())
    }
}

/// A system call that no probe is interested in.
pub fn unrelated(times: u32) {
    for _ in 0..times {
        std::hint::black_box(rustix::process::getppid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_long_as_they_say() {
        let mut exchange = Exchange::new().expect("a loopback connection");
        assert_eq!(exchange.request.len(), MESSAGE);
        assert_eq!(exchange.response.len(), MESSAGE);
        exchange.repeat(2).expect("moved");
    }
}
