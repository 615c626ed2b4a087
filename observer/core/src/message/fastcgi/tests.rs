//! Conversations of a web server with applications, found in bytes cut anyhow.

use proptest::prelude::*;

use crate::ids::{KernelNanos, Tid};
use crate::message::connection::Heads;
use crate::message::conversation::Conversation;
use crate::message::{HttpEvent, Version};
use crate::record::{Direction, End};
use crate::stream::Chunk;

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;

/// A conversation whose positions and times count up by themselves.
#[derive(Default)]
struct Wire {
    conversation: Conversation,
    told: Vec<String>,
    heads: Vec<crate::message::RequestHead>,
    pos: [u64; 2],
    time: u64,
}

impl Wire {
    fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.send_cut(direction, bytes, 0)
    }

    fn send_cut(&mut self, direction: Direction, bytes: &[u8], cut: u32) -> &mut Self {
        self.time += 1;
        let pos = &mut self.pos[usize::from(direction == WRITE)];
        let chunk = Chunk {
            tid: Tid(1),
            time: KernelNanos(self.time),
            pos: *pos,
            len: u32::try_from(bytes.len()).unwrap() + cut,
            bytes,
            nonblocking: false,
            execution: None,
        };
        *pos += u64::from(chunk.len);
        let Self { told, heads, .. } = self;
        let mut sink = |event| tell(event, told, heads);
        let heads = &mut Heads::default();
        self.conversation.chunk(direction, &chunk, heads, &mut sink);
        self
    }

    /// Bytes of which no record came.
    fn skip(&mut self, direction: Direction, n: usize) -> &mut Self {
        self.pos[usize::from(direction == WRITE)] += n as u64;
        self
    }

    fn end(&mut self, direction: Direction) -> &mut Self {
        let Self { told, heads, .. } = self;
        let mut sink = |event| tell(event, told, heads);
        self.conversation.end(direction, End::Eof, &mut sink);
        self
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

fn tell(event: HttpEvent, told: &mut Vec<String>, heads: &mut Vec<crate::message::RequestHead>) {
    told.push(match event {
        HttpEvent::Request { head, .. } => {
            let said = format!("{} {}", head.method, head.target);
            heads.push(head);
            said
        }
        HttpEvent::Response { nth, status, .. } => format!("{nth}: {status}"),
        HttpEvent::ResponseEnd { nth, .. } => format!("{nth} done"),
        HttpEvent::RequestEnd { .. } => "sent".into(),
        HttpEvent::Lost => "lost".into(),
        HttpEvent::Malformed { flaw, .. } => format!("{flaw:?}"),
        HttpEvent::Ignored(protocol) => format!("{protocol:?}"),
    });
}

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    let id = id.to_be_bytes();
    let mut bytes = vec![1, kind, id[0], id[1], len[0], len[1], padding, 0];
    bytes.extend(content);
    bytes.extend(vec![0xee; usize::from(padding)]);
    bytes
}

fn begin(id: u16, keep: bool) -> Vec<u8> {
    record(BEGIN, id, &[0, 1, u8::from(keep), 0, 0, 0, 0, 0], 0)
}

fn length(n: usize, long: bool) -> Vec<u8> {
    match u8::try_from(n) {
        Ok(short) if short < 128 && !long => vec![short],
        _ => (u32::try_from(n).unwrap() | 1 << 31).to_be_bytes().to_vec(),
    }
}

fn pairs(pairs: &[(&str, &str)], long: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        bytes.extend(length(name.len(), long));
        bytes.extend(length(value.len(), long));
        bytes.extend(name.bytes().chain(value.bytes()));
    }
    bytes
}

/// A whole request, its pairs in records of at most `part` bytes.
fn request(id: u16, keep: bool, given: &[(&str, &str)], part: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = begin(id, keep);
    for part in pairs(given, part.is_multiple_of(2)).chunks(part) {
        bytes.extend(record(
            PARAMS,
            id,
            part,
            u8::try_from(part.len() % 8).unwrap(),
        ));
    }
    bytes.extend(record(PARAMS, id, &[], 0));
    for part in body.chunks(1000) {
        bytes.extend(record(STDIN, id, part, 3));
    }
    bytes.extend(record(STDIN, id, &[], 0));
    bytes
}

fn answer(id: u16, head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = record(STDERR, id, b"PHP message: x\n", 1);
    bytes.extend(record(STDOUT, id, head.as_bytes(), 5));
    for part in body.chunks(5000) {
        bytes.extend(record(STDOUT, id, part, 0));
    }
    bytes.extend(record(STDOUT, id, &[], 0));
    bytes.extend(ended(id));
    bytes
}

fn ended(id: u16) -> Vec<u8> {
    record(END, id, &[0; 8], 0)
}

const GET: &[(&str, &str)] = &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a?b=c")];
const OK: &str = "Content-type: text/html\r\n\r\n";

#[test]
fn a_request_says_what_its_client_sent() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let given = [
        ("QUERY_STRING", "b=c"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/a?b=c"),
        ("SCRIPT_NAME", "/index.php"),
        ("HTTP_HOST", "shop"),
        ("HTTP_TRACEPARENT", trace),
        ("HTTP_X_REQUEST_ID", "r-1"),
        ("TRACEPARENT", "not a header"),
    ];
    let mut wire = Wire::default();
    wire.send(READ, &request(1, false, &given, 7, b"body"));
    wire.send(WRITE, &answer(1, "Status: 404 Not Found\r\n\r\n", b"no"));
    assert_eq!(wire.told(), ["POST /a?b=c", "0: 404", "0 done"]);
    let head = wire.heads.remove(0);
    assert_eq!(
        (head.version, head.at, head.host),
        (Version::FastCgi, 0, None)
    );
    let [context] = &head.carrier.contexts[..] else {
        panic!("{:?}", head.carrier);
    };
    assert_eq!(context.raw, trace);
    assert_eq!(head.carrier.correlation.len(), 1);
}

#[test]
fn it_is_recognised_as_php_reads_it() {
    let mut wire = Wire::default();
    let bytes = request(1, false, GET, 600, b"");
    let (head, rest) = bytes.split_at(8);
    wire.send(READ, head).send(READ, rest);
    wire.send(WRITE, &answer(1, OK, b"hello"));
    assert_eq!(wire.told(), ["GET /a?b=c", "0: 200", "0 done"]);
}

#[test]
fn without_a_uri_the_script_is_the_target() {
    let mut wire = Wire::default();
    let ping = [("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", "/ping")];
    wire.send(WRITE, &request(1, false, &ping, 99, b""));
    assert_eq!(wire.told(), ["GET /ping"]);
    assert_eq!(wire.conversation.requests(), Some(WRITE));
}

#[test]
fn requests_that_share_a_connection_are_told_apart() {
    let mut wire = Wire::default();
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/b")];
    wire.send(READ, &begin(7, true));
    wire.send(READ, &request(2, true, &post, 9, b"")[..]);
    let mut first = request(7, true, GET, 9, b"");
    wire.send(READ, &first.split_off(16));
    wire.send(WRITE, &record(STDOUT, 7, OK.as_bytes(), 0));
    wire.send(WRITE, &answer(2, "Status: 201\r\n\r\n", b""));
    wire.send(WRITE, &ended(7));
    assert_eq!(
        wire.told(),
        [
            "POST /b",
            "GET /a?b=c",
            "1: 200",
            "0: 201",
            "0 done",
            "0 done"
        ]
    );
}

#[test]
fn connections_are_kept() {
    let mut wire = Wire::default();
    for _ in 0..3 {
        wire.send(WRITE, &request(1, true, GET, 99, b"body"));
        wire.send(READ, &answer(1, OK, b"hello"));
        assert_eq!(wire.told(), ["GET /a?b=c", "0: 200", "0 done"]);
    }
    assert!(wire.heads[2].at > wire.heads[1].at);
}

#[test]
fn contents_that_do_not_matter_may_be_missing() {
    let mut wire = Wire::default();
    let mut asked = request(1, true, GET, 99, b"");
    asked.truncate(asked.len() - 8);
    wire.send(READ, &asked);
    wire.send(READ, &record(STDIN, 1, &[b'x'; 9000], 2)[..8]);
    let until = wire.conversation.skip_until(READ).unwrap();
    assert_eq!(until, asked.len() as u64 + 8 + 9000);
    wire.skip(READ, 9001).send(READ, &[0]);
    wire.send(READ, &record(STDIN, 1, &[], 0));
    wire.send(WRITE, &record(STDOUT, 1, OK.as_bytes(), 0));
    wire.send_cut(WRITE, &record(STDOUT, 1, &[b'x'; 9000], 0)[..100], 8908);
    wire.send(WRITE, &ended(1));
    assert_eq!(wire.told(), ["GET /a?b=c", "0: 200", "0 done"]);
}

#[test]
fn the_last_answer_ends_with_the_connection() {
    let mut wire = Wire::default();
    wire.send(READ, &request(1, false, GET, 99, b""));
    wire.send_cut(WRITE, &answer(1, OK, &[b'x'; 70_000])[..100], 70_000);
    wire.skip(WRITE, 50).send(WRITE, b"anything").end(WRITE);
    assert_eq!(wire.told(), ["GET /a?b=c", "0: 200", "0 done"]);
}

#[test]
fn what_is_lost_elsewhere_is_lost() {
    let asked = request(1, true, GET, 99, b"");
    let answered = answer(1, OK, b"hello");
    let mut wire = Wire::default();
    wire.send(READ, &asked)
        .skip(WRITE, 3)
        .send(WRITE, &answered);
    assert_eq!(wire.told(), ["GET /a?b=c", "lost"]);
    wire.send(READ, &asked).send(WRITE, &answered);
    assert_eq!(
        wire.told(),
        ["GET /a?b=c", "0: 200", "0 done"],
        "found again"
    );
    wire.send(READ, &asked[..30]).skip(READ, 10);
    wire.send(READ, &asked[40..]).send(WRITE, &answered);
    assert_eq!(wire.told(), ["lost"]);
    wire.send(READ, &asked)
        .send(READ, &asked)
        .send(WRITE, &answered);
    assert_eq!(
        wire.told(),
        ["GET /a?b=c", "lost", "GET /a?b=c", "0: 200", "0 done"],
        "a number that is in use"
    );
}

#[test]
fn hostile_requests_take_no_room() {
    let mut wire = Wire::default();
    wire.send(READ, &begin(1, true));
    for _ in 0..2 {
        wire.send(READ, &record(PARAMS, 1, &[0x7f; 40_000], 0));
    }
    assert_eq!(wire.told(), ["lost"], "more than any web server sends");
    for id in 1..=20 {
        wire.send(READ, &begin(id, true));
    }
    assert_eq!(wire.told(), ["lost"; 4], "more than four begin at a time");
    for _ in 0..40 {
        wire.send(READ, b"\xff\xff").send(WRITE, b"\xff\xff");
    }
    assert_eq!(wire.told(), ["lost", "lost", "Unknown"]);
}

/// One request and its answer.
#[derive(Clone, Debug)]
struct Said {
    id: u16,
    part: usize,
    body: usize,
    status: Option<u16>,
    answer: usize,
}

impl Said {
    fn asked(&self, n: usize) -> Vec<u8> {
        let target = format!("/{n}");
        let long = "x".repeat(self.part);
        let given = [
            ("REQUEST_METHOD", "GET"),
            ("HTTP_COOKIE", long.as_str()),
            ("REQUEST_URI", target.as_str()),
        ];
        request(self.id, true, &given, self.part, &vec![b'b'; self.body])
    }

    fn answered(&self) -> Vec<u8> {
        let head = self
            .status
            .map_or(OK.into(), |s| format!("Status: {s}\r\n\r\n"));
        answer(self.id, &head, &vec![b'a'; self.answer])
    }

    fn told(&self, n: usize) -> [String; 3] {
        let status = self.status.unwrap_or(200);
        [format!("GET /{n}"), format!("0: {status}"), "0 done".into()]
    }
}

fn said() -> impl Strategy<Value = Said> {
    let status = prop_oneof![Just(None), (100u16..999).prop_map(Some)];
    (1u16..4, 1usize..300, 0usize..3000, status, 0usize..9000).prop_map(
        |(id, part, body, status, answer)| Said {
            id,
            part,
            body,
            status,
            answer,
        },
    )
}

/// Pieces of the lengths that `cuts` draws; the first is long enough to be recognised.
fn split(bytes: &[u8], cuts: &mut impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let least = if pieces.is_empty() { 8 } else { 1 };
        let wanted = cuts.next().unwrap_or(1).max(least);
        let (piece, after) = rest.split_at(wanted.min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

proptest! {
    #[test]
    fn how_bytes_are_split_does_not_matter(
        all in proptest::collection::vec(said(), 1..6),
        cuts in proptest::collection::vec(1usize..400, 1..40),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let mut wire = Wire::default();
        let mut expected = Vec::new();
        for (n, said) in all.iter().enumerate() {
            for piece in split(&said.asked(n), &mut cuts) {
                wire.send(READ, &piece);
            }
            for piece in split(&said.answered(), &mut cuts) {
                wire.send(WRITE, &piece);
            }
            expected.extend(said.told(n));
        }
        prop_assert_eq!(wire.told(), expected);
    }

    /// Whatever is lost, what is told was said: no request, and no status of another one.
    #[test]
    fn loss_makes_up_nothing(
        all in proptest::collection::vec(said(), 1..6),
        cuts in proptest::collection::vec(1usize..400, 1..40),
        fates in proptest::collection::vec(0u8..12, 1..60),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let mut fates = fates.into_iter().cycle();
        let mut wire = Wire::default();
        for (n, said) in all.iter().enumerate() {
            for (direction, bytes) in [(READ, said.asked(n)), (WRITE, said.answered())] {
                for piece in split(&bytes, &mut cuts) {
                    let half = piece.len() / 2;
                    match fates.next() {
                        Some(0) => wire.skip(direction, piece.len()),
                        Some(1) => wire.send_cut(direction, &piece[..half], u32::try_from(piece.len() - half).unwrap()),
                        _ => wire.send(direction, &piece),
                    };
                }
            }
            let may_be = said.told(n);
            for told in wire.told() {
                prop_assert!(told == "lost" || told == "Unknown" || may_be.contains(&told), "{told} of {may_be:?}");
            }
        }
    }

    #[test]
    fn nothing_panics(calls in proptest::collection::vec(noise(), 0..60)) {
        let mut wire = Wire::default();
        wire.send(READ, &begin(1, false));
        for (read, bytes, cut, skip) in calls {
            let direction = if read { READ } else { WRITE };
            wire.skip(direction, skip).send_cut(direction, &bytes, cut);
            if let Some(until) = wire.conversation.skip_until(direction) {
                prop_assert!(until > wire.pos[usize::from(direction == WRITE)]);
            }
            if skip == 2 {
                wire.end(direction);
            }
        }
    }
}

/// Calls made of what the parser stumbles over.
fn noise() -> impl Strategy<Value = (bool, Vec<u8>, u32, usize)> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..30),
        (1u8..12, 0u16..3, 0u16..20, any::<u8>()).prop_map(|(kind, id, len, pad)| record(
            kind,
            id,
            &vec![1; len.into()],
            pad
        )),
        Just(request(1, false, GET, 9, b"x")),
        Just(answer(1, OK, b"x")),
        Just(record(PARAMS, 1, &[], 0)),
        Just(begin(2, true)[..11].to_vec()),
    ];
    (
        any::<bool>(),
        proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat()),
        prop_oneof![3 => Just(0u32), 1 => 0u32..100_000],
        prop_oneof![5 => Just(0usize), 1 => 0usize..100],
    )
}
