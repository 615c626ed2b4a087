//! Functions by name: the table that Go's runtime itself prints stack traces from, which no
//! stripping removes (`runtime/symtab.go`: `pcHeader`, `functab`, `_func`).

use super::{
    bytes::{u32_at, u64_at},
    module::Module,
    program::{Program, Range},
};

/// Bytes of table read at most: the largest programs have a fifth of it.
const LIMIT: u64 = 512 << 20;
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
        let table = program.file(module.functions, LIMIT)?;
        let word = |at: usize| usize::try_from(u64_at(&table, at)?).ok();
        Some(Self {
            text: module.text,
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
        let mut entries = entries.chunks_exact(8).take(self.count.saturating_add(1));
        let [start, end] = loop {
            let entry = entries.next()?;
            if self.name_of(u32_at(entry, 4)?) == Some(wanted) {
                break [u32_at(entry, 0)?, u32_at(entries.next()?, 0)?];
            }
        };
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
