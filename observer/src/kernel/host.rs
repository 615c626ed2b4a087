//! What the host says about itself.

use std::fs;

use rustix::system::uname;

/// Inode of the initial pid namespace, `PROC_PID_INIT_INO` of the kernel's `proc_ns.h`.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The oldest kernel that has the BPF ring buffer.
pub const OLDEST: (u32, u32) = (5, 8);

/// The running kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// Major and minor version of a release; zeros for what is not a number.
pub fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether process ids here are the kernel's own; true if that can't be told.
pub fn in_initial_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid")
        .map_or(true, |link| link.as_os_str() == INITIAL_PID_NAMESPACE)
}

/// Whether kernel lockdown forbids BPF programs to read kernel memory.
pub fn confidentiality_lockdown() -> bool {
    fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// Whether programs are compiled rather than interpreted.
pub fn jit() -> bool {
    // Without the file they always are.
    fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").map_or(true, |on| on.trim() != "0")
}

/// The highest process id that can be, plus one; the compile-time limit if that can't be told.
pub fn pid_max() -> u32 {
    const PID_MAX_LIMIT: u32 = 4 << 20;
    fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(PID_MAX_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_understood() {
        assert_eq!(version("6.18.44-fc-v657"), (6, 18));
        assert_eq!(version("5.10.0-35-cloud-amd64"), (5, 10));
        assert_eq!(version("odd"), (0, 0));
    }
}
