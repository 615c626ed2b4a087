//! Names peers by who serves at their address, where an observer of another host has seen that.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use observer_core::judged::counts::{Cell, Name};
use observer_core::summary::Tally;
use observer_core::text::Text;

/// The same counts, with peers that were known by their address only under the name of the service that was seen
/// to serve there. An address at which several services were seen names none.
pub(super) fn joined(tally: Tally) -> Tally {
    let mut at: BTreeMap<SocketAddr, Option<Name>> = BTreeMap::new();
    for (name, address, _) in tally.served() {
        let Some(address) = canonical(address) else {
            continue;
        };
        at.entry(address)
            .and_modify(|known| {
                if known.as_ref() != Some(name) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some(name.clone()));
    }
    let serving = |peer: &Name| {
        let unnamed = peer.namespace.is_empty();
        let address = unnamed.then(|| canonical(&peer.name)).flatten()?;
        at.get(&address)?.clone()
    };
    let mut renamed = Tally::default();
    for (mut cell, n) in tally.cells() {
        let peer = match &mut cell {
            Cell::Calls { peer, .. } | Cell::Routes { peer, .. } => Some(peer),
            Cell::LeftOut { peer, .. } => peer.as_mut(),
            _ => None,
        };
        if let Some(peer) = peer
            && let Some(name) = serving(peer)
        {
            *peer = name;
        }
        renamed.add(cell, n);
    }
    for mut sample in tally.counted().samples {
        if let Some(name) = sample.peer.as_ref().and_then(serving) {
            sample.peer = Some(name);
        }
        renamed.sample(sample);
    }
    renamed
}

fn canonical(address: &Text) -> Option<SocketAddr> {
    let address: SocketAddr = address.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use observer_core::judged::Verdict;
    use observer_core::judged::counts::How;

    use super::*;

    fn served(tally: &mut Tally, service: &str, address: &str) {
        let (service, address) = (Name::plain(service), address.into());
        tally.add(Cell::Served { service, address }, 1);
    }

    fn called(tally: &mut Tally, peer: &str) {
        let cell = Cell::Calls {
            service: Name::plain("cart"),
            peer: Name::plain(peer),
            verdict: Verdict::Crossed,
            how: How::Plain,
        };
        tally.add(cell, 1);
    }

    fn peers(tally: Tally) -> Vec<String> {
        let services = joined(tally).services();
        let cart = services.iter().find(|s| s.service == "cart").unwrap();
        cart.edges
            .iter()
            .map(|e| format!("{} {}", e.peer, e.calls))
            .collect()
    }

    #[test]
    fn a_peer_is_named_by_who_serves_there() {
        let mut tally = Tally::default();
        served(&mut tally, "pay", "10.0.0.3:80");
        called(&mut tally, "[::ffff:10.0.0.3]:80");
        called(&mut tally, "pay");
        called(&mut tally, "10.0.0.4:80");
        assert_eq!(peers(tally), ["10.0.0.4:80 1", "pay 2"]);
    }

    #[test]
    fn an_address_of_several_names_none() {
        let mut tally = Tally::default();
        served(&mut tally, "pay", "172.17.0.2:80");
        served(&mut tally, "stock", "172.17.0.2:80");
        called(&mut tally, "172.17.0.2:80");
        assert_eq!(peers(tally), ["172.17.0.2:80 1"]);
    }
}
