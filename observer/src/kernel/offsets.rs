//! The offsets that the probes need, read from the kernel's type information.

use observer_abi::control::{FILE_BLOCK, Offsets};

use super::btf::{Btf, BtfError};

/// Why the offsets could not be told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OffsetError {
    /// The type information lacks something or is damaged.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// Two fields of a structure do not lie beside each other, and so can't be read at once.
    #[error("`{1}` and `{2}` of structure `{0}` are {3} bytes apart")]
    FarApart(&'static str, &'static str, &'static str, u32),
}

/// Takes from `btf` what the probes need to know.
///
/// # Errors
///
/// Names the structure or field that is missing.
pub fn offsets(btf: &Btf<'_>) -> Result<Offsets, OffsetError> {
    let (inode, flags) = (
        btf.offset("file", "f_inode")?,
        btf.offset("file", "f_flags")?,
    );
    let block = inode.min(flags);
    let apart = inode.max(flags) - block;
    // Up to the end of the inode's address or of the flags, whichever lies further.
    let block_len = (inode - block + 8).max(flags - block + 4);
    if block_len as usize > FILE_BLOCK {
        return Err(OffsetError::FarApart("file", "f_inode", "f_flags", apart));
    }
    let (size, array) = (
        btf.offset("fdtable", "max_fds")?,
        btf.offset("fdtable", "fd")?,
    );
    if array != size + 8 {
        return Err(OffsetError::FarApart(
            "fdtable",
            "max_fds",
            "fd",
            array.abs_diff(size),
        ));
    }
    // `f_ref` replaced `f_count` in 6.13 and counts from 0 ("file: add f_ref and file_ref_t").
    let (count, one) = match btf.find("file", "f_ref")? {
        Some(count) => (count, 0),
        None => (btf.offset("file", "f_count")?, 1),
    };
    // `struct sock` begins with its `struct sock_common`, and `struct unix_sock` with its `struct sock`.
    let common = btf.offset("sock", "__sk_common")?;
    let of_common = |field| Ok::<_, BtfError>(common + btf.offset("sock_common", field)?);
    let embedded = btf.offset("socket_alloc", "socket")?;
    Ok(Offsets {
        task_files: btf.offset("task_struct", "files")?,
        task_pid: btf.offset("task_struct", "pid")?,
        task_tgid: btf.offset("task_struct", "tgid")?,
        task_comm: btf.offset("task_struct", "comm")?,
        task_thread_pointer: thread_pointer(btf)?,
        files_fdt: btf.offset("files_struct", "fdt")?,
        files_count: btf.offset("files_struct", "count")?,
        fdt_max_fds: size,
        fdt_open_fds: btf.offset("fdtable", "open_fds")?,
        file_block: block,
        file_block_len: block_len,
        file_inode: inode - block,
        file_flags: flags - block,
        file_private: btf.offset("file", "private_data")?,
        file_count: count,
        file_count_one: one,
        inode_ino: btf.offset("inode", "i_ino")?,
        inode_mode: btf.offset("inode", "i_mode")?,
        inode_rdev: btf.offset("inode", "i_rdev")?,
        inode_pipe: btf.offset("inode", "i_pipe")?,
        pipe_head: btf.offset("pipe_inode_info", "head")?,
        pipe_tail: btf.offset("pipe_inode_info", "tail")?,
        socket_type: btf.offset("socket", "type")?,
        socket_sk: btf.offset("socket", "sk")?,
        socket_inode: btf.offset("socket_alloc", "vfs_inode")? - embedded,
        sock_socket: btf.offset("sock", "sk_socket")?,
        sock_family: of_common("skc_family")?,
        sock_daddr: of_common("skc_daddr")?,
        sock_rcv_saddr: of_common("skc_rcv_saddr")?,
        sock_dport: of_common("skc_dport")?,
        sock_num: of_common("skc_num")?,
        sock_v6_daddr: of_common("skc_v6_daddr")?,
        sock_v6_rcv_saddr: of_common("skc_v6_rcv_saddr")?,
        unix_addr: btf.offset("unix_sock", "addr")?,
        unix_peer: btf.offset("unix_sock", "peer")?,
        unix_address_len: btf.offset("unix_address", "len")?,
        unix_address_name: btf.offset("unix_address", "name")?,
    })
}

/// Where a task keeps the thread pointer of its thread; 0 where that is not known.
fn thread_pointer(btf: &Btf<'_>) -> Result<u32, BtfError> {
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(0);
    }
    Ok(btf.offset("task_struct", "thread")? + btf.offset("thread_struct", "fsbase")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_everything() {
        let Ok(bytes) = std::fs::read(super::super::types::OWN) else {
            eprintln!("skipped: this kernel has no type information");
            return;
        };
        let btf = Btf::parse(&bytes).expect("the kernel's own type information");
        let offsets = offsets(&btf).expect("complete");
        assert_ne!(offsets.task_files, 0);
        assert_ne!(offsets.task_pid, offsets.task_tgid);
        assert_eq!(offsets.sock_num, offsets.sock_dport + 2);
    }
}
