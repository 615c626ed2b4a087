//! A model of conversations: what is said, the bytes that say it, and what must be told of it.

use proptest::prelude::*;

/// How a body is framed.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Absent,
    Length(Vec<u8>),
    Chunks(Vec<Vec<u8>>, bool),
}

/// A request and its response.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    method: &'static str,
    padding: usize,
    request: Body,
    interim: bool,
    response: Body,
}

/// Both sides' bytes of one exchange.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub request: Vec<u8>,
    pub response: Vec<u8>,
}

/// The status that answers the exchange with this number: every exchange has its own.
pub(super) fn status(number: usize) -> u16 {
    400 + u16::try_from(number).unwrap()
}

impl Exchange {
    /// The bytes; `number` is found in the target and in the status.
    pub fn say(&self, number: usize) -> Said {
        let mut request = format!(
            "{} /{number} HTTP/1.1\r\nHost: host-{number}\r\nX-Padding: {}\r\nTraceparent: {number}\r\n",
            self.method,
            "p".repeat(self.padding),
        )
        .into_bytes();
        self.request.say(&mut request, true);
        let mut response = Vec::new();
        if self.interim {
            response.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        response.extend(format!("HTTP/1.1 {} Fine\r\nServer: x\r\n", status(number)).into_bytes());
        self.response.say(&mut response, self.method != "HEAD");
        Said { request, response }
    }

    /// What must be told of it, for a server.
    pub fn told(&self, number: usize) -> [String; 4] {
        [
            format!("Read {} /{number}", self.method),
            "sent".into(),
            status(number).to_string(),
            "done".into(),
        ]
    }
}

impl Body {
    fn say(&self, out: &mut Vec<u8>, with_body: bool) {
        match self {
            Self::Absent => out.extend(b"Content-Length: 0\r\n\r\n"),
            Self::Length(body) => {
                out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
                if with_body {
                    out.extend(body);
                }
            }
            Self::Chunks(chunks, trailers) => {
                out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                if !with_body {
                    return;
                }
                for chunk in chunks.iter().filter(|c| !c.is_empty()) {
                    out.extend(format!("{:X};ext=\"v\"\r\n", chunk.len()).into_bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n");
                if *trailers {
                    out.extend(b"Checksum: 1\r\nOther: 2\r\n");
                }
                out.extend(b"\r\n");
            }
        }
    }
}

/// Bytes of a body, which may look like anything but the start of a message.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(vec![b'b'; 5000]),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::Absent),
        bytes().prop_map(Body::Length),
        (proptest::collection::vec(bytes(), 0..4), any::<bool>())
            .prop_map(|(chunks, trailers)| Body::Chunks(chunks, trailers)),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("DELETE")],
        prop_oneof![9 => 0usize..50, 1 => Just(3000)],
        body(),
        any::<bool>(),
        body(),
    )
        .prop_map(|(method, padding, request, interim, response)| Exchange {
            method,
            padding,
            request,
            interim,
            response,
        })
}

/// A conversation.
pub(super) fn conversation() -> impl Strategy<Value = Vec<Exchange>> {
    proptest::collection::vec(exchange(), 1..6)
}

/// Cuts `bytes` into pieces whose lengths are drawn from `seed`.
pub(super) fn split(bytes: &[u8], seed: &mut u64) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let bound = [1, 7, 64, 4096][draw(seed, 4)];
        let (piece, after) = rest.split_at((1 + draw(seed, bound)).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

/// A number below `bound`.
pub(super) fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap() % bound
}
