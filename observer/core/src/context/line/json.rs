//! Trace ids in JSON objects, read as a stream: no document is built.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::flat;
use super::hits::{Hits, PLAIN, QUOTED};
use super::id::Reading;
use super::names::{Kind, MAX_NAME, kind};
use super::text;
use crate::text::Text;

/// Rank of the members of an object that stands in no other one.
pub(super) const NAMED: u8 = 1;

/// Where the first object begins that looks like one: a brace before a quote or another brace.
pub(super) fn find_object(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    memchr::memchr_iter(b'{', bytes).take(8).find(|brace| {
        let mut next = bytes[brace + 1..].iter();
        next.find(|byte| !byte.is_ascii_whitespace()) == Some(&b'"')
    })
}

/// Finds ids in the object at the start of `text` and returns where it ends.
///
/// # Errors
/// It is no JSON, is cut, or is nested deeper than 128 levels; what was found before that stays.
pub(super) fn scan(text: &str, hits: &mut Hits) -> Result<usize, ()> {
    match flat::scan(text, hits) {
        Some(end) => Ok(end),
        None => scan_any(text, hits),
    }
}

/// [`scan`], whatever the object holds.
pub(super) fn scan_any(text: &str, hits: &mut Hits) -> Result<usize, ()> {
    let mut stream = serde_json::Deserializer::from_str(text);
    let root = Node {
        hits,
        name: None,
        in_trace: false,
        depth: 0,
    };
    // Why and where it is no JSON is nobody's concern.
    root.deserialize(&mut stream).map_err(drop)?;
    Ok(stream.into_iter::<IgnoredAny>().byte_offset())
}

/// A value and where it stands.
struct Node<'h> {
    hits: &'h mut Hits,
    /// Its name, if an id can stand there.
    name: Option<(Text, Kind)>,
    /// It is the value of `trace`, in which `id` is the trace's.
    in_trace: bool,
    /// Levels of objects around it.
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match &self.name {
            Some((name, kind)) => {
                let rank = self.depth.min(PLAIN - 1);
                self.hits.add(rank, name, value, kind.read(value));
            }
            None if text::may_have_id(value) => text::scan(value, QUOTED, self.hits),
            None => {}
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if self.name.is_some() {
            self.visit_str(&value.to_string())
        } else {
            Ok(())
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        // Datadog's ids as Java writes them, signed.
        self.visit_u64(value.cast_unsigned())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        if let Some((name, _)) = &self.name {
            let rank = self.depth.min(PLAIN - 1);
            let text = value.to_string();
            self.hits.add(rank, name, &text, Reading::Malformed);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.depth.saturating_add(1);
        loop {
            let item = Node {
                hits: &mut *self.hits,
                name: None,
                in_trace: false,
                depth,
            };
            if items.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key_seed(KeySeed(self.in_trace))? {
            if key.link {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            members.next_value_seed(Node {
                hits: &mut *self.hits,
                name: key.name,
                in_trace: key.trace,
                depth: self.depth.saturating_add(1),
            })?;
        }
        Ok(())
    }
}

/// What a key of an object means.
struct Key {
    name: Option<(Text, Kind)>,
    /// Its value may be an object with the trace's `id`.
    trace: bool,
    /// Its value tells of other traces.
    link: bool,
}

/// Reads a key; whether of the object under `trace`.
struct KeySeed(bool);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        let name = match key {
            "id" if self.0 => Some((Text::new_static("trace.id"), Kind::Id)),
            _ if key.len() > MAX_NAME => None,
            _ => kind(key).map(|kind| (Text::new(key), kind)),
        };
        Ok(Key {
            name,
            trace: key.eq_ignore_ascii_case("trace"),
            link: is_link(key),
        })
    }
}

/// Whether what stands under a key tells of other traces.
pub(super) fn is_link(key: &str) -> bool {
    matches!(key, "links" | "link" | "span_links")
}
