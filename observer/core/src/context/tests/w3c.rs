//! The cases of the W3C Trace Context test suite (`test/test.py`), each under its name there.
//!
//! The suite watches what a service sends on. Where it demands the same trace-id, the headers must
//! read as valid; where it demands a new one, the headers must break a rule, which is named here.

use super::{broken, carrier};
use crate::context::{Carrier, TraceId};

const TRACE_ID: u128 = 0x1234_5678_9012_3456_7890_1234_5678_9012;
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// The traceparent is read, and its sampled flag is this.
fn sampled(carrier: &Carrier, sampled: bool) {
    let context = carrier.context().expect("a valid context");
    assert_eq!(context.trace_id, TraceId::Wide(TRACE_ID));
    assert_eq!(
        context
            .parent_id
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("1234567890123456")
    );
    assert_eq!(context.sampled, Some(sampled));
    assert_eq!(broken(carrier), [""; 0]);
}

/// The traceparent breaks this rule.
fn refused(carrier: &Carrier, rule: &str) {
    assert_eq!(carrier.context(), None);
    assert_eq!(broken(carrier), [rule]);
    assert_eq!(carrier.tracestate, []);
}

/// The tracestate has these members, separated by spaces here.
fn inherited(carrier: &Carrier, members: &str) {
    sampled(carrier, false);
    let text: Vec<String> = carrier
        .tracestate
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(text.join(" "), members);
}

/// The tracestate breaks this rule, the traceparent none.
fn discarded(carrier: &Carrier, rule: &str) {
    let context = carrier.context().expect("a valid context");
    assert_eq!(context.trace_id, TraceId::Wide(TRACE_ID));
    assert_eq!(broken(carrier), [rule]);
    assert!(!carrier.invalid[0].breaks_context());
    assert_eq!(carrier.tracestate, []);
}

/// One test a case: `check(headers…, expected)` for each request that the case sends.
macro_rules! cases {
    ($($name:ident { $($check:ident([$(($header:expr, $value:expr)),*], $expected:expr);)+ })+) => {
        /// Names of the cases below.
        const CASES: &[&str] = &[$(stringify!($name)),+];
        $(#[test]
        fn $name() {
            $($check(&carrier::<&str, &str>(&[$(($header, &$value)),*]), $expected);)+
        })+
    };
}

/// Nothing is carried.
fn nothing(carrier: &Carrier, _: ()) {
    assert_eq!(*carrier, Carrier::default());
}

/// Both come together.
fn agree(carrier: &Carrier, ids: usize) {
    assert_eq!(carrier.contexts.len(), ids);
}

cases! {
    test_both_traceparent_and_tracestate_missing {
        nothing([], ());
    }
    test_traceparent_included_tracestate_missing {
        sampled([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01")], true);
    }
    test_traceparent_duplicated {
        refused([
            ("traceparent", "00-12345678901234567890123456789011-1234567890123456-01"),
            ("traceparent", "00-12345678901234567890123456789012-1234567890123456-01")
        ], "traceparent-duplicate");
        refused([
            ("traceparent", "00-12345678901234567890123456789012-1234567890123456-01"),
            ("TraceParent", "00-12345678901234567890123456789012-1234567890123456-01")
        ], "traceparent-duplicate");
    }
    test_traceparent_header_name {
        nothing([("trace-parent", "00-12345678901234567890123456789012-1234567890123456-01")], ());
        nothing([("trace.parent", "00-12345678901234567890123456789012-1234567890123456-01")], ());
    }
    test_traceparent_header_name_valid_casing {
        sampled([("TraceParent", "00-12345678901234567890123456789012-1234567890123456-01")], true);
        sampled([("TrAcEpArEnT", "00-12345678901234567890123456789012-1234567890123456-01")], true);
        sampled([("TRACEPARENT", "00-12345678901234567890123456789012-1234567890123456-01")], true);
    }
    test_traceparent_version_0x00 {
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01.")], "trace-flags-length");
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like")], "traceparent-trailing-data");
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01-")], "traceparent-trailing-data");
    }
    test_traceparent_version_0xcc {
        sampled([("traceparent", "cc-12345678901234567890123456789012-1234567890123456-01")], true);
        sampled([("traceparent", "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like")], true);
        sampled([("traceparent", "cc-12345678901234567890123456789012-1234567890123456-01-")], true);
        refused([("traceparent", "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like")], "trace-flags-length");
    }
    test_traceparent_version_0xff {
        refused([("traceparent", "ff-12345678901234567890123456789012-1234567890123456-01")], "version-ff");
    }
    test_traceparent_version_illegal_characters {
        refused([("traceparent", ".0-12345678901234567890123456789012-1234567890123456-01")], "version-illegal-character");
        refused([("traceparent", "0.-12345678901234567890123456789012-1234567890123456-01")], "version-illegal-character");
        refused([("traceparent", "CC-12345678901234567890123456789012-1234567890123456-01")], "version-uppercase");
    }
    test_traceparent_version_too_long {
        refused([("traceparent", "000-12345678901234567890123456789012-1234567890123456-01")], "version-length");
        refused([("traceparent", "0000-12345678901234567890123456789012-1234567890123456-01")], "version-length");
    }
    test_traceparent_version_too_short {
        refused([("traceparent", "0-12345678901234567890123456789012-1234567890123456-01")], "version-length");
        refused([("traceparent", "")], "version-length");
    }
    test_traceparent_trace_id_all_zero {
        refused([("traceparent", "00-00000000000000000000000000000000-1234567890123456-01")], "trace-id-all-zero");
    }
    test_traceparent_trace_id_illegal_characters {
        refused([("traceparent", "00-.2345678901234567890123456789012-1234567890123456-01")], "trace-id-illegal-character");
        refused([("traceparent", "00-1234567890123456789012345678901.-1234567890123456-01")], "trace-id-illegal-character");
        refused([("traceparent", "00-1234567890ABCDEF7890123456789012-1234567890123456-01")], "trace-id-uppercase");
    }
    test_traceparent_trace_id_too_long {
        refused([("traceparent", "00-123456789012345678901234567890123-1234567890123456-01")], "trace-id-length");
    }
    test_traceparent_trace_id_too_short {
        refused([("traceparent", "00-1234567890123456789012345678901-1234567890123456-01")], "trace-id-length");
    }
    test_traceparent_parent_id_all_zero {
        refused([("traceparent", "00-12345678901234567890123456789012-0000000000000000-01")], "parent-id-all-zero");
    }
    test_traceparent_parent_id_illegal_characters {
        refused([("traceparent", "00-12345678901234567890123456789012-.234567890123456-01")], "parent-id-illegal-character");
        refused([("traceparent", "00-12345678901234567890123456789012-123456789012345.-01")], "parent-id-illegal-character");
        refused([("traceparent", "00-12345678901234567890123456789012-ABCDEF1234567890-01")], "parent-id-uppercase");
    }
    test_traceparent_parent_id_too_long {
        refused([("traceparent", "00-12345678901234567890123456789012-12345678901234567-01")], "parent-id-length");
    }
    test_traceparent_parent_id_too_short {
        refused([("traceparent", "00-12345678901234567890123456789012-123456789012345-01")], "parent-id-length");
    }
    test_traceparent_trace_flags_illegal_characters {
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-.0")], "trace-flags-illegal-character");
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-0.")], "trace-flags-illegal-character");
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-0A")], "trace-flags-uppercase");
    }
    test_traceparent_trace_flags_too_long {
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-001")], "trace-flags-length");
    }
    test_traceparent_trace_flags_too_short {
        refused([("traceparent", "00-12345678901234567890123456789012-1234567890123456-1")], "trace-flags-length");
    }
    test_traceparent_ows_handling {
        sampled([("traceparent", " 00-12345678901234567890123456789012-1234567890123456-01")], true);
        sampled([("traceparent", "\t00-12345678901234567890123456789012-1234567890123456-01")], true);
        sampled([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01 ")], true);
        sampled([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01\t")], true);
        sampled([("traceparent", "\t 00-12345678901234567890123456789012-1234567890123456-01 \t")], true);
    }
    test_tracestate_included_traceparent_missing {
        nothing([("tracestate", "foo=1")], ());
        nothing([("tracestate", "foo=1,bar=2")], ());
        nothing([("tracestate", "FOO")], ());
        refused([("traceparent", "00"), ("tracestate", "foo=1")], "trace-id-length");
    }
    test_tracestate_included_traceparent_included {
        inherited([("traceparent", PARENT), ("tracestate", "foo=1,bar=2")], "foo=1 bar=2");
        inherited([("tracestate", "foo=1,bar=2"), ("traceparent", PARENT)], "foo=1 bar=2");
    }
    test_tracestate_header_name {
        inherited([("traceparent", PARENT), ("trace-state", "foo=1")], "");
        inherited([("traceparent", PARENT), ("trace.state", "foo=1")], "");
    }
    test_tracestate_header_name_valid_casing {
        inherited([("traceparent", PARENT), ("TraceState", "foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("TrAcEsTaTe", "foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("TRACESTATE", "foo=1")], "foo=1");
    }
    test_tracestate_empty_header {
        inherited([("traceparent", PARENT), ("tracestate", "")], "");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", "")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", ""), ("tracestate", "foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1, ,,bar=2,")], "foo=1 bar=2");
    }
    test_tracestate_multiple_headers_different_keys {
        inherited([
            ("traceparent", PARENT),
            ("tracestate", "foo=1,bar=2"),
            ("tracestate", "rojo=1,congo=2"),
            ("tracestate", "baz=3")
        ], "foo=1 bar=2 rojo=1 congo=2 baz=3");
    }
    test_tracestate_duplicated_keys {
        inherited([("traceparent", PARENT), ("tracestate", "foo=1,foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1,foo=2")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", "foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", "foo=2")], "foo=1");
    }
    test_tracestate_all_allowed_characters {
        inherited([("traceparent", PARENT), ("tracestate", all_allowed(""))], &all_allowed(""));
        inherited([("traceparent", PARENT), ("tracestate", all_allowed("@a-z0-9_-*/"))], &all_allowed("@a-z0-9_-*/"));
    }
    test_tracestate_ows_handling {
        inherited([("traceparent", PARENT), ("tracestate", "foo=1 \t , \t bar=2, \t baz=3")], "foo=1 bar=2 baz=3");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1\t \t,\t \tbar=2,\t \tbaz=3")], "foo=1 bar=2 baz=3");
        inherited([("traceparent", PARENT), ("tracestate", " foo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "\tfoo=1")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1 ")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1\t")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "\t foo=1 \t")], "foo=1");
        inherited([("traceparent", PARENT), ("tracestate", "foo=  1 ")], "foo=  1");
    }
    test_tracestate_key_illegal_characters {
        discarded([("traceparent", PARENT), ("tracestate", "foo =1")], "tracestate-key-illegal-character");
        discarded([("traceparent", PARENT), ("tracestate", "FOO=1")], "tracestate-key-illegal-character");
        discarded([("traceparent", PARENT), ("tracestate", "foo.bar=1")], "tracestate-key-illegal-character");
        discarded([("traceparent", PARENT), ("tracestate", "_foo=1")], "tracestate-key-start");
        discarded([("traceparent", PARENT), ("tracestate", "=1")], "tracestate-key-empty");
        discarded([("traceparent", PARENT), ("tracestate", "foo")], "tracestate-member-without-equals");
    }
    test_tracestate_key_illegal_vendor_format {
        inherited([("traceparent", PARENT), ("tracestate", "foo@=1,bar=2")], "foo@=1 bar=2");
        discarded([("traceparent", PARENT), ("tracestate", "@foo=1,bar=2")], "tracestate-key-start");
        inherited([("traceparent", PARENT), ("tracestate", "foo@@bar=1,bar=2")], "foo@@bar=1 bar=2");
        inherited([("traceparent", PARENT), ("tracestate", "foo@bar@baz=1,bar=2")], "foo@bar@baz=1 bar=2");
    }
    test_tracestate_member_count_limit {
        inherited([
            ("traceparent", PARENT),
            ("tracestate", bars(1..11, ",")),
            ("tracestate", bars(11..21, ",")),
            ("tracestate", bars(21..31, ",")),
            ("tracestate", bars(31..33, ","))
        ], &bars(1..33, " "));
        discarded([
            ("traceparent", PARENT),
            ("tracestate", bars(1..11, ",")),
            ("tracestate", bars(11..21, ",")),
            ("tracestate", bars(21..31, ",")),
            ("tracestate", bars(31..34, ","))
        ], "tracestate-too-many-members");
    }
    test_tracestate_key_length_limit {
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", long("z", 256, ""))], &format!("foo=1 {}", long("z", 256, "")));
        discarded([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", long("z", 257, ""))], "tracestate-key-length");
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", long("t", 241, "@vvvvvvvvvvvvvv"))], &format!("foo=1 {}", long("t", 241, "@vvvvvvvvvvvvvv")));
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", long("t", 242, "@v"))], &format!("foo=1 {}", long("t", 242, "@v")));
        inherited([("traceparent", PARENT), ("tracestate", "foo=1"), ("tracestate", "t@vvvvvvvvvvvvvvv=1")], "foo=1 t@vvvvvvvvvvvvvvv=1");
    }
    test_tracestate_value_illegal_characters {
        discarded([("traceparent", PARENT), ("tracestate", "foo=bar=baz")], "tracestate-value-illegal-character");
        discarded([("traceparent", PARENT), ("tracestate", "foo=,bar=3")], "tracestate-value-empty");
        discarded([("traceparent", PARENT), ("tracestate", "foo=b\u{e4}r")], "tracestate-value-illegal-character");
        discarded([("traceparent", PARENT), ("tracestate", format!("foo={}", "v".repeat(257)))], "tracestate-value-length");
    }
    test_multiple_requests_with_valid_traceparent {
        agree([("traceparent", "00-12345678901234567890123456789012-1234567890123456-01")], 1);
    }
    test_multiple_requests_without_traceparent {
        agree([], 0);
    }
    test_multiple_requests_with_illegal_traceparent {
        refused([("traceparent", "00-00000000000000000000000000000000-1234567890123456-01")], "trace-id-all-zero");
    }
    test_propagates_random_flag {
        flags([("traceparent", "00-12345678901234567890123456789012-1234567890123456-02")], 2);
        flags([("traceparent", "00-12345678901234567890123456789012-1234567890123456-ff")], 0xff);
    }
}

/// The trace-flags are read as carried.
fn flags(carrier: &Carrier, flags: u8) {
    sampled(carrier, flags & 1 != 0);
    assert_eq!(carrier.contexts[0].flags(), Some(flags));
}

/// A member whose key and value have every character that is allowed there.
fn all_allowed(tenant: &str) -> String {
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    format!("abcdefghijklmnopqrstuvwxyz0123456789_-*/{tenant}={value}")
}

/// Members `bar01=01` and so on.
fn bars(numbers: std::ops::Range<u8>, separator: &str) -> String {
    let members: Vec<String> = numbers.map(|n| format!("bar{n:02}={n:02}")).collect();
    members.join(separator)
}

/// A member with a long key.
fn long(letter: &str, count: usize, rest: &str) -> String {
    format!("{}{rest}=1", letter.repeat(count))
}

#[test]
fn the_suite_has_41_cases() {
    assert_eq!(CASES.len(), 41);
}
