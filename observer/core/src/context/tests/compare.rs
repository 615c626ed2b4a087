//! Tests of what is called lost or changed between two messages.

use super::carrier;
use crate::context::{
    Carrier, baggage_lost, random_flag_changed, tracestate_lost, tracestate_reordered,
};

const PARENT: (&str, &str) = (
    "traceparent",
    "00-12345678901234567890123456789012-1234567890123456-01",
);

fn state(value: &str) -> Carrier {
    carrier(&[PARENT, ("tracestate", value)])
}

fn baggage(value: &str) -> Carrier {
    carrier(&[("baggage", value)])
}

#[test]
fn lost_keys_of_tracestate_are_named() {
    let came = state("a=1,b=2,c=3");
    assert_eq!(tracestate_lost(&came, &state("own=x,a=1,b=2,c=3")), [""; 0]);
    assert_eq!(tracestate_lost(&came, &state("b=changed,c=3")), ["a"]);
    assert_eq!(tracestate_lost(&came, &carrier(&[PARENT])), ["a", "b", "c"]);
}

#[test]
fn what_may_be_dropped_is_not_lost() {
    let came = state("a=1");
    assert_eq!(
        tracestate_lost(&came, &Carrier::default()),
        [""; 0],
        "no traceparent to go with it"
    );
    assert_eq!(
        tracestate_lost(&came, &state("B")),
        [""; 0],
        "an invalid list is another finding"
    );
    let long = state(&format!("a={0},b={0},c={0}", "x".repeat(200)));
    assert_eq!(
        tracestate_lost(&long, &carrier(&[PARENT])),
        [""; 0],
        "beyond 512 characters"
    );
    let full: Vec<String> = (0..32).map(|n| format!("k{n}=1")).collect();
    let pushed = format!("own=1,{}", full[..31].join(","));
    assert_eq!(
        tracestate_lost(&state(&full.join(",")), &state(&pushed)),
        [""; 0],
        "pushed out by the 33rd"
    );
}

#[test]
fn order_of_unmodified_members_matters() {
    let came = state("a=1,b=2,c=3");
    assert!(!tracestate_reordered(&came, &state("a=1,b=2,c=3")));
    assert!(!tracestate_reordered(&came, &state("own=x,a=1,b=2,c=3")));
    assert!(!tracestate_reordered(&came, &state("c=new,a=1,b=2")));
    assert!(
        !tracestate_reordered(&came, &state("c=3,a=1,b=2")),
        "c's owner may rewrite it unchanged"
    );
    assert!(tracestate_reordered(&came, &state("own=x,b=2,a=1,c=3")));
}

#[test]
fn lost_keys_of_baggage_are_named() {
    let came = baggage("user=1,tenant=2");
    assert_eq!(baggage_lost(&came, &baggage("tenant=3")), ["user"]);
    assert_eq!(baggage_lost(&came, &Carrier::default()), ["user", "tenant"]);
    assert_eq!(
        baggage_lost(&came, &baggage("a b")),
        [""; 0],
        "an invalid list is another finding"
    );
    let many: Vec<String> = (0..65).map(|n| format!("k{n}=1")).collect();
    assert_eq!(
        baggage_lost(&baggage(&many.join(",")), &Carrier::default()),
        [""; 0]
    );
}

#[test]
fn the_random_flag_is_compared_within_one_trace() {
    let of = |value: &str| carrier(&[("traceparent", value)]).contexts.remove(0);
    let random = of("00-12345678901234567890123456789012-1234567890123456-03");
    let same = of("00-12345678901234567890123456789012-6543210987654321-02");
    let plain = of("00-12345678901234567890123456789012-6543210987654321-01");
    let other = of("00-22345678901234567890123456789012-6543210987654321-01");
    assert!(!random_flag_changed(&random, &same));
    assert!(random_flag_changed(&random, &plain));
    assert!(!random_flag_changed(&random, &other));
}
