//! Which connections are observed where only a share of them is: a number of each connection, its lot, that
//! does not depend on what the connection carries, and that both of its ends share, on all hosts alike.
//!
//! A lot is below 65 536 and evenly spread; of a share of `n` 65 536ths, the connections with lots below
//! `n` are observed. So a connection that a small share has in it is in every larger one, too. Lots are drawn anew in each
//! window of time, so that a share of few, long-lived connections is one of their time.

/// One end of a connection, as a number.
///
/// `high` and `low` are the two halves of its IPv6 address, read as little-endian; IPv4 addresses are mapped
/// ([`mapped`]).
#[must_use]
#[inline(always)]
pub const fn end(high: u64, low: u64, port: u16) -> u64 {
    mix(mix(mix(high) ^ low) ^ port as u64)
}

/// The lower half of an IPv4-mapped address (RFC 4291, 2.5.5.2); the upper one is 0. `address` is the IPv4 address
/// read as little-endian.
#[must_use]
#[inline(always)]
pub const fn mapped(address: u32) -> u64 {
    0xffff_0000 | (address as u64) << 32
}

/// The end of a connection inside of one kernel: any number that only this end has, such as that of its inode.
#[must_use]
#[inline(always)]
pub const fn inner_end(number: u64) -> u64 {
    mix(number)
}

/// What the lots of the connection between two ends are drawn from, whichever is named first.
#[must_use]
#[inline(always)]
pub const fn between(one: u64, other: u64) -> u64 {
    mix(one.wrapping_add(other))
}

/// The lot in one window of time of a connection, by what is [`between`] its ends.
#[must_use]
#[inline(always)]
pub const fn drawn(between: u64, window: u16) -> u16 {
    (mix(between ^ window as u64) >> 48) as u16
}

/// Whether a lot falls on the connection that has drawn it, where `left_out` 65 536ths of all connections are not observed.
#[must_use]
#[inline(always)]
pub const fn is_left_out(lot: u16, left_out: u16) -> bool {
    lot as u32 + left_out as u32 >= 1 << 16
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, 2014): each bit of the
/// result depends on all of those that go in.
#[inline(always)]
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(a: [u8; 4], b: [u8; 4], ports: (u16, u16)) -> u16 {
        let of = |address, port| end(0, mapped(u32::from_le_bytes(address)), port);
        drawn(between(of(a, ports.0), of(b, ports.1)), 7)
    }

    #[test]
    fn both_ends_draw_the_same_lot() {
        let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        assert_eq!(tcp(a, b, (5000, 80)), tcp(b, a, (80, 5000)));
        assert_ne!(tcp(a, b, (5000, 80)), tcp(a, b, (80, 5000)));
        let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
        let (high, low) = bytes.split_at(8);
        let half = |half: &[u8]| u64::from_le_bytes(half.try_into().unwrap());
        assert_eq!((half(high), half(low)), (0, mapped(u32::from_le_bytes(a))));
    }

    #[test]
    fn each_window_draws_anew() {
        let one = between(inner_end(1), inner_end(2));
        let low = (0..4_096).filter(|window| drawn(one, *window) < 16_384);
        // 1 024 are expected, with a standard deviation of 28.
        assert!((900..1_150).contains(&low.count()));
        assert!(is_left_out(49_152, 16_384) && !is_left_out(49_151, 16_384));
        assert!(!is_left_out(u16::MAX, 0));
    }

    #[test]
    fn lots_are_spread_evenly_over_ports_that_follow_each_other() {
        const N: u16 = 32_768;
        let mut sixteenths = [0_u32; 16];
        let mut low = 0_u32;
        for port in 0..N {
            let lot = tcp([10, 0, 0, 1], [10, 0, 0, 2], (N + port, 80));
            sixteenths[usize::from(lot >> 12)] += 1;
            low += u32::from(lot < 64);
        }
        // 2 048 of each expected, with a standard deviation of 44; of the smallest share, 32 and 6.
        assert!(
            sixteenths.iter().all(|n| (1_830..2_270).contains(n)),
            "{sixteenths:?}"
        );
        assert!((5..60).contains(&low), "{low}");
    }
}
