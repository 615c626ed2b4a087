//! Loaded before the C library (`LD_PRELOAD`), notes how many instructions the verifier processed for each BPF program
//! that is loaded. Kernels before 5.16 tell that in the verifier's log alone, which is not asked for where a program
//! is accepted.

use std::{
    ffi::{c_long, c_void},
    fs::OpenOptions,
    io::Write,
    mem::transmute,
    sync::atomic::{AtomicPtr, Ordering},
};

/// Where it is noted: lines of a program's name and a number.
const NOTES: &str = "/tmp/verified";
/// `BPF_PROG_LOAD`, a command of `bpf(2)`.
const PROG_LOAD: c_long = 5;
/// `BPF_LOG_STATS`, since 5.2: the log has the figures alone.
const LOG_STATS: u32 = 4;
/// Where the members of `union bpf_attr` for this command lie (`include/uapi/linux/bpf.h`).
const LOG_LEVEL: usize = 24;
const LOG_SIZE: usize = 28;
const LOG_BUFFER: usize = 32;
const NAME: usize = 48;
const NAME_LEN: usize = 16;

/// Room for the log, of which the kernel fills some lines: with functions that it verifies by themselves, several of each. Linux 6.4 and
/// later refuse a program whose log finds no room.
const LOG_LEN: u32 = 1 << 20;

type Syscall =
    unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;

/// The C library's function of this name, once it was looked up.
static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// `syscall(2)`, with the log asked for where a program is loaded without one.
///
/// # Safety
///
/// That of the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    // SAFETY: the call is handed on as it is.
    let call = || unsafe { real()(number, a, b, c, d, e, f) };
    let attributes = b as *mut u8;
    // SAFETY: the attributes of this command are longer than what is looked at.
    if number != libc::SYS_bpf || a != PROG_LOAD || unsafe { word(attributes, LOG_LEVEL) } != 0 {
        return call();
    }
    let mut log = vec![0_u8; LOG_LEN as usize];
    // SAFETY: as above; the log outlives the call, and is taken out again.
    unsafe {
        set_log(attributes, LOG_STATS, LOG_LEN, log.as_mut_ptr() as u64);
        let result = call();
        set_log(attributes, 0, 0, 0);
        if result < 0 {
            return call();
        }
        let name = std::slice::from_raw_parts(attributes.add(NAME), NAME_LEN);
        note(&text(name), &text(&log));
        result
    }
}

fn real() -> Syscall {
    let mut known = REAL.load(Ordering::Relaxed);
    if known.is_null() {
        // SAFETY: the name ends with a zero.
        known = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) };
        REAL.store(known, Ordering::Relaxed);
    }
    // SAFETY: the C library's function takes any number of words; those that a call does not have are not looked at.
    unsafe { transmute::<*mut c_void, Syscall>(known) }
}

/// # Safety
///
/// `attributes` must be those of [`PROG_LOAD`].
unsafe fn word(attributes: *const u8, at: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { attributes.add(at).cast::<u32>().read_unaligned() }
}

/// # Safety
///
/// As [`word`].
unsafe fn set_log(attributes: *mut u8, level: u32, size: u32, buffer: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        attributes
            .add(LOG_LEVEL)
            .cast::<u32>()
            .write_unaligned(level);
        attributes.add(LOG_SIZE).cast::<u32>().write_unaligned(size);
        attributes
            .add(LOG_BUFFER)
            .cast::<u64>()
            .write_unaligned(buffer);
    }
}

/// What lies before the first zero.
fn text(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..len.unwrap_or(bytes.len())]).into_owned()
}

/// Notes the number in `processed N insns`.
fn note(name: &str, log: &str) {
    let count = log.split("processed ").nth(1);
    let count = count.and_then(|rest| rest.split(' ').next());
    let notes = OpenOptions::new().create(true).append(true).open(NOTES);
    if let (Some(count), Ok(mut notes)) = (count, notes) {
        // Without it the table lacks a number.
        let _ = writeln!(notes, "{name} {count}");
    }
}
