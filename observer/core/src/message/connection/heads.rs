//! Heads that came lately, so that what is the same in the next ones need not be found out again.
//!
//! Whoever sends many messages sends nearly the same head each time: the same fields, of which most values have the same length. Where fields are
//! follows from the bytes around their values. So these are compared, and a head is searched for its fields only if they differ. No values are kept.

use std::ops::Range;

use httparse::Header;

use super::head::{self, Parsed, Request, Response, StatusLine};
use crate::message::Flaw;
use crate::text::is_plain;

/// Heads that are remembered, of requests and of responses.
const KEPT: usize = 8;

/// Heads in a row that were none of these, after which one of so many is remembered.
const MANY: u32 = 64;

/// A longer head is not remembered, in bytes.
const LONGEST: usize = 1024;

/// What is known of heads that came lately, on whichever connections. What is told of a head does not depend on it.
#[derive(Debug, Default)]
pub struct Heads {
    /// What follows the first lines of requests.
    requests: Latest<Known>,
    /// Whole heads of responses.
    responses: Latest<(StatusLine, Known)>,
}

/// The latest of something.
#[derive(Debug)]
struct Latest<T> {
    kept: Vec<T>,
    /// Where the oldest is, once there are so many.
    next: usize,
    /// How many came in a row that are none of these.
    missed: u32,
}

/// Lines up to the end of a head.
#[derive(Debug)]
struct Known {
    /// The bytes, with nothing in place of values.
    lines: Box<[u8]>,
    /// In the order in which they came.
    fields: Vec<Field>,
}

/// Where a field is.
#[derive(Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
    matters: bool,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            next: 0,
            missed: 0,
        }
    }
}

impl<T> Latest<T> {
    fn find(&mut self, fits: impl Fn(&T) -> bool) -> Option<&T> {
        let at = self.kept.iter().position(fits);
        self.missed = at.map_or(self.missed.saturating_add(1), |_| 0);
        Some(&self.kept[at?])
    }

    /// Whether what was not found should be the next time. Where hardly anything comes again, remembering all of it is in vain.
    fn wants(&self) -> bool {
        self.missed <= MANY || self.missed.is_multiple_of(MANY)
    }

    fn push(&mut self, item: T) {
        if self.kept.len() < KEPT {
            return self.kept.push(item);
        }
        self.kept[self.next] = item;
        self.next = (self.next + 1) % KEPT;
    }
}

impl Known {
    /// Lines with these fields, of which those matter whose names say so; `None` if they are not worth remembering.
    fn new(lines: &[u8], fields: &[Header<'_>], matters: fn(&[u8]) -> bool) -> Option<Self> {
        if lines.len() > LONGEST {
            return None;
        }
        let place = |field: &Header<'_>| {
            let name = place(field.name.as_bytes(), lines)?;
            Some(Field {
                value: match field.value {
                    [] => name.end..name.end,
                    value => place(value, lines)?,
                },
                matters: matters(field.name.as_bytes()),
                name,
            })
        };
        let fields: Vec<Field> = fields.iter().map(place).collect::<Option<_>>()?;
        let mut lines: Box<[u8]> = lines.into();
        for field in &fields {
            lines[field.value.clone()].fill(0);
        }
        Some(Self { lines, fields })
    }

    /// Whether `lines` begin with these, but for values. Theirs have the same length and nothing in them that ends one, or is no part of it.
    fn fits(&self, lines: &[u8]) -> bool {
        let Some(lines) = lines.get(..self.lines.len()) else {
            return false;
        };
        // Those of another length don't end here: nearly all that don't fit.
        let last = self.fields.last().map_or(0, |field| field.value.end);
        if lines[last..] != self.lines[last..] {
            return false;
        }
        let mut from = 0;
        self.fields.iter().all(|Field { value, .. }| {
            let around = from..value.start;
            from = value.end;
            lines[around.clone()] == self.lines[around] && is_whole(&lines[value.clone()])
        })
    }

    /// The fields that matter of `lines`, which fit.
    fn fields<'a>(&self, lines: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let matter = self.fields.iter().filter(|field| field.matters);
        matter.map(|field| (&lines[field.name.clone()], &lines[field.value.clone()]))
    }
}

/// Where `part` is in `whole`.
fn place(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let from = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = from..from + part.len();
    (whole.get(place.clone()) == Some(part)).then_some(place)
}

/// Whether a value is printable ASCII, and begins and ends with something other than a space.
fn is_whole(value: &[u8]) -> bool {
    is_plain(value) && value.first() != Some(&b' ') && value.last() != Some(&b' ')
}

fn parts<'a>(fields: &[Header<'a>]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    fields
        .iter()
        .map(|field| (field.name.as_bytes(), field.value))
}

impl Heads {
    /// Parses a request head at the start of `bytes`.
    pub(super) fn request(&mut self, bytes: &[u8]) -> Parsed<Request> {
        let line = head::request_line(bytes);
        if let Some((line, rest)) = line
            && let Some(known) = self.requests.find(|known| known.fits(rest))
        {
            let used = bytes.len() - rest.len() + known.lines.len();
            return complete(used, line.with(known.fields(rest)));
        }
        let mut space = head::space();
        let (used, head) = match head::request(bytes, &mut space) {
            Parsed::Complete(used, head) => (used, head),
            Parsed::Partial => return Parsed::Partial,
            Parsed::Invalid(flaw) => return Parsed::Invalid(flaw),
        };
        if let Some((_, rest)) = line
            && self.requests.wants()
        {
            let lines = &bytes[bytes.len() - rest.len()..used];
            if let Some(known) = Known::new(lines, head.fields, head::matters_of_request) {
                self.requests.push(known);
            }
        }
        complete(used, head.line.with(parts(head.fields)))
    }

    /// Parses a response head at the start of `bytes`.
    pub(super) fn response(&mut self, bytes: &[u8]) -> Parsed<Response> {
        if let Some((line, known)) = self.responses.find(|(_, known)| known.fits(bytes)) {
            return Parsed::Complete(known.lines.len(), line.with(known.fields(bytes)));
        }
        let mut space = head::space();
        let (used, head) = match head::response(bytes, &mut space) {
            Parsed::Complete(used, head) => (used, head),
            Parsed::Partial => return Parsed::Partial,
            Parsed::Invalid(flaw) => return Parsed::Invalid(flaw),
        };
        if self.responses.wants()
            && let Some(known) = Known::new(&bytes[..used], head.fields, head::matters_of_response)
        {
            self.responses.push((head.line, known));
        }
        Parsed::Complete(used, head.line.with(parts(head.fields)))
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

    const VALUES: [&str; 13] = [
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
        "x\r\n y",
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
            let head = |(first, change, byte): One| {
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
    fn of_heads_that_differ_by_values_one_is_kept_without_them() {
        let head = |id: &str, agent: &str| {
            format!(
                "GET /{agent} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\nUser-Agent: {agent}\r\n\r\n"
            )
        };
        let mut heads = Heads::default();
        let mut kept = |text: String| {
            heads.request(text.as_bytes());
            heads.requests.kept.len()
        };
        assert_eq!(kept(head("abc", "x")), 1);
        assert_eq!(kept(head("def", "y")), 1);
        assert_eq!(kept(head("abcd", "x")), 2);
        assert_eq!(
            kept(head("abc ", "x")),
            3,
            "a space at the end is no part of the value"
        );
        for n in 1..100 {
            assert!(kept(head("abc", &"z".repeat(n))) <= KEPT);
        }
        let lines = heads.requests.kept.iter().map(|known| &known.lines);
        assert!(lines.flatten().all(|byte| !matches!(byte, b'z' | b'b')));
    }
}
