//! How many requests and calls there were in all: by estimate, or it is not known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::control::Reckoned;
use observer_core::judged::{Judged, NoEstimate, ServiceSummary, Summary};
use world::{Fed, World, request, response};

const SHOP: u32 = 10;
const CART: u32 = 11;
/// Counted at the same place as [`SHOP`].
const TWIN: u32 = SHOP + 512;
const REQUESTS: u16 = 20;

/// As many requests of [`SHOP`], each with a call, on connections that each stand for four; and what calls came to.
fn story(reckoned: impl IntoIterator<Item = Fed>) -> Summary {
    let mut w = World::new();
    for (tgid, name) in [(SHOP, "shop"), (CART, "cart")] {
        w.process(tgid, name);
    }
    w.inputs.extend([Fed::Pause(1), Fed::Resume(2, 4)]);
    w.inputs.extend(reckoned);
    for port in 0..REQUESTS {
        let server = w.tcp(SHOP, 80, 5000 + port, false);
        let client = w.tcp(SHOP, 6000 + port, 90, false);
        w.read(20, server, request("/in", ""));
        w.calls(20, client, "/out");
        w.write(20, server, response());
        w.tick();
    }
    let told = w.told();
    match told.0.last() {
        Some(Judged::Summary(summary)) => (**summary).clone(),
        other => panic!("{other:?}"),
    }
}

fn reckoned(tgid: u32, client: bool, counted: u64, expected: u64) -> Fed {
    Fed::Reckoned(Reckoned::place(tgid, client), counted, expected)
}

fn shop(summary: &Summary) -> &ServiceSummary {
    let mut services = summary.services.iter();
    services.find(|service| service.service == "shop").unwrap()
}

/// Whether requests and calls of the shop are estimated, the latter alike of its only edge.
fn known(summary: &Summary) -> (bool, bool) {
    let shop = shop(summary);
    let edge = &shop.edges[0];
    assert_eq!(edge.calls_estimated, shop.calls_estimated);
    assert_eq!(edge.calls_not_estimated, shop.calls_not_estimated);
    assert_eq!(
        shop.served_estimated.is_none(),
        shop.served_not_estimated.is_some()
    );
    assert_eq!(
        shop.calls_estimated.is_none(),
        shop.calls_not_estimated.is_some()
    );
    (
        shop.served_estimated.is_some(),
        shop.calls_estimated.is_some(),
    )
}

#[test]
fn what_calls_bear_out_is_estimated() {
    let plain = story([]);
    let all = shop(&plain).served_estimated.unwrap();
    assert_eq!((all.n, all.low, all.high), (80, 50, 110));
    for (counted, low, high) in [(100, 50, 110), (170, 50, 206), (40, 20, 110)] {
        // In parts, as it comes.
        let half = || reckoned(SHOP, false, counted / 2, 50);
        let all = shop(&story([half(), half()])).served_estimated.unwrap();
        assert_eq!((all.n, all.low, all.high), (80, low, high));
    }
}

#[test]
fn what_calls_refute_is_not_known() {
    let summary = story([
        reckoned(SHOP, false, 300, 100),
        reckoned(SHOP, true, 100, 100),
    ]);
    assert_eq!(known(&summary), (false, true));
    let why = shop(&summary).served_not_estimated.unwrap();
    assert_eq!(
        (why.reason, why.counted, why.expected),
        (NoEstimate::CallsDisagree, 300, 100)
    );
    let summary = story([reckoned(SHOP, true, 7, 0)]);
    assert_eq!(known(&summary), (true, false));
    let why = shop(&summary).calls_not_estimated.unwrap();
    assert_eq!(why.reason, NoEstimate::NoneObserved);
}

#[test]
fn each_process_has_its_own_calls() {
    let others = [
        reckoned(CART, false, 900, 100),
        reckoned(CART, true, 900, 100),
    ];
    assert_eq!(known(&story(others)), (true, true));
    // Of which nothing is known.
    assert_eq!(known(&story([reckoned(7, false, 900, 0)])), (true, true));
    // Together, one as the other.
    assert_eq!(
        known(&story([reckoned(TWIN, false, 900, 100)])),
        (false, true)
    );
}
