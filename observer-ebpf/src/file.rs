//! Open file descriptions: from a descriptor to its `struct file`, what kind it is, and what is
//! known of it.

use core::{cell::Cell, mem::MaybeUninit};

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::{bpf_get_current_task, bpf_get_smp_processor_id},
};
use observer_abi::{
    class,
    control::{CpuState, FILE_BLOCK},
};

use crate::{
    atomic,
    config::offset,
    epoch,
    maps::{CPUS, FILES, FileState, IGNORED, LEFT_OUT, NO_TURN, REGULAR},
    mem,
};

/// `O_NONBLOCK`, the same on x86-64 and arm64.
const O_NONBLOCK: u32 = 0o4000;
/// `O_ACCMODE | O_APPEND`: what the class of a regular file depends on.
const CLASS_FLAGS: u32 = O_ACCMODE | O_APPEND;
/// `O_ACCMODE`; zero is `O_RDONLY`.
const O_ACCMODE: u32 = 0o3;
/// `O_APPEND`, the same on x86-64 and arm64.
const O_APPEND: u32 = 0o2000;

/// `S_IFMT` and the types of `i_mode` that matter.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const S_IFREG: u16 = 0o100_000;
const S_IFCHR: u16 = 0o020_000;
const S_IFIFO: u16 = 0o010_000;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_STREAM: u16 = 1;
const SOCK_SEQPACKET: u16 = 5;

/// Which way bytes move.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the process.
    Read = 0,
    /// Out of the process.
    Write = 1,
}

/// A descriptor of the current process, looked up.
#[derive(Clone, Copy)]
pub struct OpenFile {
    /// Address of its `struct file`.
    pub address: u64,
    /// Address of its `struct inode`.
    pub inode: u64,
    /// Inode number.
    pub ino: u64,
    /// `f_flags`.
    pub flags: u32,
}

impl OpenFile {
    /// The description that descriptor `fd` of the current process refers to.
    #[inline(always)]
    pub fn of(fd: i32) -> Option<Self> {
        Self::at(address_of(fd)?)
    }

    /// The description whose `struct file` is at `address`.
    #[inline(always)]
    pub fn at(address: u64) -> Option<Self> {
        let (inode, flags) = inode_and_flags(address)?;
        let ino = mem::kernel(inode, offset!(inode_ino))?;
        Some(Self {
            address,
            inode,
            ino,
            flags,
        })
    }

    /// Whether calls on it do not block.
    #[inline(always)]
    pub fn nonblocking(&self) -> bool {
        self.flags & O_NONBLOCK != 0
    }

    /// Whether what is written to it is appended.
    #[inline(always)]
    pub fn appends(&self) -> bool {
        self.flags & O_APPEND != 0
    }

    /// Whether nothing can be written to it.
    #[inline(always)]
    pub fn read_only(&self) -> bool {
        self.flags & O_ACCMODE == 0
    }

    /// What is known of it; nothing if it was never seen, or what was seen there was another one.
    #[inline(always)]
    pub fn known(&self) -> Option<&'static FileState> {
        let state = state_at(self.address)?;
        if state.ino != self.ino || state.epoch != epoch::now() {
            return None;
        }
        let changeable = !is_socket(state.class.get()) && state.class.get() != class::PIPE;
        if changeable && state.flags != self.flags & CLASS_FLAGS {
            return None;
        }
        Some(state)
    }

    /// What is known of it, found out now if nothing was.
    #[inline(always)]
    pub fn state(&self) -> Option<&'static FileState> {
        if let Some(state) = self.known() {
            return Some(state);
        }
        self.enrol();
        state_at(self.address)
    }

    /// How many references to it there are; when all are gone, the description ends.
    #[inline(always)]
    pub fn references(&self) -> Option<u64> {
        let count: u64 = mem::kernel(self.address, offset!(file_count))?;
        Some(count.wrapping_sub(u64::from(offset!(file_count_one))) + 1)
    }

    /// Whether this pipe holds nothing.
    #[inline(always)]
    pub fn pipe_empty(&self) -> bool {
        let Some(pipe) = mem::kernel::<u64>(self.inode, offset!(inode_pipe)) else {
            return false;
        };
        let head: Option<u32> = mem::kernel(pipe, offset!(pipe_head));
        let tail: Option<u32> = mem::kernel(pipe, offset!(pipe_tail));
        head.is_some() && head == tail
    }

    /// Address of the `struct socket` behind it.
    #[inline(always)]
    pub fn socket(&self) -> Option<u64> {
        mem::kernel(self.address, offset!(file_private))
    }

    /// As [`state`](Self::state), for programs that may be preempted (Linux 5.12: the addition
    /// fetches). Nothing while something else is remembered at its address.
    #[inline(always)]
    pub fn state_preemptible(&self) -> Option<&'static FileState> {
        if let Some(state) = self.known() {
            return Some(state);
        }
        let cpu = CPUS.get_ptr_mut(0)?;
        let count = next(cpu);
        // Another thread may have been faster.
        let _ = self.insert(count, BPF_NOEXIST);
        self.known()
    }

    /// Gives it an identity, which is a new one if it had one, and a class.
    #[inline(never)]
    pub fn enrol(&self) -> i32 {
        let Some(cpu) = CPUS.get_ptr_mut(0) else {
            return -1;
        };
        let count = next(cpu);
        self.insert(count, BPF_ANY)
    }

    /// Remembers it as number `count` of this CPU.
    #[inline(always)]
    fn insert(&self, count: u64, how: u32) -> i32 {
        // SAFETY: the helper has no preconditions.
        let number = unsafe { bpf_get_smp_processor_id() };
        let state = FileState {
            ino: self.ino,
            id: count << 16 | u64::from(number as u16),
            pos: [const { Cell::new(0) }; 2],
            granted: [const { Cell::new(0) }; 2],
            left: [const { Cell::new(0) }; 2],
            flags: self.flags & CLASS_FLAGS,
            class: Cell::new(self.classify()),
            bits: Cell::new(0),
            turn: Cell::new(NO_TURN),
            closing: Cell::new(0),
            reader: Cell::new(0),
            sampling: Cell::new(0),
            between: Cell::new(0),
            epoch: epoch::now(),
            reserved: 0,
        };
        match FILES.insert(self.address, &state, u64::from(how)) {
            Ok(()) => 0,
            Err(error) => error,
        }
    }

    #[inline(always)]
    fn classify(&self) -> u8 {
        let mode: u16 = mem::kernel(self.inode, offset!(inode_mode)).unwrap_or(0);
        match mode & S_IFMT {
            S_IFSOCK => self.classify_socket(),
            S_IFIFO => class::PIPE,
            S_IFREG if self.flags & O_APPEND != 0 => class::LOG,
            S_IFREG => REGULAR,
            S_IFCHR => classify_device(mem::kernel(self.inode, offset!(inode_rdev)).unwrap_or(0)),
            _ => class::OTHER,
        }
    }

    #[inline(always)]
    fn classify_socket(&self) -> u8 {
        let Some(socket) = self.socket() else {
            return class::OTHER;
        };
        let kind: u16 = mem::kernel(socket, offset!(socket_type)).unwrap_or(0);
        let sock: u64 = mem::kernel(socket, offset!(socket_sk)).unwrap_or(0);
        let family: u16 = mem::kernel(sock, offset!(sock_family)).unwrap_or(0);
        match (family, kind) {
            (AF_INET, SOCK_STREAM) => class::TCP4,
            (AF_INET6, SOCK_STREAM) => class::TCP6,
            (AF_UNIX, SOCK_STREAM | SOCK_SEQPACKET) => class::UNIX,
            _ => class::OTHER,
        }
    }
}

/// What is known of the description at `address`, whichever it is.
#[inline(always)]
pub fn state_at(address: u64) -> Option<&'static FileState> {
    let state = FILES.get_ptr(address)?;
    // SAFETY: elements live at least as long as the program runs. Other CPUs may write to the cells:
    // positions change atomically, and of the others the last writer may win.
    Some(unsafe { &*state })
}

/// What is known of the description that had identity `id` at `address` when the call began.
#[inline(always)]
pub fn same(address: u64, id: u64) -> Option<&'static FileState> {
    state_at(address).filter(|state| state.id == id)
}

/// The next number of identities that this CPU gives out.
#[inline(always)]
fn next(cpu: *mut CpuState) -> u64 {
    // SAFETY: a field of a live map element, which is accessed in no other way.
    unsafe { atomic::next(&raw mut (*cpu).ids) }
}

/// Whether bytes moving this way through descriptor `fd` are to be reported. A regular file becomes
/// a log when it is written as standard output or error.
#[inline(always)]
pub fn observed(state: &FileState, fd: i32, direction: Direction) -> bool {
    if state.bits.get() & (IGNORED | LEFT_OUT) != 0 {
        return false;
    }
    match state.class.get() {
        class::TCP4 | class::TCP6 | class::UNIX | class::PIPE => true,
        class::TTY | class::LOG => direction == Direction::Write,
        REGULAR if direction == Direction::Write && (fd == 1 || fd == 2) => {
            state.class.set(class::LOG);
            true
        }
        _ => false,
    }
}

/// Whether this class is a kind of socket.
#[inline(always)]
pub fn is_socket(class: u8) -> bool {
    matches!(class, class::TCP4 | class::TCP6 | class::UNIX)
}

/// `current->files`.
#[inline(always)]
fn files() -> Option<u64> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    mem::kernel(task, offset!(task_files))
}

/// Whether no other task has the current task's descriptors.
#[inline(always)]
pub fn descriptors_are_own() -> bool {
    let count = files().and_then(|files| mem::kernel::<u32>(files, offset!(files_count)));
    count == Some(1)
}

/// `current->files->fdt->open_fds` and how many descriptors there is room for: a bit for each.
#[inline(always)]
pub fn open_descriptors() -> Option<(u64, u32)> {
    let table: u64 = mem::kernel(files()?, offset!(files_fdt))?;
    let bits = mem::kernel(table, offset!(fdt_open_fds))?;
    Some((bits, mem::kernel(table, offset!(fdt_max_fds))?))
}

/// `current->files->fdt->fd[fd]`. The table is the current task's own, and is not freed while the
/// program runs: programs run inside a read-side critical section of RCU.
#[inline(always)]
fn address_of(fd: i32) -> Option<u64> {
    let files = files()?;
    let table: u64 = mem::kernel(files, offset!(files_fdt))?;
    let [size, array]: [u64; 2] = mem::kernel(table, offset!(fdt_max_fds))?;
    if fd as u32 >= size as u32 {
        return None;
    }
    let file: u64 = mem::kernel(array + u64::from(fd as u32) * 8, 0)?;
    (file != 0).then_some(file)
}

/// `f_inode` and `f_flags` of the `struct file` at `address`, copied at once.
#[inline(always)]
fn inode_and_flags(address: u64) -> Option<(u64, u32)> {
    let (inode, flags) = (offset!(file_inode) as usize, offset!(file_flags) as usize);
    let len = offset!(file_block_len);
    let from = address + u64::from(offset!(file_block));
    if len as usize > FILE_BLOCK || inode > FILE_BLOCK - 8 || flags > FILE_BLOCK - 4 {
        return None;
    }
    let mut block = MaybeUninit::<[u64; FILE_BLOCK / 8]>::uninit();
    let start: *mut u8 = block.as_mut_ptr().cast();
    // SAFETY: the copy is as long as there is room for at most, and both fields lie in it: the
    // verifier knows the offsets and refuses a program that reads beside what was copied.
    unsafe {
        if !mem::kernel_bytes(start, len, from) {
            return None;
        }
        Some((
            start.add(inode).cast::<u64>().read(),
            start.add(flags).cast::<u32>().read(),
        ))
    }
}

/// Terminals by major number (`Documentation/admin-guide/devices.txt`): virtual consoles and serial
/// lines 4, `/dev/tty` and `/dev/console` 5, pseudo-terminals 136–143, USB serial 188, other serial
/// lines 204, hypervisor consoles 229.
#[inline(always)]
fn classify_device(device: u32) -> u8 {
    match device >> 20 {
        4 | 5 | 136..=143 | 188 | 204 | 229 => class::TTY,
        _ => class::OTHER,
    }
}
