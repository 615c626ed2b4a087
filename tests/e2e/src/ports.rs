//! Ports for programs that can't be asked which one they got.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use anyhow::{Context, Result};

/// The first one, and how many: below those that the kernel gives to connections and to listeners that ask for any
/// (`ip_local_port_range` begins at 32 768), so that none of these takes one between choosing and binding.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// An address of loopback that nobody listens on, and that this process was not given before.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at places of their own.
    let begin = process::id().wrapping_mul(97) % u32::from(COUNT);
    (0..COUNT)
        .map(|_| (begin + u32::from(NEXT.fetch_add(1, Relaxed))) % u32::from(COUNT))
        .filter_map(|at| Some(FIRST + u16::try_from(at).ok()?))
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port is free")
}

/// The port of such an address.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(free_address()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_or_while_it_is_taken() {
        let one = free_address().unwrap();
        let taken = TcpListener::bind(one).unwrap();
        for _ in 0..3 {
            assert_ne!(free_address().unwrap(), taken.local_addr().unwrap());
        }
    }
}
