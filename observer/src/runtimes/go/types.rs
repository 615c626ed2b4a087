//! Where fields lie in structures, and which address stands for a type.
//!
//! A Go program describes the types of what it allocates, for its collector and for reflection
//! (`internal/abi/type.go`); stripping leaves that alone. So offsets come from the program itself
//! and not from a table of versions, and a field that does not exist is not found.

use super::{
    bytes::{u32_at, u64_at},
    module::Module,
    program::{Program, Range},
};

/// Bytes of descriptions searched at most: the largest programs have a quarter of it.
const LIMIT: u64 = 32 << 20;
/// Fields of one structure looked at, at most.
const FIELDS: u64 = 1024;

/// `abi.Type`: where `Kind_` and `Str` lie, and how long it is.
const KIND: usize = 23;
const STR: usize = 40;
const LEN: u64 = 48;
/// Bits of `Kind_` that are the kind; and two kinds.
const KIND_MASK: u8 = 31;
const STRUCT: u8 = 25;
const POINTER: u8 = 22;

/// Types that can be asked for, as they print: with the last part of the path of their package.
const NAMES: [&str; 7] = [
    "runtime.g",
    "runtime.hchan",
    "runtime.sudog",
    "http.persistConn",
    "net.TCPConn",
    "net.UnixConn",
    "tls.Conn",
];

/// The types of a program.
pub struct Types<'a> {
    program: &'a Program,
    region: Range,
    /// The descriptions as the file holds them: names and references to names are as in memory.
    bytes: Vec<u8>,
    /// Numbers of [`NAMES`], and addresses of descriptions that refer to them.
    named: Vec<(usize, u64)>,
    /// Go 1.18 keeps offsets doubled, with a bit of something else below.
    shift: u32,
}

/// A structure.
pub struct Struct(Vec<Field>);

struct Field {
    name: Vec<u8>,
    /// Address of the description of its type.
    kind: u64,
    offset: u64,
}

impl<'a> Types<'a> {
    /// Those of the module.
    pub fn of(program: &'a Program, module: &Module) -> Option<Self> {
        let bytes = program.file(module.types, LIMIT)?;
        let mut types = Self {
            named: named(&bytes, module.types.start),
            bytes,
            region: module.types,
            program,
            shift: 0,
        };
        // The first field, `stack`, is 16 bytes long in every version.
        types.shift = match types
            .structure("runtime", "runtime.g")?
            .offset("stackguard0")?
        {
            16 => 0,
            32 => 1,
            _ => return None,
        };
        Some(types)
    }

    /// The structure that prints as `name`, one of [`NAMES`], and is of `package`.
    pub fn structure(&self, package: &str, name: &str) -> Option<Struct> {
        self.named(name)
            .filter_map(|address| self.structure_at(address))
            .find_map(|(found, of)| (of == package.as_bytes()).then_some(found))
    }

    /// The pointer to the structure that prints as `name` and is of `package`.
    pub fn pointer(&self, package: &str, name: &str) -> Option<u64> {
        self.named(name).find(|address| {
            let kind = self.kind(*address);
            let to = || self.program.words::<1>(address.checked_add(LEN)?);
            kind == Some(POINTER)
                && to()
                    .and_then(|[to]| self.structure_at(to))
                    .is_some_and(|(_, of)| of == package.as_bytes())
        })
    }

    /// The structure that is the type of a field of another one, or that this points to.
    pub fn of_field(&self, outer: &Struct, field: &str) -> Option<Struct> {
        let kind = outer.field(field)?.kind;
        let kind = match self.kind(kind)? {
            POINTER => self.program.words::<1>(kind.checked_add(LEN)?)?[0],
            _ => kind,
        };
        Some(self.structure_at(kind)?.0)
    }

    /// Descriptions of types that print as `name` or as a pointer to it: both refer to one string.
    fn named(&self, name: &str) -> impl Iterator<Item = u64> + '_ {
        let index = NAMES.iter().position(|known| *known == name);
        let named = self.named.iter().filter(move |(of, _)| Some(*of) == index);
        named.map(|(_, address)| *address)
    }

    /// The structure described at `address`, and its package.
    fn structure_at(&self, address: u64) -> Option<(Struct, Vec<u8>)> {
        if self.kind(address)? != STRUCT {
            return None;
        }
        let [package, start, count] = self.program.words::<3>(address.checked_add(LEN)?)?;
        let fields = Range {
            start,
            len: count.checked_mul(24)?,
        };
        let bytes = self.program.memory(fields, FIELDS * 24)?;
        let fields = bytes.chunks_exact(24).map(|field| {
            Some(Field {
                name: self.name(u64_at(field, 0)?)?,
                kind: u64_at(field, 8)?,
                offset: u64_at(field, 16)? >> self.shift,
            })
        });
        let fields = fields.collect::<Option<Vec<_>>>()?;
        Some((Struct(fields), self.name(package)?))
    }

    fn kind(&self, address: u64) -> Option<u8> {
        let at = usize::try_from(address.checked_sub(self.region.start)?).ok()?;
        Some(self.bytes.get(at.checked_add(KIND)?)? & KIND_MASK)
    }

    /// The name at `address`.
    fn name(&self, address: u64) -> Option<Vec<u8>> {
        let at = usize::try_from(address.checked_sub(self.region.start)?).ok()?;
        let bytes = self.bytes.get(at.checked_add(1)?..)?;
        let len = match bytes {
            [len @ 0..0x80, ..] => usize::from(*len),
            // Longer than 127 bytes: none of those that are looked for.
            _ => return Some(Vec::new()),
        };
        Some(bytes.get(1..=len)?.to_vec())
    }
}

/// Descriptions, of which the first is at `start`, that refer to one of [`NAMES`].
fn named(bytes: &[u8], start: u64) -> Vec<(usize, u64)> {
    let texts = NAMES.iter().enumerate().flat_map(|(index, name)| {
        // A name is a byte of flags, its length and its bytes. Those of types have a star before.
        let mut text = vec![u8::try_from(name.len() + 1).unwrap_or(0), b'*'];
        text.extend(name.as_bytes());
        let places: Vec<_> = memchr::memmem::find_iter(bytes, &text).collect();
        let reference = |at: usize| u32::try_from(at.checked_sub(1)?).ok();
        places
            .into_iter()
            .filter_map(move |at| Some((reference(at)?, index)))
    });
    let texts: Vec<(u32, usize)> = texts.collect();
    let references = bytes.get(STR..).unwrap_or_default().chunks_exact(8);
    let found = references.zip(0_u64..).filter_map(|(word, at)| {
        let reference = u32_at(word, 0)?;
        let (_, index) = texts.iter().find(|(text, _)| *text == reference)?;
        Some((*index, start.checked_add(at * 8)?))
    });
    found.collect()
}

impl Struct {
    /// Where a field lies, bytes from the start.
    pub fn offset(&self, name: &str) -> Option<u64> {
        Some(self.field(name)?.offset)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn descriptions_refer_to_names() {
        let mut bytes = vec![0; 64];
        bytes.extend(b"\x00\x09*tls.Conn");
        // One description at 8; a word of the same value elsewhere in the row is none.
        bytes[8 + STR..8 + STR + 4].copy_from_slice(&64_u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(&64_u32.to_ne_bytes());
        let tls = NAMES.iter().position(|name| *name == "tls.Conn");
        assert_eq!(named(&bytes, 0x1000), [(tls.expect("known"), 0x1008)]);
        assert_eq!(named(b"", 0x1000), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(0_u8..4, 0..300), start: u64) {
            bytes.extend(b"\x0a*runtime.g");
            named(&bytes, start);
        }
    }
}
