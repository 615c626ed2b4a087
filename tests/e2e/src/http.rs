//! HTTP/1.1 over blocking sockets, as far as the test bed's own servers need it.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Longest request head taken, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// A request with the parts that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Request target.
    pub target: String,
    /// Header names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Whether the client asked to close the connection after the response.
    pub close: bool,
}

impl Request {
    /// Value of the first header called `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// The server's side of a connection.
pub struct Connection<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    /// Takes an accepted connection.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The next request with its body read and thrown away; `None` when the client closed.
    ///
    /// # Errors
    /// When reading fails, or what comes is no HTTP request.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some((request, head_len)) = parse_head(&self.buffer)? {
                self.buffer.drain(..head_len);
                self.skip_body(&request)?;
                return Ok(Some(request));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Writes a response with status 200 in one call.
    ///
    /// # Errors
    /// When writing fails.
    pub fn respond(&mut self, body: &str) -> io::Result<()> {
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(response.as_bytes())
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let n = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..n]);
        if self.buffer.len() > MAX_MESSAGE {
            return Err(invalid("request too long"));
        }
        Ok(n > 0)
    }

    fn skip_body(&mut self, request: &Request) -> io::Result<()> {
        if request.header("transfer-encoding").is_some() {
            return self.skip_chunks();
        }
        let len = match request.header("content-length") {
            Some(value) => value.parse().map_err(|_| invalid("Content-Length"))?,
            None => 0,
        };
        self.skip(len)
    }

    fn skip_chunks(&mut self) -> io::Result<()> {
        loop {
            match httparse::parse_chunk_size(&self.buffer).map_err(|_| invalid("chunk size"))? {
                httparse::Status::Complete((used, size)) => {
                    let size = usize::try_from(size).map_err(|_| invalid("chunk size"))?;
                    self.skip(used.saturating_add(size).saturating_add(2))?;
                    if size == 0 {
                        return Ok(());
                    }
                }
                httparse::Status::Partial => self.fill_or_fail()?,
            }
        }
    }

    fn skip(&mut self, mut len: usize) -> io::Result<()> {
        while self.buffer.len() < len {
            len -= self.buffer.len();
            self.buffer.clear();
            self.fill_or_fail()?;
        }
        self.buffer.drain(..len);
        Ok(())
    }

    fn fill_or_fail(&mut self) -> io::Result<()> {
        if self.fill()? {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed
        .parse(bytes)
        .map_err(|error| invalid(&error.to_string()))?;
    let httparse::Status::Complete(len) = status else {
        return Ok(None);
    };
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|h| {
            (
                h.name.to_ascii_lowercase(),
                String::from_utf8_lossy(h.value).into_owned(),
            )
        })
        .collect();
    let connection = headers
        .iter()
        .find(|(n, _)| n == "connection")
        .map(|(_, v)| v.to_ascii_lowercase());
    let close = match connection.as_deref() {
        Some(value) => value.contains("close"),
        None => parsed.version == Some(0),
    };
    let target = parsed.path.unwrap_or_default().to_owned();
    Ok(Some((
        Request {
            target,
            headers,
            close,
        },
        len,
    )))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a request the test bed takes: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn requests_follow_each_other_after_bodies_of_both_kinds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client
            .write_all(
                b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
                  POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
                  GET /c HTTP/1.1\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        drop(client);
        let mut server = Connection::new(listener.accept().unwrap().0);
        let mut next = || server.request().unwrap();
        assert_eq!(next().unwrap().target, "/a");
        assert_eq!(next().unwrap().target, "/b");
        let last = next().unwrap();
        assert!(last.close && last.target == "/c");
        assert_eq!(next(), None);
    }
}
