//! Each program of the object by itself: does this kernel take it, and attach it?

use std::{fs, num::NonZeroU32};

use aya::{
    Ebpf,
    programs::{
        Program, ProgramError,
        uprobe::{UProbeAttachLocation, UProbeScope},
    },
};

use super::{
    CaptureConfig, CaptureError, ProbeState, TypeSource, TypesError,
    attach::{Place, load, place, put, state},
    host, object,
};

/// A program of the object, and what this kernel does with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The program.
    pub name: String,
    /// What it is for; absent for those that are put into observed programs.
    pub place: Option<Place>,
    /// What became of it.
    pub state: ProbeState,
    /// Whether the verifier accepted it; if so, a failure is one of attaching.
    pub loaded: bool,
    /// Instructions that the verifier processed; kernels before 5.16 don't tell.
    pub instructions: Option<u32>,
}

/// Loads and attaches every program for a moment, but for those that only newer kernels need. Those for observed programs
/// are put into this one, at an instruction that never runs.
///
/// # Errors
///
/// If not even the maps can be made; see [`CaptureError`].
pub fn programs(config: &CaptureConfig) -> Result<Vec<Trial>, CaptureError> {
    let object::Opened {
        mut object,
        features,
        ..
    } = object::open(config)?;
    let mut names: Vec<String> = object.programs().map(|(name, _)| name.to_owned()).collect();
    names.retain(|name| {
        features.preempted || place(name).is_none_or(|(_, place)| place.group.is_none())
    });
    let rank = |name: &str| place(name).map_or(usize::MAX, |(rank, _)| rank);
    names.sort_by_key(|name| (rank(name), name.clone()));
    let trials = names.into_iter().map(|name| one(&mut object, name));
    Ok(trials.collect())
}

/// Where this kernel's types are told, and what was chosen for it among what the probes can do, in words.
///
/// # Errors
///
/// If its types are told nowhere, or are not as expected.
pub fn choices(config: &CaptureConfig) -> Result<(TypeSource, String), TypesError> {
    let facts = object::facts(config.types.as_deref(), &host::release())?;
    Ok((facts.source, facts.features.told()))
}

fn one(object: &mut Ebpf, name: String) -> Trial {
    let place = place(&name).map(|(_, place)| place);
    let Some(program) = object.program_mut(&name) else {
        unreachable!("the name was taken from the object");
    };
    let result = match place {
        Some(place) => put(program, place).map(drop),
        None => put_here(program),
    };
    let info = program.info().ok();
    Trial {
        name,
        place,
        state: result.map_or_else(|error| state(&error), |()| ProbeState::Ok),
        loaded: info.is_some(),
        instructions: info.and_then(|info| info.verified_instruction_count()),
    }
}

fn put_here(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::UProbe(program) => {
            load(|| program.load())?;
            let offset = idle_offset().ok_or_else(|| {
                ProgramError::IOError(std::io::Error::other(
                    "this program's own code is not found in /proc/self/maps",
                ))
            })?;
            let scope = NonZeroU32::new(std::process::id())
                .map_or(UProbeScope::CallingProcess, UProbeScope::OneProcess);
            let at = UProbeAttachLocation::AbsoluteOffset(offset);
            program.attach(at, "/proc/self/exe", scope)?;
        }
        other => {
            let kind = format!("no probe is of type {:?}", other.prog_type());
            return Err(ProgramError::IOError(std::io::Error::other(kind)));
        }
    }
    Ok(())
}

/// Where nothing ever runs: a place for probes.
#[inline(never)]
extern "C" fn idle(value: u64) -> u64 {
    std::hint::black_box(value.wrapping_mul(3))
}

/// Offset of [`idle`] in this program's file.
fn idle_offset() -> Option<u64> {
    let address = std::hint::black_box(idle as extern "C" fn(u64) -> u64) as usize as u64;
    offset_in_file(&fs::read_to_string("/proc/self/maps").ok()?, address)
}

/// Where `address` lies in the file that is mapped there, according to `/proc/PID/maps`.
pub(super) fn offset_in_file(maps: &str, address: u64) -> Option<u64> {
    maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(words.nth(1)?)?);
        (start..end)
            .contains(&address)
            .then(|| address - start + offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_mapping() {
        let maps = "\
            55d0a000-55d0b000 r--p 00000000 fe:00 42 /bin/observer\n\
            55d0b000-55d0d000 r-xp 00001000 fe:00 42 /bin/observer\n";
        assert_eq!(offset_in_file(maps, 0x55d0_b123), Some(0x1123));
        assert_eq!(offset_in_file(maps, 0x55d0_d000), None);
        assert_eq!(offset_in_file("nonsense\n", 1), None);
        assert!(idle_offset().is_some());
    }
}
