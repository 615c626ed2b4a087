//! Heads that came lately, so that what is the same in the next ones need not be read again.
//!
//! Whoever sends many messages sends nearly the same head each time: responses of a server differ by their date, once a second, requests of a
//! client by their target and by ids. What a head says follows from its bytes alone. So a response whose head is known byte by byte says what that
//! one said. Of a request the fields that matter here are read each time, but where these are follows from the bytes around their values.

use std::ops::Range;

use httparse::Header;

use super::head::{self, Parsed, Request, Response};
use crate::message::Flaw;
use crate::text::is_plain;

/// Heads that are remembered, of requests and of responses.
const KEPT: usize = 8;

/// A longer head is not remembered, in bytes.
const LONGEST: usize = 1024;

/// Heads of connections that came lately, of whichever connections. What is told of a head does not depend on what is known.
#[derive(Debug, Default)]
pub struct Heads {
    requests: Latest<KnownRequest>,
    responses: Latest<KnownResponse>,
}

/// The latest of something.
#[derive(Debug)]
struct Latest<T> {
    kept: Vec<T>,
    /// Where the oldest is, once there are so many.
    next: usize,
}

/// What follows the first line of a request, up to the end of its head.
#[derive(Debug)]
struct KnownRequest {
    lines: Box<[u8]>,
    /// The fields that matter, in the order in which they came.
    fields: Vec<Field>,
}

/// Where a field is.
#[derive(Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug)]
struct KnownResponse {
    bytes: Box<[u8]>,
    says: Response,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            next: 0,
        }
    }
}

impl<T> Latest<T> {
    fn push(&mut self, item: T) {
        if self.kept.len() < KEPT {
            return self.kept.push(item);
        }
        self.kept[self.next] = item;
        self.next = (self.next + 1) % KEPT;
    }
}

impl KnownRequest {
    /// What follows the first line of a request that has these fields; `None` if it is not worth remembering.
    fn new(lines: &[u8], fields: &[Header<'_>]) -> Option<Self> {
        if lines.len() > LONGEST {
            return None;
        }
        let matter = fields.iter().filter(|f| head::matters(f.name.as_bytes()));
        let place = |field: &Header<'_>| {
            Some(Field {
                name: place(field.name.as_bytes(), lines)?,
                value: place(field.value, lines)?,
            })
        };
        Some(Self {
            fields: matter.map(place).collect::<Option<_>>()?,
            lines: lines.into(),
        })
    }

    /// Whether `lines` begin with these, but for values. Theirs have the same length and nothing in them that ends one, or is left out at its ends.
    fn fits(&self, lines: &[u8]) -> bool {
        let Some(lines) = lines.get(..self.lines.len()) else {
            return false;
        };
        let mut from = 0;
        for Field { value, .. } in &self.fields {
            let around = from..value.start;
            if lines[around.clone()] != self.lines[around] || !is_whole(&lines[value.clone()]) {
                return false;
            }
            from = value.end;
        }
        lines[from..] == self.lines[from..]
    }

    /// The fields that matter of `lines`, which fit.
    fn fields<'a>(&self, lines: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let fields = self.fields.iter();
        fields.map(|field| (&lines[field.name.clone()], &lines[field.value.clone()]))
    }
}

/// Where `part` is in `whole`; `None` if it is empty.
fn place(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let from = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = from..from + part.len();
    (!place.is_empty() && whole.get(place.clone()) == Some(part)).then_some(place)
}

/// Whether a value is printable ASCII, and begins and ends with something other than a space.
fn is_whole(value: &[u8]) -> bool {
    is_plain(value) && value.first() != Some(&b' ') && value.last() != Some(&b' ')
}

impl Heads {
    /// Parses a request head at the start of `bytes`.
    pub(super) fn request(&mut self, bytes: &[u8]) -> Parsed<Request> {
        let line = head::request_line(bytes);
        if let Some((line, rest)) = line
            && let Some(known) = self.requests.kept.iter().find(|known| known.fits(rest))
        {
            let used = bytes.len() - rest.len() + known.lines.len();
            return complete(used, line.with(known.fields(rest)));
        }
        let mut space = head::space();
        let (used, raw) = match head::request(bytes, &mut space) {
            Parsed::Complete(used, raw) => (used, raw),
            Parsed::Partial => return Parsed::Partial,
            Parsed::Invalid(flaw) => return Parsed::Invalid(flaw),
        };
        if let Some((_, rest)) = line
            && let Some(known) =
                KnownRequest::new(&bytes[bytes.len() - rest.len()..used], raw.fields)
        {
            self.requests.push(known);
        }
        let fields = raw.fields.iter();
        let fields = fields.map(|field| (field.name.as_bytes(), field.value));
        complete(used, raw.line.with(fields))
    }

    /// Parses a response head at the start of `bytes`.
    pub(super) fn response(&mut self, bytes: &[u8]) -> Parsed<Response> {
        let mut known = self.responses.kept.iter();
        if let Some(known) = known.find(|known| bytes.starts_with(&known.bytes)) {
            return Parsed::Complete(known.bytes.len(), known.says);
        }
        let parsed = head::response(bytes);
        if let Parsed::Complete(used, says) = parsed
            && used <= LONGEST
        {
            let bytes = bytes[..used].into();
            self.responses.push(KnownResponse { bytes, says });
        }
        parsed
    }
}

fn complete(used: usize, request: Result<Request, Flaw>) -> Parsed<Request> {
    match request {
        Ok(request) => Parsed::Complete(used, request),
        Err(flaw) => Parsed::Invalid(flaw),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 9] = [
        "Host",
        "traceparent",
        "TraceParent",
        "X-Request-Id",
        "User-Agent",
        "Content-Length",
        "Transfer-Encoding",
        "Upgrade",
        "Accept",
    ];

    const VALUES: [&str; 12] = [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "a",
        "17",
        "18",
        " ",
        "",
        "x\ty",
        "\u{e9}t\u{e9}",
        "chunked",
        "identi\ry",
        "h2c",
    ];

    const FIRST: [&str; 6] = [
        "GET /a?b=1 HTTP/1.1",
        "POST /v1/traces HTTP/1.0",
        "GET / HTTP/1.1 ",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "",
    ];

    fn heads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n")];
        let field = (
            prop::sample::select(&NAMES[..]),
            prop::sample::select(&VALUES[..]),
            end,
        );
        // Nearly the same fields come again and again.
        let fields = prop::collection::vec(field, 0..5);
        (fields, prop::collection::vec(one_of(), 1..12)).prop_map(|(fields, ones)| {
            let head =
                |(first, change, byte): (&str, Option<(usize, &str)>, Option<(usize, u8)>)| {
                    let mut text = format!("{first}\r\n");
                    for (at, (name, value, end)) in fields.iter().enumerate() {
                        let value = change
                            .filter(|(of, _)| *of == at)
                            .map_or(*value, |(_, v)| v);
                        text += &format!("{name}: {value}{end}");
                    }
                    let mut bytes = (text + "\r\nbody").into_bytes();
                    if let Some((at, byte)) = byte {
                        let at = at % bytes.len();
                        bytes[at] = byte;
                    }
                    bytes
                };
            ones.into_iter().map(head).collect()
        })
    }

    /// The first line, the value of one of the fields, and a byte somewhere.
    type One = (
        &'static str,
        Option<(usize, &'static str)>,
        Option<(usize, u8)>,
    );

    fn one_of() -> impl Strategy<Value = One> {
        (
            prop::sample::select(&FIRST[..]),
            prop::option::of((0..5_usize, prop::sample::select(&VALUES[..]))),
            prop::option::weighted(0.2, (any::<usize>(), any::<u8>())),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_is_known_changes_nothing(heads in heads()) {
            let mut known = Heads::default();
            for head in heads {
                let said = |heads: &mut Heads| {
                    (format!("{:?}", heads.request(&head)), format!("{:?}", heads.response(&head)))
                };
                prop_assert_eq!(said(&mut known), said(&mut Heads::default()));
            }
        }
    }

    #[test]
    fn what_is_known_is_not_searched_for_fields() {
        let head = |id: &str, agent: &str| {
            format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {agent}\r\nX-Request-Id: {id}\r\n\r\n")
        };
        let mut heads = Heads::default();
        let mut kept = |text: String| {
            heads.request(text.as_bytes());
            heads.requests.kept.len()
        };
        assert_eq!(kept(head("abc", "x")), 1);
        assert_eq!(kept(head("def", "x")), 1);
        assert_eq!(kept(head("abc", "y")), 2);
        assert_eq!(
            kept(head("ab ", "x")),
            3,
            "a space at the end is no part of the value"
        );
        for n in 0..100 {
            assert!(kept(head("abc", &"z".repeat(n))) <= KEPT);
        }
    }
}
