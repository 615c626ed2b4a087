//! How it is told which dependent of a `CompletableFuture` a thread runs ([`observer_abi::heap::DEPENDENT`]).

use observer_abi::{control::Layout, heap as word};

use super::super::memory::Memory;
use super::classes::Classes;
use super::fields::{Fields, offsets};
use super::number;
use super::structs::{Field, Structs};

/// The class of dependents, that of what others may run, and those whose objects are not cleared when they have run, as the future
/// that they have been given is not complete.
const CLASSES: [&str; 4] = [
    "java/util/concurrent/CompletableFuture$UniCompletion",
    "java/util/concurrent/ForkJoinTask",
    "java/util/concurrent/CompletableFuture$UniCompose",
    "java/util/concurrent/CompletableFuture$UniComposeExceptionally",
];

/// Superclasses that a class names (`Klass::primary_super_limit`).
const SUPERS: u64 = 8;

/// Adds to `layout` what the probes need; nothing while the classes are not loaded, or if they are not described.
pub(super) fn add(structs: &Structs<'_>, memory: &Memory, layout: &mut Layout) {
    if let Some(words) = read(structs, memory) {
        for (at, word) in words {
            layout.words[at] = word;
        }
    }
}

fn read(structs: &Structs<'_>, memory: &Memory) -> Option<[(usize, u64); 10]> {
    let names = [
        ("JavaThread", "_anchor"),
        ("JavaFrameAnchor", "_last_Java_sp"),
        ("Klass", "_primary_supers[0]"),
    ];
    let [anchor, frames, supers] = offsets(structs, names)?;
    let (begin, shift) = narrow(structs, memory)?;
    let classes = Classes::of(structs)?;
    let [dependent, task, compose, recompose] = classes.find_each(memory, CLASSES)?;
    let (dependent, compose) = dependent.zip(compose)?;
    // A class is among its own superclasses, as deep as it is.
    let depth = (0..SUPERS).find(|depth| {
        let place = dependent.wrapping_add(supers + 8 * depth);
        memory.holds(place, dependent)
    })?;
    let future = "Ljava/util/concurrent/CompletableFuture;";
    let fields = Fields::of(structs, memory, &classes, dependent)?;
    let status = Fields::of(structs, memory, &classes, task?)?.at("status", "I")?;
    Some([
        (word::DEPENDENT, dependent),
        (word::SUPER, supers + 8 * depth),
        (word::COMPOSE, compose),
        (word::RECOMPOSE, recompose.unwrap_or(0)),
        (word::CLASSES, begin),
        (word::CLASS_SHIFT, shift),
        (word::STATUS, status),
        (word::DEP, fields.at("dep", future)?),
        (word::SRC, fields.at("src", future)?),
        (word::FRAMES, anchor + frames),
    ])
}

/// Where classes begin, and by how much what objects name is shifted.
fn narrow(structs: &Structs<'_>, memory: &Memory) -> Option<(u64, u64)> {
    let [old_base, old_shift, base, shift] = structs.fields([
        ("CompressedKlassPointers", "_narrow_klass._base"),
        ("CompressedKlassPointers", "_narrow_klass._shift"),
        ("CompressedKlassPointers", "_base"),
        ("CompressedKlassPointers", "_shift"),
    ]);
    let place =
        |one: Option<Field>, other: Option<Field>| one.or(other).filter(|field| field.is_static);
    let base = memory.word(place(base, old_base)?.at)?;
    let shift = number(memory, place(shift, old_shift)?.at).filter(|shift| *shift < 32)?;
    Some((base, shift.into()))
}
