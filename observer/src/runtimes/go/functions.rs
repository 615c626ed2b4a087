//! Functions by name: the table that Go's runtime itself prints stack traces from, which no
//! stripping removes (`runtime/symtab.go`: `pcHeader`, `functab`, `_func`).

use super::{
    bytes::{u32_at, u64_at},
    module::Module,
    program::{Program, Range},
};

/// Bytes of table read at most: the largest programs have a quarter of it.
const LIMIT: u64 = 128 << 20;
/// Where `pcHeader` holds the number of functions, and the offsets of names and of functions.
const COUNT: usize = 8;
const NAMES: usize = 32;
const FUNCTIONS: usize = 64;

/// The functions of a program.
pub struct Functions {
    table: Vec<u8>,
    text: u64,
    names: usize,
    functions: usize,
    count: usize,
}

impl Functions {
    /// Reads the table.
    pub fn read(program: &Program, module: &Module) -> Option<Self> {
        Self::parse(program.file(module.functions, LIMIT)?, module.text)
    }

    fn parse(table: Vec<u8>, text: u64) -> Option<Self> {
        let word = |at: usize| usize::try_from(u64_at(&table, at)?).ok();
        Some(Self {
            text,
            count: word(COUNT)?,
            names: word(NAMES)?,
            functions: word(FUNCTIONS)?,
            table,
        })
    }

    /// The code of the function `name`, where it was not inlined everywhere.
    pub fn find(&self, name: &str) -> Option<Range> {
        let wanted = self.name(name)?;
        // Pairs of offsets: of the code from the start of all code, and of its description.
        let entries = self.table.get(self.functions..)?;
        let at = entries.chunks_exact(8).take(self.count).position(|entry| {
            let name = u32_at(entry, 4).and_then(|description| self.name_of(description));
            name == Some(wanted)
        })?;
        // The next one begins, or all code ends, where this one does.
        let (start, end) = (u32_at(entries, at * 8)?, u32_at(entries, at * 8 + 8)?);
        Some(Range {
            start: self.text.checked_add(u64::from(start))?,
            len: u64::from(end.checked_sub(start)?),
        })
    }

    /// From the first to the last of the functions whose names begin with `prefix`.
    pub fn span(&self, prefix: &str) -> Option<Range> {
        let names = self.table.get(self.names..)?;
        let begins = |description: u32| {
            let name = names.get(self.name_of(description)? as usize..)?;
            Some(name.starts_with(prefix.as_bytes()))
        };
        let entries = self.table.get(self.functions..)?;
        let mut found = entries
            .chunks_exact(8)
            .take(self.count)
            .enumerate()
            .filter(|(_, entry)| u32_at(entry, 4).and_then(begins) == Some(true))
            .map(|(at, _)| at);
        let first = found.next()?;
        let last = found.next_back().unwrap_or(first);
        let (start, end) = (u32_at(entries, first * 8)?, u32_at(entries, last * 8 + 8)?);
        Some(Range {
            start: self.text.checked_add(u64::from(start))?,
            len: u64::from(end.checked_sub(start)?),
        })
    }

    /// Where `name` stands among the names.
    fn name(&self, name: &str) -> Option<u32> {
        let names = self.table.get(self.names..)?;
        let name = format!("\0{name}\0");
        let at = memchr::memmem::find(names, name.as_bytes())?;
        u32::try_from(at + 1).ok()
    }

    /// Where the name of the function stands whose description (`_func`: entry, name, …) is there.
    fn name_of(&self, description: u32) -> Option<u32> {
        let at = self.functions.checked_add(description as usize)?;
        u32_at(&self.table, at.checked_add(4)?)
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the tables made here are small"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of functions that are 16 bytes long each.
    fn table(names: &[&str]) -> Vec<u8> {
        let word = |value: usize| u32::try_from(value).expect("short").to_ne_bytes();
        let mut text = vec![0];
        let (mut entries, mut descriptions) = (Vec::new(), Vec::new());
        let first = names.len() * 8 + 4;
        for (at, name) in (0..).zip(names) {
            entries.extend([at * 16, first + at * 8].map(word).concat());
            descriptions.extend([at * 16, text.len()].map(word).concat());
            text.extend(name.as_bytes());
            text.push(0);
        }
        entries.extend(word(names.len() * 16));
        let mut table = vec![0; 72];
        let mut set = |at: usize, value: usize| {
            table[at..at + 8].copy_from_slice(&(value as u64).to_ne_bytes());
        };
        set(COUNT, names.len());
        set(NAMES, 72);
        set(FUNCTIONS, 72 + text.len());
        [table, text, entries, descriptions].concat()
    }

    #[test]
    fn functions_are_found_by_their_whole_names() {
        let functions = Functions::parse(table(&["a.b", "a.bc", "x"]), 0x1000).expect("sound");
        let at = |name| functions.find(name).map(|range| (range.start, range.len));
        assert_eq!(at("a.b"), Some((0x1000, 16)));
        assert_eq!(at("a.bc"), Some((0x1010, 16)));
        assert_eq!(
            at("x"),
            Some((0x1020, 16)),
            "the last one ends where the table says"
        );
        assert_eq!(at("a"), None);
        assert_eq!(at("c"), None);
        let span = |prefix| functions.span(prefix).map(|range| (range.start, range.len));
        assert_eq!(span("a."), Some((0x1000, 32)));
        assert_eq!(span("x"), Some((0x1020, 16)));
        assert_eq!(span("b"), None);
    }

    proptest! {
        #[test]
        fn a_damaged_table_is_survived(at in 0_usize..140, value: u8, cut in 0_usize..140) {
            let mut table = table(&["a.b", "a.bc", "x"]);
            let len = table.len();
            table[at % len] = value;
            table.truncate(len - cut % len);
            if let Some(functions) = Functions::parse(table, u64::MAX - 8) {
                functions.find("a.bc");
                functions.span("a.b");
            }
        }
    }
}
