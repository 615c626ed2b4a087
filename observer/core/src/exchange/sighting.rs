//! What an exchange's identity rests on.
//!
//! Ids of spans are derived from it, so it must be the same wherever the exchange is seen: at either
//! end of the connection, by another observer, in a replay. What both ends see is the connection's
//! addresses, where in the stream the request begins, and what its head says. Addresses and
//! positions come again when ports are reused, so a coarse time belongs to it as well.

use std::hash::Hasher;
use std::net::SocketAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::Endpoint;
use crate::ids::{Identity, KernelNanos};
use crate::judged::{Address, ClockAnchor};
use crate::message::RequestHead;

/// Time that is one to an identity, as a power of two of nanoseconds: 1.07 s. The kernel keeps a
/// port from being used again for the same connection for a second at least (`tcp_tw_reuse`).
const COARSE: u32 = 30;

/// The same for a request that carries its caller's span: 69 s. Its ids tell it from others, unless
/// a client sends one header all the time.
const COARSER: u32 = 36;

/// One exchange, as it was seen first: where both ends are observed, by its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    content: u128,
    time: KernelNanos,
    coarse: u32,
}

/// What both ends of a connection see of it: hashed once, for all of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Ends(SipHasher13);

impl Ends {
    /// What one side sees; `server` if that side reads the requests.
    #[must_use]
    pub fn of(endpoint: &Endpoint, server: bool) -> Self {
        let mut hasher = SipHasher13::new();
        let (client, serving) = if server {
            (&endpoint.peer, &endpoint.local)
        } else {
            (&endpoint.local, &endpoint.peer)
        };
        address(client, &mut hasher);
        address(serving, &mut hasher);
        if let Some(client) = endpoint.unix_client(server) {
            hasher.write_u64(client.to_le());
        }
        Self(hasher)
    }
}

impl Sighting {
    /// What one side of a connection with these ends sees of a request.
    #[must_use]
    pub fn of(ends: Ends, head: &RequestHead, time: KernelNanos) -> Self {
        let Ends(mut hasher) = ends;
        hasher.write_u64(head.at.to_le());
        text(&head.method, &mut hasher);
        text(&head.target, &mut hasher);
        text(head.host.as_deref().unwrap_or_default(), &mut hasher);
        for context in &head.carrier.contexts {
            text(&context.raw, &mut hasher);
        }
        let spans = head.carrier.contexts.iter().any(|c| c.parent_id.is_some());
        Self {
            content: hasher.finish128().as_u128(),
            time,
            coarse: if spans { COARSER } else { COARSE },
        }
    }

    /// The identity, on a machine whose clocks are tied together by `anchor`.
    #[must_use]
    pub fn identity(self, anchor: ClockAnchor) -> Identity {
        let mut hasher = SipHasher13::new();
        hasher.write(&self.content.to_le_bytes());
        hasher.write_u64((anchor.wall(self.time).0 >> self.coarse).to_le());
        Identity(hasher.finish128().as_u128())
    }
}

/// Hashes alike what `Hash` leaves open: strings with their length, integers in one byte order.
fn text(text: &str, hasher: &mut SipHasher13) {
    hasher.write_u64((text.len() as u64).to_le());
    hasher.write(text.as_bytes());
}

fn address(address: &Address, hasher: &mut SipHasher13) {
    match address {
        Address::Tcp(tcp) => {
            // A socket that takes both versions sees IPv4 addresses as IPv6.
            let canonical = SocketAddr::new(tcp.ip().to_canonical(), tcp.port());
            text(&canonical.to_string(), hasher);
        }
        Address::Unix(path) => text(path, hasher),
        Address::Unknown => hasher.write_u8(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Carrier;

    fn head(at: u64, target: &str) -> RequestHead {
        RequestHead {
            at,
            method: "GET".into(),
            target: target.into(),
            host: None,
            carrier: std::sync::Arc::new(Carrier::default()),
            version: crate::message::Version::Http11,
            telemetry: false,
        }
    }

    fn endpoint(local: &str, peer: &str) -> Endpoint {
        Endpoint {
            local: Address::Tcp(local.parse().unwrap()),
            peer: Address::Tcp(peer.parse().unwrap()),
            unix_own: None,
            unix_peer: None,
        }
    }

    fn identity(server: bool, local: &str, peer: &str, at: u64, target: &str, ms: u64) -> Identity {
        let time = KernelNanos(ms * 1_000_000);
        let ends = Ends::of(&endpoint(local, peer), server);
        Sighting::of(ends, &head(at, target), time).identity(ClockAnchor::default())
    }

    #[test]
    fn both_ends_see_the_same() {
        let client = identity(false, "10.0.0.1:5000", "10.0.0.2:80", 7, "/a", 100);
        let server = identity(true, "10.0.0.2:80", "10.0.0.1:5000", 7, "/a", 101);
        let mapped = identity(
            true,
            "[::ffff:10.0.0.2]:80",
            "[::ffff:10.0.0.1]:5000",
            7,
            "/a",
            101,
        );
        assert_eq!(client, server);
        assert_eq!(client, mapped);
    }

    #[test]
    fn another_place_direction_content_or_time_is_another_exchange() {
        let one = identity(false, "10.0.0.1:5000", "10.0.0.2:80", 7, "/a", 100);
        for other in [
            identity(false, "10.0.0.1:5001", "10.0.0.2:80", 7, "/a", 100),
            identity(true, "10.0.0.1:5000", "10.0.0.2:80", 7, "/a", 100),
            identity(false, "10.0.0.1:5000", "10.0.0.2:80", 8, "/a", 100),
            identity(false, "10.0.0.1:5000", "10.0.0.2:80", 7, "/b", 100),
            identity(false, "10.0.0.1:5000", "10.0.0.2:80", 7, "/a", 2_000),
        ] {
            assert_ne!(one, other);
        }
    }
}
