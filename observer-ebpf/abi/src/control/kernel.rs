//! Where the running kernel keeps what the probes read.

/// How `struct pt_regs` of a user thread in a system call is read. Words are numbered in the order
/// in which the two blocks are copied, eight bytes each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Offset of the first block, bytes.
    pub first_base: u32,
    /// Length of the first block, bytes.
    pub first_len: u32,
    /// Offset of the second block, bytes.
    pub second_base: u32,
    /// Length of the second block, bytes; 0 when one block holds everything.
    pub second_len: u32,
    /// Word that holds each argument when the call begins.
    pub args: [u32; 6],
    /// Word that holds the first argument when the call returns.
    pub exit_first: u32,
    /// Word that holds the number of the call (its low 32 bits).
    pub number: u32,
    /// Word that tells 64-bit code from 32-bit code.
    pub mode: u32,
    /// Bits of that word to look at.
    pub mode_mask: u32,
    /// What those bits are in 64-bit code.
    pub mode_native: u32,
}

/// Words that the two blocks of [`Registers`] may hold together.
pub const REGISTER_WORDS: usize = 16;

/// Where the running kernel keeps what the probes read: byte offsets, from its BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.files`.
    pub task_files: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.thread.fsbase`: the thread pointer of x86-64. 0 where there is none.
    pub task_thread_pointer: u32,
    /// `files_struct.fdt`.
    pub files_fdt: u32,
    /// `files_struct.count`: how many tasks share it.
    pub files_count: u32,
    /// `fdtable.max_fds`; `fdtable.fd` follows it eight bytes later.
    pub fdt_max_fds: u32,
    /// `fdtable.open_fds`.
    pub fdt_open_fds: u32,
    /// Start of the bytes of `struct file` that hold `f_inode` and `f_flags`.
    pub file_block: u32,
    /// How many these are, at most [`FILE_BLOCK`].
    pub file_block_len: u32,
    /// `file.f_inode`, counted from the start of the block.
    pub file_inode: u32,
    /// `file.f_flags`, counted from the start of the block.
    pub file_flags: u32,
    /// `file.private_data`.
    pub file_private: u32,
    /// `file.f_count`, or `file.f_ref` from Linux 6.13.
    pub file_count: u32,
    /// What that counter holds while one reference exists: 1, or 0 for `f_ref`.
    pub file_count_one: u32,
    /// `inode.i_ino`.
    pub inode_ino: u32,
    /// `inode.i_mode`.
    pub inode_mode: u32,
    /// `inode.i_rdev`.
    pub inode_rdev: u32,
    /// `inode.i_pipe`.
    pub inode_pipe: u32,
    /// `pipe_inode_info.head`.
    pub pipe_head: u32,
    /// `pipe_inode_info.tail`.
    pub pipe_tail: u32,
    /// `socket.type`.
    pub socket_type: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `socket_alloc.vfs_inode`: from a `struct socket` to its inode.
    pub socket_inode: u32,
    /// `sock.sk_socket`.
    pub sock_socket: u32,
    /// `sock_common.skc_family`.
    pub sock_family: u32,
    /// `sock_common.skc_daddr`.
    pub sock_daddr: u32,
    /// `sock_common.skc_rcv_saddr`.
    pub sock_rcv_saddr: u32,
    /// `sock_common.skc_dport`.
    pub sock_dport: u32,
    /// `sock_common.skc_num`.
    pub sock_num: u32,
    /// `sock_common.skc_v6_daddr`.
    pub sock_v6_daddr: u32,
    /// `sock_common.skc_v6_rcv_saddr`.
    pub sock_v6_rcv_saddr: u32,
    /// `unix_sock.addr`.
    pub unix_addr: u32,
    /// `unix_sock.peer`.
    pub unix_peer: u32,
    /// `unix_address.len`.
    pub unix_address_len: u32,
    /// `unix_address.name`.
    pub unix_address_name: u32,
}

/// Bytes of `struct file` read at once, at most.
pub const FILE_BLOCK: usize = 64;

const _: () = {
    assert!(size_of::<Registers>() == 60);
    assert!(size_of::<Offsets>() == 37 * 4);
};
