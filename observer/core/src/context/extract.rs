//! From the header fields of one message head to what they carry.

use super::fields::Fields;
use super::formats::{Found, Repeats, Row, TABLE};
use super::{Carrier, Context, Format, Invalid};
use crate::text::Text;

/// Longest name of a carrier header, in bytes.
const LONGEST_NAME: usize = 27;

/// For each length of a name, a bit for each first letter that a carrier name of that length has.
static FIRST_LETTERS: [u32; LONGEST_NAME + 1] = first_letters();

const fn first_letters() -> [u32; LONGEST_NAME + 1] {
    let mut letters = [0; LONGEST_NAME + 1];
    let mut row = 0;
    while row < TABLE.len() {
        let names = TABLE[row].names;
        let mut index = 0;
        while index < names.len() {
            letters[names[index].len()] |= letter(names[index].as_bytes()[0]);
            index += 1;
        }
        row += 1;
    }
    letters
}

/// The bit of a letter, whatever its case. Some other bytes share a letter's bit.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// Whether a header of this name can carry a part of a context. Cheap for those that can't.
#[must_use]
pub fn is_carrier(name: &[u8]) -> bool {
    find(name).is_some()
}

/// The row of a header, and its name as it stands there.
fn find(name: &[u8]) -> Option<(usize, &'static str)> {
    let letters = FIRST_LETTERS.get(name.len())?;
    if letters & letter(*name.first()?) == 0 {
        return None;
    }
    let (from, to) = (STARTS[name.len()], STARTS[name.len() + 1]);
    let (row, known) = NAMES[from..to].iter().find(|(_, known)| {
        // Most senders write lower case.
        known.as_bytes() == name || known.as_bytes().eq_ignore_ascii_case(name)
    })?;
    Some((*row, known))
}

/// How many names the table has.
const COUNT: usize = {
    let mut count = 0;
    let mut row = 0;
    while row < TABLE.len() {
        count += TABLE[row].names.len();
        row += 1;
    }
    count
};

/// All names with their rows, by length; those of one length in the order of the table.
static NAMES: [(usize, &str); COUNT] = names_by_length().0;
/// Where the names of each length begin in [`NAMES`].
static STARTS: [usize; LONGEST_NAME + 2] = names_by_length().1;

const fn names_by_length() -> ([(usize, &'static str); COUNT], [usize; LONGEST_NAME + 2]) {
    let mut names = [(0, ""); COUNT];
    let mut starts = [0; LONGEST_NAME + 2];
    let (mut count, mut length) = (0, 0);
    while length <= LONGEST_NAME {
        starts[length] = count;
        let mut row = 0;
        while row < TABLE.len() {
            let mut index = 0;
            while index < TABLE[row].names.len() {
                if TABLE[row].names[index].len() == length {
                    names[count] = (row, TABLE[row].names[index]);
                    count += 1;
                }
                index += 1;
            }
            row += 1;
        }
        length += 1;
    }
    starts[LONGEST_NAME + 1] = count;
    (names, starts)
}

/// What the header fields of one message head carry: names and values as sent.
///
/// Fields that carry nothing are ignored, and nothing is allocated when there are no others.
pub fn extract<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Carrier {
    let mut extractor = Extractor::default();
    for (name, value) in fields {
        extractor.push(name, value);
    }
    extractor.finish()
}

/// Collects the carrier fields of one message head.
#[derive(Clone, Debug, Default)]
pub struct Extractor<'a> {
    fields: Fields<'a>,
    /// A bit for each row of the table whose headers were seen.
    rows: u32,
    excess: u32,
}

impl<'a> Extractor<'a> {
    /// Takes the next header field, as sent: case of the name and white space around the value don't matter.
    pub fn push(&mut self, name: &[u8], value: &'a [u8]) {
        let Some((index, name)) = find(name) else {
            return;
        };
        self.rows |= 1 << index;
        let list = TABLE[index].repeats == Repeats::List;
        if !self.fields.push(name, list, value) {
            self.excess = self.excess.saturating_add(1);
        }
    }

    /// What the fields carry.
    #[must_use]
    pub fn finish(self) -> Carrier {
        let mut carrier = Carrier {
            excess: self.excess,
            ..Carrier::default()
        };
        for row in self.seen() {
            read(row, &self.fields, &mut carrier);
        }
        if carrier.contexts.first().map(|context| context.format) != Some(Format::W3c) {
            // Without a valid traceparent, a tracestate must not even be parsed (§3.3).
            carrier.tracestate.clear();
            carrier
                .invalid
                .retain(|invalid| !invalid.rule.starts_with("tracestate-"));
        }
        carrier
    }

    /// The carrier fields as they came.
    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// The rows whose headers were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = &'static Row> {
        let mut rows = self.rows;
        std::iter::from_fn(move || {
            let row = TABLE.get(rows.trailing_zeros() as usize)?;
            rows &= rows - 1;
            Some(row)
        })
    }
}

/// Adds what the headers of one format say.
fn read(row: &Row, fields: &Fields<'_>, carrier: &mut Carrier) {
    if row.repeats == Repeats::Fault {
        for name in row.names {
            if fields.count(name) > 1 {
                carrier.duplicates.push(Text::new_static(name));
            }
        }
    }
    match (row.read)(fields) {
        Ok(None) => {}
        Ok(Some(Found::Ids(ids))) => {
            // Carriers are remembered by the ten thousands, and nearly all have one context.
            if carrier.contexts.is_empty() {
                carrier.contexts = Vec::with_capacity(1);
            }
            carrier.contexts.push(Context {
                format: row.format,
                trace_id: ids.trace_id,
                parent_id: ids.parent_id,
                sampled: ids.sampled,
                raw: fields.raw(row.names),
            });
        }
        Ok(Some(Found::Decision(sampled))) => carrier.decision = carrier.decision.or(Some(sampled)),
        Ok(Some(Found::Tracestate(members))) => carrier.tracestate = members,
        Ok(Some(Found::Baggage(members))) => carrier.baggage = members,
        Ok(Some(Found::Correlation(ids))) => carrier.correlation = ids,
        Err(broken) => carrier.invalid.push(Invalid {
            format: row.format,
            rule: broken.rule.name,
            raw: fields.raw(row.names),
        }),
    }
}
