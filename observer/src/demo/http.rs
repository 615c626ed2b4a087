//! As much HTTP/1.1 as the shop needs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest message head.
const HEAD: usize = 8 * 1024;
/// Longest body.
const BODY: u64 = 64 * 1024;
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request, as much of it as the shop looks at.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) target: String,
    pub(super) traceparent: Option<String>,
}

/// Reads a request; `None` when the customer has closed the connection.
pub(super) fn read_request(from: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let Some(head) = head(from)? else {
        return Ok(None);
    };
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).map_err(io::Error::other)?;
    let target = request.path.unwrap_or("/").to_owned();
    let traceparent = value(request.headers, "traceparent");
    body(from, request.headers)?;
    Ok(Some(Request {
        target,
        traceparent,
    }))
}

/// Answers a request.
pub(super) fn respond(to: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    to.write_all(head.as_bytes())
}

/// Makes a request on a connection of its own; gives the status.
pub(super) fn call(
    peer: SocketAddr,
    host: &str,
    method: &str,
    target: &str,
    traceparent: Option<&str>,
) -> io::Result<u16> {
    let stream = TcpStream::connect_timeout(&peer, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let context = traceparent.map_or_else(String::new, |c| format!("traceparent: {c}\r\n"));
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{context}content-length: 0\r\n\r\n");
    (&stream).write_all(request.as_bytes())?;
    let mut from = BufReader::new(stream);
    let head = head(&mut from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(io::Error::other)?;
    let status = response.code.unwrap_or(0);
    body(&mut from, response.headers)?;
    Ok(status)
}

/// Reads until the empty line after a head.
fn head(from: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.take(HEAD as u64).read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
        if head.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(Some(head))
}

fn body(from: &mut BufReader<TcpStream>, headers: &[httparse::Header<'_>]) -> io::Result<()> {
    let length = value(headers, "content-length").and_then(|v| v.parse().ok());
    let length: u64 = length.unwrap_or(0).min(BODY);
    io::copy(&mut from.take(length), &mut io::sink())?;
    Ok(())
}

fn value(headers: &[httparse::Header<'_>], name: &str) -> Option<String> {
    let header = headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}
