//! What Go's linker tells the runtime about the program: `runtime.moduledata`.
//!
//! It survives stripping, since the runtime itself needs it. It is found by its first word, the
//! address of the table of functions (`runtime/symtab.go`), and read from memory: in a
//! position-independent executable the file holds no addresses.

use super::{
    bytes::u32_at,
    program::{Program, Range},
};

/// Sections that hold the table of functions, of programs at fixed addresses and of others.
const FUNCTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// `abi.Go118PCLnTabMagic`, of Go 1.18 and 1.19.
const MAGIC_118: u32 = 0xffff_fff0;
/// `abi.Go120PCLnTabMagic`, of Go 1.20 and later.
const MAGIC_120: u32 = 0xffff_fff1;
/// Writable memory that is searched: more than compilers initialise.
const DATA_LIMIT: u64 = 64 << 20;
/// Words of the structure up to the last one that is read.
const WORDS: usize = 40;
/// Slices that follow the first word.
const SLICES: usize = 6;
/// `text`, of all these versions.
const TEXT: usize = 22;
/// `types` of Go 1.18 and 1.19.
const TYPES_118: usize = 35;
/// `types` of Go 1.20 and later: `covctrs` and `ecovctrs` came before it.
const TYPES_120: usize = 37;

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The table of functions, `runtime.pcHeader` first.
    pub functions: Range,
    /// First address of the code.
    pub text: u64,
    /// Descriptions of types, and their names.
    pub types: Range,
}

/// Why it was not found, in plain words.
pub enum Missing {
    /// The section with the table of functions.
    Table,
    /// The table is of a version that is not known.
    Version,
    /// The structure itself.
    Module,
}

impl Module {
    /// Finds it.
    pub fn find(program: &Program) -> Result<Self, Missing> {
        let functions = program.section(&FUNCTIONS).ok_or(Missing::Table)?;
        let magic = program.file(
            Range {
                len: 4,
                ..functions
            },
            4,
        );
        let magic = magic.and_then(|bytes| u32_at(&bytes, 0));
        let magic = magic.ok_or(Missing::Table)?;
        let types = match magic {
            MAGIC_118 => TYPES_118,
            MAGIC_120 => TYPES_120,
            _ => return Err(Missing::Version),
        };
        program
            .writable()
            .find_map(|range| search(program, range, functions, types))
            .ok_or(Missing::Module)
    }
}

fn search(program: &Program, range: Range, functions: Range, types: usize) -> Option<Module> {
    let memory = program.memory(range, DATA_LIMIT)?;
    let wanted = functions.start.to_ne_bytes();
    let places = memory.chunks_exact(8).enumerate();
    places
        .filter(|(_, word)| *word == wanted)
        .find_map(|(at, _)| {
            let words = program.words(range.start.checked_add(at as u64 * 8)?)?;
            module(&words, functions, types)
        })
}

/// `moduledata` by its words, if they are one: after the address of the table come slices
/// into it (pointer, length, capacity), then addresses.
fn module(words: &[u64; WORDS], functions: Range, types: usize) -> Option<Module> {
    let inside = |address: u64| address.wrapping_sub(functions.start) <= functions.len;
    let sound =
        |slice: &[u64]| inside(slice[0]) && slice[1] <= functions.len && slice[1] <= slice[2];
    if !words[1..=SLICES * 3].chunks_exact(3).all(sound) {
        return None;
    }
    let (text, end) = (words[TEXT], words[TEXT + 1]);
    let start = words[types];
    // Since 1.27 the length of the descriptions stands between start and end.
    let types_end = words[types + 1..]
        .iter()
        .take(2)
        .find(|end| **end > start)?;
    (text != 0 && text < end && start != 0).then_some(Module {
        functions,
        text,
        types: Range {
            start,
            len: types_end - start,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FUNCTIONS: Range = Range {
        start: 0x5000,
        len: 0x1000,
    };

    fn words(types: usize) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        words[0] = FUNCTIONS.start;
        for slice in words[1..=SLICES * 3].chunks_exact_mut(3) {
            slice.copy_from_slice(&[0x5100, 0x20, 0x20]);
        }
        words[TEXT..TEXT + 2].copy_from_slice(&[0x1000, 0x4000]);
        words[types..types + 2].copy_from_slice(&[0x7000, 0x9000]);
        words
    }

    #[test]
    fn types_are_where_the_version_keeps_them() {
        for types in [TYPES_118, TYPES_120] {
            let module = module(&words(types), FUNCTIONS, types).expect("sound");
            assert_eq!(module.text, 0x1000);
            let expected = Range {
                start: 0x7000,
                len: 0x2000,
            };
            assert_eq!(module.types, expected);
        }
    }

    #[test]
    fn since_127_a_length_stands_before_the_end() {
        let mut words = words(TYPES_120);
        words[TYPES_120 + 1..TYPES_120 + 3].copy_from_slice(&[0x123, 0x9000]);
        let module = module(&words, FUNCTIONS, TYPES_120).expect("sound");
        assert_eq!(module.types.len, 0x2000);
    }

    #[test]
    fn an_address_of_the_table_alone_is_no_module() {
        let mut words = words(TYPES_120);
        words[4] = 0x1;
        assert!(module(&words, FUNCTIONS, TYPES_120).is_none());
    }

    proptest! {
        #[test]
        fn any_words_are_survived(words in prop::array::uniform32(any::<u64>()), rest: [u64; 8]) {
            let mut all = [0; WORDS];
            all[..32].copy_from_slice(&words);
            all[32..].copy_from_slice(&rest);
            for types in [TYPES_118, TYPES_120] {
                module(&all, FUNCTIONS, types);
            }
        }
    }
}
