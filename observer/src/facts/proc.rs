//! Bounded reads of `/proc`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use observer_core::text::printable_bytes;

/// The longest part of a file in `/proc` that is read, bytes. A page of environment is usual; more
/// than this is no service's name.
const READ_LIMIT: u64 = 256 * 1024;

/// The longest part of a list of mappings that is read, bytes.
const MAPS_LIMIT: u64 = 16 << 20;

/// A mounted `/proc`.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
}

impl Default for Proc {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl Proc {
    /// The one mounted at `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A process; it need not exist.
    #[must_use]
    pub fn process(&self, pid: u32) -> Process {
        Process {
            pid,
            dir: self.root.join(pid.to_string()),
        }
    }

    /// All processes there are now.
    pub fn processes(&self) -> impl Iterator<Item = Process> + '_ {
        let entries = fs::read_dir(&self.root).ok().into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(|pid| self.process(pid))
    }
}

/// A directory `/proc/PID`.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    dir: PathBuf,
}

impl Process {
    /// Whether it is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Its arguments, the program's name first; empty for kernel threads and zombies.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        self.strings("cmdline")
    }

    /// The value of a variable in the environment that it was started with.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.strings("environ").into_iter().find_map(|entry| {
            let (key, value) = entry.split_once('=')?;
            (key == name && !value.is_empty()).then(|| value.to_owned())
        })
    }

    /// Path of its executable as it names itself, without the mark of a deleted file.
    #[must_use]
    pub fn exe(&self) -> Option<String> {
        let path = self.link("exe")?;
        Some(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
    }

    /// Its executable, to be opened: right in any mount namespace, and after deletion.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.dir.join("exe")
    }

    /// Where one of its files, or a file that it sees below `root`, is found from here.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What is mapped into it, a line of `/proc/PID/maps` each.
    pub fn mappings(&self) -> impl Iterator<Item = String> {
        let maps = File::open(self.path("maps")).ok();
        let maps = maps.map(|maps| BufReader::new(maps.take(MAPS_LIMIT)));
        let lines = maps.into_iter().flat_map(|maps| maps.split(b'\n'));
        lines
            .map_while(Result::ok)
            .map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    /// Its name as the kernel keeps it, at most 15 bytes.
    #[must_use]
    pub fn comm(&self) -> Option<String> {
        let bytes = self.read("comm")?;
        Some(printable_bytes(bytes.strip_suffix(b"\n").unwrap_or(&bytes)))
    }

    /// The name of one of its threads, as the kernel keeps it.
    #[must_use]
    pub fn thread_name(&self, tid: u32) -> Option<String> {
        let bytes = self.read(&format!("task/{tid}/comm"))?;
        Some(printable_bytes(bytes.strip_suffix(b"\n").unwrap_or(&bytes)))
    }

    /// The names of its threads, as the kernel keeps them.
    pub fn thread_names(&self) -> impl Iterator<Item = String> + '_ {
        let entries = fs::read_dir(self.dir.join("task"))
            .ok()
            .into_iter()
            .flatten();
        entries.filter_map(|entry| {
            let name = Path::new("task").join(entry.ok()?.file_name()).join("comm");
            let bytes = self.read(name.to_str()?)?;
            Some(printable_bytes(bytes.strip_suffix(b"\n").unwrap_or(&bytes)))
        })
    }

    /// Its control groups, as paths.
    #[must_use]
    pub fn cgroups(&self) -> Vec<String> {
        let bytes = self.read("cgroup").unwrap_or_default();
        // hierarchy-ID:controller-list:cgroup-path
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| line.splitn(3, ':').nth(2).map(str::to_owned))
            .collect()
    }

    /// The process that a thread id belongs to: `Tgid` of its status.
    #[must_use]
    pub fn tgid(&self) -> Option<u32> {
        self.status("Tgid:")?.parse().ok()
    }

    /// Its parent: `PPid` of its status.
    #[must_use]
    pub fn parent(&self) -> Option<u32> {
        self.status("PPid:")?.parse().ok()
    }

    /// Whether it ignores a signal.
    #[must_use]
    pub fn ignores(&self, signal: i32) -> bool {
        let mask = self.status("SigIgn:");
        let mask = mask.and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        let bit = u32::try_from(signal - 1)
            .ok()
            .and_then(|bit| 1_u64.checked_shl(bit));
        matches!((mask, bit), (Some(mask), Some(bit)) if mask & bit != 0)
    }

    /// When it was started, in clock ticks since boot: with its number, what makes it unique.
    #[must_use]
    pub fn started(&self) -> Option<u64> {
        let bytes = self.read("stat")?;
        let text = String::from_utf8_lossy(&bytes);
        // The name, in parentheses, may hold anything; field 22 is the twentieth after it.
        let (_, fields) = text.rsplit_once(')')?;
        fields.split_whitespace().nth(19)?.parse().ok()
    }

    /// The CPU time that its threads have taken, also those that ended.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        let bytes = self.read("stat")?;
        let text = String::from_utf8_lossy(&bytes);
        // Fields 14 and 15: in user space and in the kernel, clock ticks.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let ticks = ticks()?.saturating_add(ticks()?);
        let hertz = rustix::param::clock_ticks_per_second().max(1);
        Some(Duration::from_millis(ticks.saturating_mul(1_000) / hertz))
    }

    /// What a descriptor refers to, printable.
    #[must_use]
    pub fn descriptor(&self, fd: i32) -> Option<String> {
        self.link(&format!("fd/{fd}"))
    }

    /// What all descriptors refer to.
    pub fn descriptors(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(self.dir.join("fd")).ok().into_iter().flatten();
        entries.filter_map(|entry| Some(path_text(&fs::read_link(entry.ok()?.path()).ok()?)))
    }

    /// The contents of one of its files, at most 256 KiB.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.dir.join(name)).ok()?;
        file.take(READ_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn status(&self, key: &str) -> Option<String> {
        let bytes = self.read("status")?;
        let text = String::from_utf8_lossy(&bytes);
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(value.trim().to_owned())
    }

    fn strings(&self, name: &str) -> Vec<String> {
        let bytes = self.read(name).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        if bytes.is_empty() {
            return Vec::new();
        }
        bytes
            .split(|b| *b == 0)
            .map(|s| String::from_utf8_lossy(s).into_owned())
            .collect()
    }

    fn link(&self, name: &str) -> Option<String> {
        Some(path_text(&fs::read_link(self.dir.join(name)).ok()?))
    }
}

fn path_text(path: &Path) -> String {
    printable_bytes(path.as_os_str().as_encoded_bytes())
}
