//! Constants that userspace writes into the object before it is loaded. The kernel freezes them, so
//! that the verifier knows their values and removes the branches that they rule out.

use aya_ebpf::Global;
use observer_abi::control::{CALLS, Config, Offsets, Registers};

/// What to watch and how much to capture.
#[unsafe(no_mangle)]
static CONFIG: Global<Config> = Global::new(Config {
    all: 0,
    all_execs: 0,
    thread_mask: 0,
    policy_bits: 1,
    turn_budget: 0,
    log_bytes: 0,
    sample_logs: 0,
    pipe_read_bytes: 0,
    fetches: 0,
});

/// Where the running kernel keeps things.
#[unsafe(no_mangle)]
static OFFSETS: Global<[u32; size_of::<Offsets>() / 4]> =
    Global::new([0; size_of::<Offsets>() / 4]);

/// Where the running architecture keeps system call arguments.
#[unsafe(no_mangle)]
static REGISTERS: Global<[u32; size_of::<Registers>() / 4]> =
    Global::new([0; size_of::<Registers>() / 4]);

/// What to do with each system call, by number.
#[unsafe(no_mangle)]
static CALL_TABLE: Global<[u8; CALLS]> = Global::new([0; CALLS]);

/// Where [`CONFIG`] lies; fields are read by [`setting!`].
#[inline(always)]
pub fn config() -> *const Config {
    (&raw const CONFIG).cast()
}

/// Where [`OFFSETS`] lies; fields are read by [`offset!`].
#[inline(always)]
pub fn offsets() -> *const Offsets {
    (&raw const OFFSETS).cast()
}

/// Where [`REGISTERS`] lies; fields are read by [`register!`].
#[inline(always)]
pub fn registers() -> *const Registers {
    (&raw const REGISTERS).cast()
}

/// Reads one field of the [`Config`] that userspace gave.
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: the global has the layout and lives as long as the program.
        unsafe { (&raw const (*$crate::config::config()).$field).read_volatile() }
    };
}

/// Reads one field of the [`Offsets`] that userspace gave.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: the global has the layout and lives as long as the program.
        unsafe { (&raw const (*$crate::config::offsets()).$field).read_volatile() }
    };
}

/// Reads one field of the [`Registers`] that userspace gave.
macro_rules! register {
    ($field:ident $([$index:expr])?) => {
        // SAFETY: the global has the layout and lives as long as the program.
        unsafe { (&raw const (*$crate::config::registers()).$field$([$index])?).read_volatile() }
    };
}

pub(crate) use {offset, register, setting};

/// What to do with system call `number`: a value of [`observer_abi::control::call`].
#[inline(always)]
pub fn call_of(number: u64) -> u8 {
    if number >= CALLS as u64 {
        return 0;
    }
    let table: *const u8 = (&raw const CALL_TABLE).cast();
    // SAFETY: `number` is below the length of the table.
    unsafe { table.add(number as usize).read_volatile() }
}
