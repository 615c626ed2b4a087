//! Where the running kernel keeps the fields of its structures, from its type information (BTF).
//!
//! The layout of the format is in the kernel's `Documentation/bpf/btf.rst`. Only the names, sizes and
//! members of structures and unions are looked at; every other kind is stepped over.

use std::collections::HashMap;

/// `BTF_MAGIC`.
const MAGIC: u16 = 0xeb9f;
/// Kinds of types.
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const ENUM64: u32 = 19;
    /// Pointers, typedefs, qualifiers, functions and the like: nothing follows the common part.
    pub const BARE: [u32; 9] = [2, 7, 8, 9, 10, 11, 12, 16, 18];
}
/// Anonymous members inside each other, at most; the kernel has three.
const MAX_DEPTH: u32 = 8;

/// Why type information could not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// The bytes are not BTF, or end too early.
    #[error("malformed at byte {0}")]
    Malformed(usize),
    /// A kind of type that this version does not know, so that it can't be stepped over.
    #[error("unknown kind of type {0}")]
    UnknownKind(u32),
    /// A structure is not there.
    #[error("no structure `{0}`")]
    NoStruct(&'static str),
    /// A structure has no such field.
    #[error("no field `{1}` in structure `{0}`")]
    NoField(&'static str, &'static str),
}

/// Parsed type information.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type lies in `types`; type ids count from 1.
    starts: Vec<u32>,
    /// Named structures.
    structs: HashMap<&'a [u8], u32>,
    /// Functions, by their names: numbers of types.
    functions: HashMap<&'a [u8], u32>,
}

impl<'a> Btf<'a> {
    /// Indexes the structures in `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are not BTF of this machine's byte order, or hold a kind of type that is unknown.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let part = |offset: u32, len: u32| {
            let start = u32_at(bytes, 4)?.checked_add(offset).map(|at| at as usize);
            let range = start.and_then(|start| Some(start..start.checked_add(len as usize)?));
            range
                .and_then(|range| bytes.get(range))
                .ok_or(BtfError::Malformed(4))
        };
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Malformed(0));
        }
        let mut btf = Self {
            types: part(u32_at(bytes, 8)?, u32_at(bytes, 12)?)?,
            strings: part(u32_at(bytes, 16)?, u32_at(bytes, 20)?)?,
            starts: Vec::new(),
            structs: HashMap::new(),
            functions: HashMap::new(),
        };
        btf.index()?;
        Ok(btf)
    }

    /// Offset in bytes of `field` in structure `name`, fields of anonymous members included.
    ///
    /// # Errors
    ///
    /// If there is no such structure or field.
    pub fn offset(&self, name: &'static str, field: &'static str) -> Result<u32, BtfError> {
        self.find(name, field)?
            .ok_or(BtfError::NoField(name, field))
    }

    /// As [`offset`](Self::offset), but a missing field is no error.
    ///
    /// # Errors
    ///
    /// If there is no such structure.
    pub fn find(&self, name: &'static str, field: &str) -> Result<Option<u32>, BtfError> {
        let start = self
            .structs
            .get(name.as_bytes())
            .ok_or(BtfError::NoStruct(name))?;
        let bits = self.find_in(*start as usize, field.as_bytes(), MAX_DEPTH)?;
        Ok(bits.map(|bits| bits / 8))
    }

    /// Number of the type of the function `name`, by which programs call it.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let start = u32::try_from(at).map_err(|_| BtfError::Malformed(at))?;
            self.starts.push(start);
            let (kind, members) = self.info(at)?;
            if kind == kind::STRUCT {
                let name = self.string(u32_at(self.types, at)?)?;
                // The first one of a name: later ones are private to some module's source file.
                self.structs.entry(name).or_insert(start);
            }
            if kind == kind::FUNC {
                let name = self.string(u32_at(self.types, at)?)?;
                // Of those that may be called by name there is one.
                let number =
                    u32::try_from(self.starts.len()).map_err(|_| BtfError::Malformed(at))?;
                self.functions.insert(name, number);
            }
            at += 12 + following(kind, members)?;
        }
        Ok(())
    }

    /// Offset in bits of `field` in the structure or union that lies at `start`.
    fn find_in(&self, start: usize, field: &[u8], depth: u32) -> Result<Option<u32>, BtfError> {
        let (kind, members) = self.info(start)?;
        if depth == 0 || !matches!(kind, kind::STRUCT | kind::UNION) {
            return Ok(None);
        }
        let bitfields = u32_at(self.types, start + 4)? >> 31 != 0;
        for member in 0..members as usize {
            let at = start + 12 + member * 12;
            let name = self.string(u32_at(self.types, at)?)?;
            let mut bits = u32_at(self.types, at + 8)?;
            if bitfields {
                bits &= 0x00ff_ffff;
            }
            if name == field {
                return Ok(Some(bits));
            }
            if name.is_empty() {
                let inner = self.start_of(u32_at(self.types, at + 4)?)?;
                if let Some(found) = self.find_in(inner, field, depth - 1)? {
                    return Ok(Some(bits.saturating_add(found)));
                }
            }
        }
        Ok(None)
    }

    /// Kind and number of members of the type at `start`.
    fn info(&self, start: usize) -> Result<(u32, u32), BtfError> {
        let info = u32_at(self.types, start + 4)?;
        Ok((info >> 24 & 0x1f, info & 0xffff))
    }

    fn start_of(&self, id: u32) -> Result<usize, BtfError> {
        (id as usize)
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .map(|start| *start as usize)
            .ok_or(BtfError::Malformed(id as usize))
    }

    fn string(&self, offset: u32) -> Result<&'a [u8], BtfError> {
        let rest = self
            .strings
            .get(offset as usize..)
            .ok_or(BtfError::Malformed(offset as usize))?;
        let len = rest.iter().position(|byte| *byte == 0);
        Ok(&rest[..len.unwrap_or(rest.len())])
    }
}

/// Bytes behind the common part of a type.
fn following(kind: u32, members: u32) -> Result<usize, BtfError> {
    let members = members as usize;
    Ok(match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => members * 12,
        kind::ENUM | kind::FUNC_PROTO => members * 8,
        _ if kind::BARE.contains(&kind) => 0,
        _ => return Err(BtfError::UnknownKind(kind)),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map(|word| u32::from_ne_bytes(*word))
        .ok_or(BtfError::Malformed(at))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Type information with `struct file { int a; struct { union { long b; int c; }; }; int d:3; }`.
    pub(in super::super) fn sample() -> Vec<u8> {
        let strings = b"\0file\0a\0b\0c\0d\0";
        let mut types: Vec<u32> = Vec::new();
        let composite = |kind: u32, members: u32, flag: u32| flag << 31 | kind << 24 | members;
        types.extend([0, kind::INT << 24, 4, 32]);
        types.extend([0, composite(kind::UNION, 2, 0), 8, 8, 1, 0, 10, 1, 0]);
        types.extend([0, composite(kind::STRUCT, 1, 0), 8, 0, 2, 64]);
        types.extend([1, composite(kind::STRUCT, 3, 1), 24]);
        types.extend([6, 1, 0, 0, 3, 64, 12, 1, 3 << 24 | 160]);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let lens = [types.len(), strings.len()].map(|len| u32::try_from(len).expect("short"));
        for word in [24, 0, lens[0], lens[0], lens[1]] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_through_anonymous_members_and_beside_bit_fields() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).expect("well-formed");
        for (field, offset) in [("a", 0), ("b", 16), ("c", 16), ("d", 20)] {
            assert_eq!(btf.offset("file", field), Ok(offset), "{field}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).expect("well-formed");
        assert_eq!(btf.offset("file", "z"), Err(BtfError::NoField("file", "z")));
        assert_eq!(btf.offset("sock", "z"), Err(BtfError::NoStruct("sock")));
    }

    #[test]
    fn damaged_information_is_an_error_and_never_a_panic() {
        let whole = sample();
        for len in 0..whole.len() {
            if let Ok(btf) = Btf::parse(&whole[..len]) {
                let _ = btf.offset("file", "c");
            }
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            if let Ok(btf) = Btf::parse(&bytes) {
                let _ = btf.offset("file", "c");
            }
        }
    }
}
