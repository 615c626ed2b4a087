//! Where objects of a class keep their fields, as the machine describes that to itself (`src/hotspot/share/oops/fieldInfo.hpp`): until Java 20 in an
//! array with six numbers of 16 bits for each field, and from Java 21 on in a stream of packed numbers.

use super::super::memory::Memory;
use super::classes::Classes;
use super::scopes::Stream;
use super::structs::Structs;
use super::{all, short};

/// Numbers for each field (`FieldInfo::FieldOffset`): the second is the index of its name in the class's constants, the third that
/// of its type; the last two are its offset, shifted.
const NUMBERS: usize = 6;
const NAME: usize = 1;
const TYPE: usize = 2;
const OFFSET: usize = 4;
/// What the lower bits of the offset say: that it is one (`FIELDINFO_TAG_OFFSET`).
const TAGS: u32 = 3;
const TAG_OFFSET: u32 = 1;
const TAG_BITS: u32 = 2;

/// Flags of fields in a stream that are followed by one more number each: a constant that they begin with, a generic type, and a group of fields
/// that are kept apart (`FieldInfo::FieldFlags`).
const FURTHER: [u32; 3] = [1 << 0, 1 << 2, 1 << 4];
/// Bytes of a stream that are read.
const MAX_BYTES: usize = 1 << 16;

/// The highest address that takes 32 bits, and by how much these are shifted at most.
const MAX_SHIFT: u64 = 3;

/// Where a field is, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its offset in the object, bytes.
    pub(super) at: u64,
    /// How it is written ([`observer_abi::heap::NARROW`]).
    pub(super) narrow: u64,
}

/// A field, as its class describes it: indexes of its name and of its type in the constants, and its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Described {
    name: u16,
    of_type: u16,
    at: u32,
}

/// The fields that a class has beside those of its superclass.
pub(super) struct Fields<'a> {
    memory: &'a Memory,
    classes: &'a Classes,
    constants: u64,
    described: Vec<Described>,
}

impl<'a> Fields<'a> {
    /// Those of the class at `class`.
    pub(super) fn of(
        structs: &Structs<'_>,
        memory: &'a Memory,
        classes: &'a Classes,
        class: u64,
    ) -> Option<Self> {
        let [constants] = offsets(structs, [("InstanceKlass", "_constants")])?;
        let header = structs
            .size_of("ConstantPool")
            .filter(|size| *size < 1 << 16)?;
        let constants = memory
            .word(class.checked_add(constants)?)?
            .checked_add(header)?;
        Some(Self {
            memory,
            classes,
            constants,
            described: numbers(structs, memory, class)
                .or_else(|| packed(structs, memory, class))?,
        })
    }

    /// The offset of the field of this name and type, bytes.
    pub(super) fn at(&self, name: &str, of_type: &str) -> Option<u64> {
        let is = |index, text| {
            self.classes
                .symbols()
                .is(self.memory, self.symbol(index)?, text)
        };
        let named = |field: &&Described| {
            is(field.name, name) == Some(true) && is(field.of_type, of_type) == Some(true)
        };
        self.described
            .iter()
            .find(named)
            .map(|field| field.at.into())
    }

    /// The offsets of those that name objects.
    fn references(&self) -> impl Iterator<Item = u32> {
        let references = self.described.iter().filter(|field| {
            let of_type = self.symbol(field.of_type);
            let first = of_type.and_then(|s| self.classes.symbols().first(self.memory, s));
            matches!(first, Some(b'L' | b'['))
        });
        references.map(|field| field.at)
    }

    fn symbol(&self, index: u16) -> Option<u64> {
        let place = self.constants.checked_add(8 * u64::from(index))?;
        self.memory.word(place)
    }
}

/// What a thread was started to run (`Thread.target`, until Java 18).
pub(super) fn target(structs: &Structs<'_>, memory: &Memory) -> Option<Reference> {
    let classes = Classes::of(structs)?;
    let class = classes.find(memory, "java/lang/Thread")?;
    let fields = Fields::of(structs, memory, &classes, class)?;
    let target = fields.at("target", "Ljava/lang/Runnable;")?;
    let narrow = if is_narrow(fields.references()) {
        1 + shift(structs, memory)?
    } else {
        0
    };
    Some(Reference { at: target, narrow })
}

/// Offsets in structures.
pub(super) fn offsets<const N: usize>(
    structs: &Structs<'_>,
    of: [(&str, &str); N],
) -> Option<[u64; N]> {
    let fields = all(structs.fields(of))?;
    let plain = fields.iter().all(|f| !f.is_static && f.at < 1 << 16);
    plain.then(|| fields.map(|field| field.at))
}

/// The fields of a class that have an offset, until Java 20.
fn numbers(structs: &Structs<'_>, memory: &Memory, class: u64) -> Option<Vec<Described>> {
    let names = [
        ("InstanceKlass", "_fields"),
        ("InstanceKlass", "_java_fields_count"),
        ("Array<u2>", "_data"),
    ];
    let [described, count, data] = offsets(structs, names)?;
    let count = usize::from(short(memory, class.checked_add(count)?)?);
    let array = memory.word(class.checked_add(described)?)?;
    let bytes = memory.read(array.checked_add(data)?, count * NUMBERS * 2)?;
    Some(read(&bytes))
}

/// The same from Java 21 on.
fn packed(structs: &Structs<'_>, memory: &Memory, class: u64) -> Option<Vec<Described>> {
    let names = [
        ("InstanceKlass", "_fieldinfo_stream"),
        ("Array<u1>", "_data"),
    ];
    let [described, data] = offsets(structs, names)?;
    let array = memory.word(class.checked_add(described)?)?;
    // The length is the array's first field.
    let length = usize::try_from(super::number(memory, array)?).ok()?;
    let bytes = memory.read(array.checked_add(data)?, length.min(MAX_BYTES))?;
    unpack(&bytes)
}

/// The fields in a stream of numbers (`FieldInfoStream`): how many there are, and how many the machine has added; then of each its name, its type,
/// its offset, how it may be accessed, and flags, which say what else there is.
fn unpack(bytes: &[u8]) -> Option<Vec<Described>> {
    let mut stream = Stream {
        bytes,
        at: 0,
        excluded: 1,
    };
    let count = stream.number()?;
    let _added = stream.number()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = u16::try_from(stream.number()?).ok()?;
        let of_type = u16::try_from(stream.number()?).ok()?;
        let at = stream.number()?;
        let _access = stream.number()?;
        let flags = stream.number()?;
        for flag in FURTHER {
            if flags & flag != 0 {
                stream.number()?;
            }
        }
        fields.push(Described { name, of_type, at });
    }
    Some(fields)
}

/// The fields that have an offset.
fn read(bytes: &[u8]) -> Vec<Described> {
    let (numbers, _) = bytes.as_chunks::<2>();
    let numbers: Vec<u16> = numbers.iter().map(|n| u16::from_ne_bytes(*n)).collect();
    let (fields, _) = numbers.as_chunks::<NUMBERS>();
    let described = |field: &[u16; NUMBERS]| {
        let packed = u32::from(field[OFFSET]) | u32::from(field[OFFSET + 1]) << 16;
        (packed & TAGS == TAG_OFFSET).then_some(Described {
            name: field[NAME],
            of_type: field[TYPE],
            at: packed >> TAG_BITS,
        })
    };
    fields.iter().filter_map(described).collect()
}

/// Whether addresses in objects take 32 bits: then some of many that follow one another are not aligned to 64.
fn is_narrow(mut offsets: impl Iterator<Item = u32>) -> bool {
    offsets.any(|at| !at.is_multiple_of(8))
}

/// By how much addresses of 32 bits are shifted, if they count from zero.
fn shift(structs: &Structs<'_>, memory: &Memory) -> Option<u64> {
    let fields = structs.fields([
        ("CompressedOops", "_narrow_oop._base"),
        ("CompressedOops", "_narrow_oop._shift"),
    ]);
    let [base, shift] = all(fields)?;
    let from_zero = base.is_static && shift.is_static && memory.holds(base.at, 0);
    let shift = super::number(memory, shift.at).map(u64::from)?;
    (from_zero && shift <= MAX_SHIFT).then_some(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(fields: &[[u16; NUMBERS]]) -> Vec<u8> {
        let numbers = fields.iter().flatten();
        numbers.flat_map(|number| number.to_ne_bytes()).collect()
    }

    #[test]
    fn offsets_are_read_where_there_are_some() {
        let field = |low| [2, 10, 11, 0, low, 0];
        // 0x48 is offset 72; of a field without one the lower bits say otherwise.
        let found = read(&bytes(&[field(72 << 2 | 1), field(72 << 2), field(0xfffd)]));
        let at = |at| Described {
            name: 10,
            of_type: 11,
            at,
        };
        assert_eq!(found, [at(72), at(0x3fff)]);
        assert_eq!(read(&bytes(&[field(5)])[..11]), []);
    }

    #[test]
    fn a_stream_of_fields_is_unpacked() {
        // A number is written as its value and one.
        let with_more = [5, 6, 25, 1, 1 + 0b1_0101, 9, 9, 9];
        let stream: Vec<u8> = [&[3, 1][..], &with_more, &[7, 8, 29, 3, 1]].concat();
        let found = unpack(&stream).expect("two fields");
        let field = |name, of_type, at| Described { name, of_type, at };
        assert_eq!(found, [field(4, 5, 24), field(6, 7, 28)]);
        assert_eq!(unpack(&stream[..stream.len() - 1]), None, "cut");
        assert_eq!(unpack(&[3, 1, 5, 6, 0, 1, 1]), None, "no zeros");
    }

    #[test]
    fn narrow_addresses_are_told_by_where_they_lie() {
        assert!(is_narrow([64, 68, 72].into_iter()));
        assert!(!is_narrow([64, 72, 80].into_iter()));
        assert!(!is_narrow([].into_iter()));
    }
}
