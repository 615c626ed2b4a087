//! Where objects of a class keep their fields, as the machine describes that to itself until Java 20 (`src/hotspot/share/oops/fieldInfo.hpp`):
//! an array with six numbers of 16 bits for each field.

use super::super::memory::Memory;
use super::classes::Classes;
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

/// What a thread was started to run (`Thread.target`, until Java 18).
pub(super) fn target(structs: &Structs<'_>, memory: &Memory) -> Option<Reference> {
    let fields = structs.fields([
        ("InstanceKlass", "_fields"),
        ("InstanceKlass", "_constants"),
        ("InstanceKlass", "_java_fields_count"),
        ("Array<u2>", "_data"),
    ]);
    let fields = all(fields)?;
    if fields.iter().any(|f| f.is_static || f.at >= 1 << 16) {
        return None;
    }
    let [described, constants, count, data] = fields.map(|f| f.at);
    let header = structs
        .size_of("ConstantPool")
        .filter(|size| *size < 1 << 16)?;
    let classes = Classes::of(structs)?;
    let class = classes.find(memory, "java/lang/Thread")?;
    let count = usize::from(short(memory, class.checked_add(count)?)?);
    let array = memory.word(class.checked_add(described)?)?;
    let bytes = memory.read(array.checked_add(data)?, count * NUMBERS * 2)?;
    let constants = memory
        .word(class.checked_add(constants)?)?
        .checked_add(header)?;
    let symbol = |index: u16| memory.word(constants.checked_add(8 * u64::from(index))?);
    let described = read(&bytes);
    let named = |field: &&Described| {
        let is = |index, name| classes.symbols().is(memory, symbol(index)?, name);
        is(field.name, "target") == Some(true)
            && is(field.of_type, "Ljava/lang/Runnable;") == Some(true)
    };
    let target = described.iter().find(named)?;
    let references = described.iter().filter(|field| {
        let of_type = symbol(field.of_type).and_then(|s| classes.symbols().first(memory, s));
        matches!(of_type, Some(b'L' | b'['))
    });
    let narrow = if is_narrow(references.map(|field| field.at)) {
        1 + shift(structs, memory)?
    } else {
        0
    };
    Some(Reference {
        at: target.at.into(),
        narrow,
    })
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
    fn narrow_addresses_are_told_by_where_they_lie() {
        assert!(is_narrow([64, 68, 72].into_iter()));
        assert!(!is_narrow([64, 72, 80].into_iter()));
        assert!(!is_narrow([].into_iter()));
    }
}
