//! The tables in which HotSpot describes its structures to debuggers (`src/hotspot/share/runtime/vmStructs.hpp`):
//! they are exported, so they are there in stripped builds, and the addresses and offsets in them are those of
//! the very build.

use super::super::Unavailable;
use super::super::image::{Image, Mapped};
use super::super::memory::Memory;
use crate::facts::Process;

/// Entries that are looked at: 585 in Java 25, 790 in Java 17.
const MAX_ENTRIES: u64 = 8_192;

/// The longest name that is compared, bytes.
const LONGEST: usize = 32;

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its offset in the structure, if each of these has one, bytes; else its address.
    pub(super) at: u64,
    /// There is only one of it.
    pub(super) is_static: bool,
}

/// The exported table of fields, in a process that has mapped it.
#[derive(Debug)]
pub(super) struct Structs<'a> {
    memory: &'a Memory,
    table: u64,
    stride: u64,
    type_name: u64,
    field_name: u64,
    is_static: u64,
    offset: u64,
    address: u64,
    types: Option<Types>,
}

/// The exported table of types.
#[derive(Clone, Copy, Debug)]
struct Types {
    table: u64,
    stride: u64,
    name: u64,
    size: u64,
}

impl<'a> Structs<'a> {
    /// That of the machine in `library`.
    ///
    /// # Errors
    ///
    /// If it is not there (yet).
    pub(super) fn of(
        process: &Process,
        library: &Mapped,
        memory: &'a Memory,
    ) -> Result<Self, Unavailable> {
        let names = [
            "gHotSpotVMStructs",
            "gHotSpotVMStructEntryArrayStride",
            "gHotSpotVMStructEntryTypeNameOffset",
            "gHotSpotVMStructEntryFieldNameOffset",
            "gHotSpotVMStructEntryIsStaticOffset",
            "gHotSpotVMStructEntryOffsetOffset",
            "gHotSpotVMStructEntryAddressOffset",
            "gHotSpotVMTypes",
            "gHotSpotVMTypeEntryArrayStride",
            "gHotSpotVMTypeEntryTypeNameOffset",
            "gHotSpotVMTypeEntrySizeOffset",
        ];
        let (_, found) = Image::read(process, library, names)
            .map_err(|error| Unavailable(format!("{}: {error}", library.path)))?;
        let values = found.map(|address| memory.word(address?));
        let [fields @ .., types, type_stride, named, size] = values;
        let types = match [types, type_stride, named, size] {
            [Some(table), Some(stride), Some(name), Some(size)] if table != 0 && stride != 0 => {
                Some(Types {
                    table,
                    stride,
                    name,
                    size,
                })
            }
            _ => None,
        };
        let [
            Some(table),
            Some(stride),
            Some(type_name),
            Some(field_name),
            Some(is_static),
            Some(offset),
            Some(address),
        ] = fields
        else {
            return Err(Unavailable(format!(
                "{} does not describe its structures: it is no HotSpot",
                library.path
            )));
        };
        // Filled in while the library is loaded.
        if table == 0 || stride == 0 {
            return Err(Unavailable(
                "the Java virtual machine has not started (yet)".to_owned(),
            ));
        }
        Ok(Self {
            memory,
            table,
            stride,
            type_name,
            field_name,
            is_static,
            offset,
            address,
            types,
        })
    }

    /// How many bytes a structure takes.
    pub(super) fn size_of(&self, wanted: &str) -> Option<u64> {
        let types = self.types?;
        for index in 0..MAX_ENTRIES {
            let entry = types.table.wrapping_add(index.wrapping_mul(types.stride));
            let name = self.word(entry, types.name).filter(|name| *name != 0)?;
            if is_name(&self.text(name), wanted) {
                return self.word(entry, types.size);
            }
        }
        None
    }

    /// The fields with these types and names, `None` for those that it lacks.
    pub(super) fn fields<const N: usize>(&self, wanted: [(&str, &str); N]) -> [Option<Field>; N] {
        let mut found = [None; N];
        for index in 0..MAX_ENTRIES {
            let entry = self.table.wrapping_add(index.wrapping_mul(self.stride));
            let Some(type_name) = self.word(entry, self.type_name).filter(|name| *name != 0) else {
                break;
            };
            let field_name = self.word(entry, self.field_name).unwrap_or(0);
            let names = (self.text(type_name), self.text(field_name));
            for ((in_type, named), found) in wanted.iter().zip(&mut found) {
                if found.is_none() && is_name(&names.1, named) && is_name(&names.0, in_type) {
                    *found = self.field(entry);
                }
            }
        }
        found
    }

    fn field(&self, entry: u64) -> Option<Field> {
        let is_static: [u8; 4] = self.memory.bytes(entry.wrapping_add(self.is_static))?;
        let is_static = is_static != [0; 4];
        let at = self.word(entry, if is_static { self.address } else { self.offset })?;
        Some(Field { at, is_static })
    }

    fn word(&self, entry: u64, at: u64) -> Option<u64> {
        self.memory.word(entry.wrapping_add(at))
    }

    /// As much of the text at `address` as is compared; none if it can't be read.
    fn text(&self, address: u64) -> [u8; LONGEST] {
        self.memory.bytes(address).unwrap_or([0; LONGEST])
    }
}

/// Whether a text that begins with `bytes` is `name`.
fn is_name(bytes: &[u8; LONGEST], name: &str) -> bool {
    name.len() < LONGEST && bytes.starts_with(name.as_bytes()) && bytes[name.len()] == 0
}
