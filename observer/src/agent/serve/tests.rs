use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use observer_core::judged::WallTime;

use super::super::board::{Board, Snapshot};
use super::*;

struct Served {
    address: SocketAddr,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A server, and a session that answers it.
fn served() -> Served {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let board = Arc::new(Board::new("here".into(), WallTime(0)));
    board.hear();
    let server = Arc::new(Server::new(Arc::clone(&board), 10, true));
    start(listener, server).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (session, over) = (Arc::clone(&board), Arc::clone(&stop));
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if session.is_asked() {
                session.answer(Snapshot::default());
            }
            thread::yield_now();
        }
    });
    Served {
        address,
        board,
        stop,
    }
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str, accept: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}");
    ask(address, &format!("{head}\r\nConnection: close\r\n\r\n"))
}

#[test]
fn each_page_is_there_and_nothing_else() {
    let served = served();
    for (path, status, part) in [
        ("/metrics", "200", "observer_agent_info{agent=\"here\""),
        ("/api/v1/counts", "200", "\"agent\":\"here\""),
        ("/healthz", "200", "ok"),
        ("/readyz", "503", "not in place"),
        ("/", "200", "<h1>observer on here</h1>"),
        ("/etc/passwd", "404", "there are"),
        ("/metrics?x=1", "200", "observer_agent_info"),
    ] {
        let answer = get(served.address, path, "*/*");
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
        assert!(answer.contains(part), "{path}: {answer}");
    }
    served.board.set_ready(true);
    assert!(get(served.address, "/readyz", "*/*").starts_with("HTTP/1.1 200"));
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(ask(served.address, post).starts_with("HTTP/1.1 405"));
}

#[test]
fn the_scraper_gets_the_format_that_it_asks_for() {
    let served = served();
    let answer = get(served.address, "/metrics", "application/openmetrics-text");
    let media = "content-type: application/openmetrics-text; version=1.0.0";
    assert!(answer.contains(media), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    let older = get(served.address, "/metrics", "text/plain");
    assert!(older.contains("text/plain; version=0.0.4"), "{older}");
}

#[test]
fn a_taken_address_is_named() {
    let first = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = first.local_addr().unwrap();
    let error = listen(address).unwrap_err();
    assert!(
        matches!(error, ServeError::Taken(a) if a == address),
        "{error}"
    );
    assert!(error.to_string().contains(&address.to_string()));
}

#[test]
fn who_is_slow_or_greedy_is_closed_and_keeps_nobody_out() {
    let served = served();
    // Heads that never end: as many as one address may have, and more.
    let slow: Vec<TcpStream> = (0..OF_ONE + 8)
        .map(|_| {
            let mut stream = TcpStream::connect(served.address).unwrap();
            let _ = stream.write_all(b"GET /metr");
            stream
        })
        .collect();
    for mut stream in slow {
        stream.set_read_timeout(Some(HEAD * 3)).unwrap();
        let waited = stream.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        // Closed or reset; not still open.
        assert!(
            !matches!(waited, Err(io::ErrorKind::WouldBlock)),
            "{waited:?}"
        );
    }
    assert!(get(served.address, "/healthz", "*/*").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let served = served();
    let large = "x".repeat(HEAD_BYTES * 2);
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {large}\r\n\r\n");
    let mut stream = TcpStream::connect(served.address).unwrap();
    // It may be closed before everything is written.
    let _ = stream.write_all(large.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert!(get(served.address, "/healthz", "*/*").starts_with("HTTP/1.1 200"));
}
