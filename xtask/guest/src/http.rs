//! As much HTTP/1.1 as the workload speaks.

use std::{
    io::{self, BufRead, Write},
    net::{Ipv4Addr, TcpStream},
};

/// A request, as far as the workload looks at it.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub target: String,
    /// The context that came with it.
    pub traceparent: Option<String>,
}

/// Reads a request without a body; nothing at the end of the connection.
pub fn read(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut traceparent = None;
    loop {
        line.clear();
        from.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("traceparent", value)) => traceparent = Some(value.to_owned()),
            Some(_) => {}
            None => break,
        }
    }
    Ok(Some(Request {
        target,
        traceparent,
    }))
}

/// Writes an answer without a body.
pub fn respond(to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

/// Asks the service on `port` over a connection of its own, and reads the answer.
pub fn call(port: u16, target: &str, traceparent: Option<&str>) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let context = traceparent.map_or_else(String::new, |c| format!("traceparent: {c}\r\n"));
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{context}\r\n");
    stream.write_all(head.as_bytes())?;
    match read(&mut io::BufReader::new(stream))? {
        Some(_) => Ok(()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
