//! Copies out of kernel and user memory. A bad address is an error, never a fault.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};

/// Copies a `T` from `offset` bytes behind the kernel address `base`; `None` if that is not mapped.
///
/// `T` must be an integer or an array of integers: any bytes are a value of it.
#[inline(always)]
pub fn kernel<T: Copy>(base: u64, offset: u32) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let from = base.wrapping_add(u64::from(offset));
    // SAFETY: the destination has the size that is given; the helper checks the source.
    let status = unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            from as *const _,
        )
    };
    // SAFETY: the helper filled the value, zeros included when it failed.
    (status == 0).then(|| unsafe { value.assume_init() })
}

/// Copies `len` bytes from the kernel address `from` to `to`; true if all could be read.
///
/// # Safety
///
/// `to` must be valid for writes of `len` bytes, which the verifier checks when it loads the program.
#[inline(always)]
pub unsafe fn kernel_bytes(to: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the caller vouches for the destination; the helper checks the source.
    unsafe { bpf_probe_read_kernel(to.cast(), len, from as *const _) == 0 }
}

/// Copies `len` bytes from the address `from` of the current process to `to`; true if all could be
/// read. Pages that are not resident count as unreadable: these programs may not sleep.
///
/// # Safety
///
/// `to` must be valid for writes of `len` bytes, which the verifier checks when it loads the program.
#[inline(always)]
pub unsafe fn user_bytes(to: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the caller vouches for the destination; the helper checks the source.
    unsafe { bpf_probe_read_user(to.cast(), len, from as *const _) == 0 }
}

/// Copies a `T` from the address `from` of the current process; `None` if it is not resident.
///
/// `T` must be an integer or an array of integers: any bytes are a value of it.
#[inline(always)]
pub fn user<T: Copy>(from: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the destination has the size that is given.
    let read = unsafe { user_bytes(value.as_mut_ptr().cast(), size_of::<T>() as u32, from) };
    // SAFETY: the helper filled the value, zeros included when it failed.
    read.then(|| unsafe { value.assume_init() })
}
