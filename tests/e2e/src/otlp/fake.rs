//! An endpoint that answers what a test wants, in the order in which it wants it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header lines, each with its line break.
    pub headers: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Everything was taken.
    #[must_use]
    pub fn taken() -> Self {
        Self::status(200)
    }

    /// A status, and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Taken, but for one item (`partial_success` with `rejected_… = 1, error_message = "too old"`).
    #[must_use]
    pub fn partly() -> Self {
        let body = b"\x0a\x0b\x08\x01\x12\x07too old".to_vec();
        Self {
            body,
            ..Self::status(200)
        }
    }
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Came {
    /// Path.
    pub path: String,
    /// Length of its body.
    pub len: usize,
    /// When it was complete.
    pub at: Instant,
}

/// A running endpoint. Its threads end with the process.
pub struct Fake {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Fake {
    /// Answers the n-th request for a path (from 0) of a length with `answer(path, n, length)`.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn start(
        answer: impl Fn(&str, usize, usize) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let (shared, answer) = (Arc::clone(&came), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (came, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                // A client that breaks off is the client's business.
                thread::spawn(move || drop(serve(stream, &came, &*answer)));
            }
        });
        Ok(Self { address, came })
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for a path so far.
    #[must_use]
    pub fn came(&self, path: &str) -> Vec<Came> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.iter().filter(|c| c.path == path).cloned().collect()
    }
}

fn serve(
    mut stream: TcpStream,
    came: &Mutex<Vec<Came>>,
    answer: &dyn Fn(&str, usize, usize) -> Answer,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some((path, len)) = request(&mut stream, &mut buffer)? {
        let nth = {
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = came.iter().filter(|c| c.path == path).count();
            came.push(Came {
                path: path.clone(),
                len,
                at: Instant::now(),
            });
            nth
        };
        let answer = answer(&path, nth, len);
        let head = format!(
            "HTTP/1.1 {} x\r\n{}Content-Length: {}\r\n\r\n",
            answer.status,
            answer.headers,
            answer.body.len()
        );
        stream.write_all(&[head.as_bytes(), &answer.body].concat())?;
    }
    Ok(())
}

/// Path and length of the next request, whose body is thrown away; `None` at the end.
fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(String, usize)>> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if buffer.first().is_some_and(|b| !b.is_ascii_uppercase()) {
            return Err(io::Error::other("no HTTP, perhaps TLS"));
        }
        if let Some((path, head, len)) = parse(buffer)
            && buffer.len() >= head + len
        {
            buffer.drain(..head + len);
            return Ok(Some((path, len)));
        }
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(&chunk[..n]);
    }
}

fn parse(bytes: &[u8]) -> Option<(String, usize, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        _ => return None,
    };
    let length = parsed
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|h| std::str::from_utf8(h.value).ok()?.parse().ok());
    Some((parsed.path?.to_owned(), head, length.unwrap_or(0)))
}
