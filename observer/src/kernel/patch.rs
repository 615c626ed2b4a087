//! What is changed in the object's instructions before it is loaded, for the kernel that runs.
//!
//! Instructions that a kernel does not know are refused even where they are never reached, so constants do not
//! help there.

use object::{Object, ObjectSection, SectionKind};

use super::{btf::Btf, host};

/// From this one on, programs at raw tracepoints may be preempted, since 7.0 at the latest.
const PREEMPTED: (u32, u32) = (6, 19);
/// From this one on, atomic additions can return what was there before (`BPF_FETCH`).
const FETCHES: (u32, u32) = (5, 12);

/// `BPF_JMP | BPF_CALL`, with `BPF_PSEUDO_KFUNC_CALL` for its source: a call of a kernel function.
const KFUNC_CALL: [u8; 4] = [0x85, 0x20, 0, 0];
/// `BPF_JMP | BPF_JA` over no instruction: does nothing.
const NOTHING: [u8; 8] = [0x05, 0, 0, 0, 0, 0, 0, 0];
/// What stands in the object for a call: its number, and the function
/// (`observer-ebpf/src/preempt.rs`).
const CALLS: [([u8; 4], &str); 2] = [
    (*b"\x01ffo", "bpf_preempt_disable"),
    (*b"\x01nno", "bpf_preempt_enable"),
];
/// `BPF_STX | BPF_ATOMIC | BPF_DW`, and `BPF_ADD | BPF_FETCH`, of which only the former is known before
/// [`FETCHES`].
const ATOMIC: u8 = 0xdb;
const ADD_AND_FETCH: [u8; 4] = [1, 0, 0, 0];

/// Numbers of the functions that are called, where the kernel has them.
pub type Functions = [Option<u32>; 2];

/// The numbers in a kernel's own type information: those in other files are others, and a kernel without its own knows
/// none.
pub fn functions(own: &Btf<'_>) -> Functions {
    CALLS.map(|(_, name)| own.function(name))
}

/// What the running kernel can do that the object's instructions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Numbers of `bpf_preempt_disable` and `bpf_preempt_enable`, where they are to be called.
    preemption: Option<[u32; 2]>,
    /// Whether programs at raw tracepoints may be preempted.
    pub preempted: bool,
    /// Whether atomic additions can fetch.
    pub fetches: bool,
}

impl Features {
    /// Those of the kernel with this `release`, which calls its functions by these numbers, if it does.
    pub fn of(release: &str, [off, on]: Functions) -> Self {
        let version = host::version(release);
        // Without the compiler, functions of the kernel can't be called.
        let preempted = version >= PREEMPTED;
        let calls = preempted && host::jit();
        Self {
            preempted,
            preemption: off.zip(on).filter(|_| calls).map(Into::into),
            fetches: version >= FETCHES,
        }
    }

    /// Whether programs at raw tracepoints run from their beginning to their end without another one meanwhile.
    pub fn undisturbed(&self) -> bool {
        !self.preempted || self.preemption.is_some()
    }

    /// What was chosen, in words.
    pub fn told(&self) -> String {
        let way = match self.preempted {
            true => {
                "through perf, with preemption off; where perf refuses, by raw tracepoints, which miss calls while one of \
                 them waits for its CPU"
            }
            false => "by raw tracepoints, with preemption off",
        };
        let fetches = match self.fetches {
            true => "with atomic fetches",
            false => "without atomic fetches, as before Linux 5.12",
        };
        format!("calls are seen {way}; {fetches}")
    }
}

/// The `object` with its instructions as the kernel wants them.
///
/// # Errors
///
/// If it is not an object file.
pub fn patch(object: &[u8], features: &Features) -> Result<Vec<u8>, object::Error> {
    let mut patched = object.to_vec();
    let file = object::File::parse(object)?;
    for section in file.sections() {
        let range = section
            .file_range()
            .filter(|_| section.kind() == SectionKind::Text);
        let Some((start, len)) = range else {
            continue;
        };
        let range = usize::try_from(start).ok().zip(usize::try_from(len).ok());
        let code = range.and_then(|(start, len)| patched.get_mut(start..start.checked_add(len)?));
        let (instructions, _) = code.unwrap_or_default().as_chunks_mut();
        instructions.iter_mut().for_each(|i| one(i, features));
    }
    Ok(patched)
}

fn one(instruction: &mut [u8; 8], features: &Features) {
    let [operation, number] = halves(*instruction);
    if operation == KFUNC_CALL
        && let Some(at) = CALLS.iter().position(|(mark, _)| *mark == number)
    {
        match features.preemption {
            Some(functions) => instruction[4..].copy_from_slice(&functions[at].to_ne_bytes()),
            None => *instruction = NOTHING,
        }
    }
    if operation[0] == ATOMIC && number == ADD_AND_FETCH && !features.fetches {
        instruction[4..].fill(0);
    }
}

fn halves(instruction: [u8; 8]) -> [[u8; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = instruction;
    [[a, b, c, d], [e, f, g, h]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: [u8; 8] = [0x85, 0x20, 0, 0, 1, b'f', b'f', b'o'];
    const FETCH: [u8; 8] = [0xdb, 0x21, 0, 0, 1, 0, 0, 0];

    fn patched(mut instruction: [u8; 8], features: Features) -> [u8; 8] {
        one(&mut instruction, &features);
        instruction
    }

    #[test]
    fn marks_become_calls_or_nothing() {
        let new = Features {
            preemption: Some([0x0102, 7]),
            preempted: true,
            fetches: true,
        };
        let called = [0x85, 0x20, 0, 0, 2, 1, 0, 0];
        assert_eq!(patched(OFF, new), called);
        assert_eq!(patched(FETCH, new), FETCH);
        let old = Features {
            preemption: None,
            preempted: false,
            fetches: false,
        };
        assert_eq!(patched(OFF, old), NOTHING);
        assert_eq!(patched(FETCH, old), [0xdb, 0x21, 0, 0, 0, 0, 0, 0]);
        let helper = [0x85, 0, 0, 0, 4, 0, 0, 0];
        assert_eq!(patched(helper, old), helper);
    }

    #[test]
    fn where_preemption_can_not_be_held_off_raw_tracepoints_are_disturbed() {
        let of = |release, functions| Features::of(release, functions).undisturbed();
        assert!(of("6.12.1", Functions::default()));
        assert!(!of("7.2.1", Functions::default()));
        assert_eq!(of("7.2.1", [Some(1), Some(2)]), host::jit());
    }

    #[test]
    fn no_mark_is_left_in_the_object() {
        let old = Features {
            preemption: None,
            preempted: false,
            fetches: false,
        };
        let marks = |object: &[u8]| {
            let marks = CALLS.map(|(mark, _)| [KFUNC_CALL, mark].concat());
            marks.map(|mark| object.windows(8).filter(|bytes| *bytes == mark).count())
        };
        let object = super::super::object::OBJECT;
        let [off, on] = marks(object);
        assert!(off >= 5 && off == on, "{off} and {on}");
        assert_eq!(marks(&patch(object, &old).expect("an object")), [0, 0]);
    }
}
