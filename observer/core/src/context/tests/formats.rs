//! Tests of the formats other than W3C Trace Context, and of what several say together.

use super::{broken, carrier};
use crate::context::{Carrier, Context, Format, SpanId, TraceId, is_carrier};

const WIDE: TraceId = TraceId::Wide(0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7);
const NARROW: TraceId = TraceId::Narrow(0x64fe_8b2a_57d3_eff7);
const SPAN: Option<SpanId> = Some(SpanId::Bits(0xe457_b5a2_e4d8_6bd1));

/// The only context that the fields carry, breaking no rule.
#[track_caller]
fn only(fields: &[(&str, &str)]) -> (Format, TraceId, Option<SpanId>, Option<bool>) {
    let carrier = carrier(fields);
    assert_eq!(broken(&carrier), [""; 0]);
    let [
        Context {
            format,
            trace_id,
            parent_id,
            sampled,
            ..
        },
    ] = &carrier.contexts[..]
    else {
        panic!("one context, not {:?}", carrier.contexts);
    };
    (*format, trace_id.clone(), parent_id.clone(), *sampled)
}

/// The fields carry no context and break this rule of this format.
#[track_caller]
fn refused(fields: &[(&str, &str)], format: Format, rule: &str) {
    let carrier = carrier(fields);
    assert_eq!(carrier.contexts, []);
    assert_eq!(broken(&carrier), [rule], "{fields:?}");
    assert_eq!(carrier.invalid[0].format, format);
    assert!(carrier.invalid[0].breaks_context());
}

#[test]
fn b3_single() {
    let read = |value: &str| only(&[("b3", value)]);
    let of = |trace, sampled| (Format::B3Single, trace, SPAN, sampled);
    let wide = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
    assert_eq!(read(wide), of(WIDE, None));
    assert_eq!(
        read("64fe8b2a57d3eff7-e457b5a2e4d86bd1-0"),
        of(NARROW, Some(false))
    );
    assert_eq!(read(&format!("{wide}-1")), of(WIDE, Some(true)));
    assert_eq!(
        read(&format!("{wide}-d-05e3ac9a4f6e3b90")),
        of(WIDE, Some(true))
    );
}

#[test]
fn b3_decisions_carry_no_context() {
    for (name, value, decision) in [
        ("b3", "0", false),
        ("b3", "1", true),
        ("b3", "d", true),
        ("X-B3-Sampled", "0", false),
        ("X-B3-Flags", "1", true),
    ] {
        let carrier = carrier(&[(name, value)]);
        assert_eq!(carrier.decision, Some(decision), "{name}: {value}");
        assert_eq!((carrier.contexts, carrier.invalid), (vec![], vec![]));
    }
}

#[test]
fn b3_single_rules() {
    let wide = "80f198ee56343ba864fe8b2a57d3eff7";
    for (value, rule) in [
        (String::new(), "b3-trace-id-length"),
        ("x".to_owned(), "b3-sampling-state"),
        (wide.to_owned(), "b3-span-id-missing"),
        (
            format!("{}-e457b5a2e4d86bd1", &wide[1..]),
            "b3-trace-id-length",
        ),
        (
            format!("{}-e457b5a2e4d86bd1", wide.to_uppercase()),
            "b3-trace-id-uppercase",
        ),
        (
            format!("{}g-e457b5a2e4d86bd1", &wide[1..]),
            "b3-trace-id-illegal-character",
        ),
        (
            format!("{}-e457b5a2e4d86bd1", "0".repeat(16)),
            "b3-trace-id-all-zero",
        ),
        (format!("{wide}-e457b5a2e4d86bd"), "b3-span-id-length"),
        (format!("{wide}-0000000000000000"), "b3-span-id-all-zero"),
        (format!("{wide}-e457b5a2e4d86bd1-2"), "b3-sampling-state"),
        (
            format!("{wide}-e457b5a2e4d86bd1-1-05"),
            "b3-parent-span-id-length",
        ),
        (
            format!("{wide}-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-"),
            "b3-trailing-data",
        ),
    ] {
        refused(&[("b3", &value)], Format::B3Single, rule);
    }
}

#[test]
fn b3_multi() {
    let read = |fields: &[(&'static str, &'static str)]| {
        let ids = [
            ("X-B3-TraceId", "80f198ee56343ba864fe8b2a57d3eff7"),
            ("X-B3-SpanId", "e457b5a2e4d86bd1"),
        ];
        only(&[&ids, fields].concat())
    };
    let of = |sampled| (Format::B3Multi, WIDE, SPAN, sampled);
    assert_eq!(read(&[]), of(None));
    assert_eq!(
        read(&[
            ("X-B3-Sampled", "1"),
            ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90")
        ]),
        of(Some(true))
    );
    assert_eq!(read(&[("X-B3-Sampled", "0")]), of(Some(false)));
    assert_eq!(read(&[("x-b3-sampled", "True")]), of(Some(true)));
    assert_eq!(
        read(&[("X-B3-Flags", "1"), ("X-B3-Sampled", "0")]),
        of(Some(true))
    );
    assert_eq!(read(&[("X-B3-Flags", "0")]), of(None));
}

#[test]
fn b3_multi_rules() {
    let trace = ("X-B3-TraceId", "64fe8b2a57d3eff7");
    let span = ("X-B3-SpanId", "e457b5a2e4d86bd1");
    let check = |fields: &[(&str, &str)], rule| refused(fields, Format::B3Multi, rule);
    check(&[trace], "b3-span-id-missing");
    check(&[span], "b3-trace-id-missing");
    check(&[trace, span, ("X-B3-Sampled", "yes")], "b3-sampling-state");
    check(&[trace, span, ("X-B3-Flags", "2")], "b3-flags");
    check(
        &[trace, span, ("X-B3-ParentSpanId", "xyz")],
        "b3-parent-span-id-length",
    );
    check(
        &[trace, ("x-b3-spanid", "E457B5A2E4D86BD1")],
        "b3-span-id-uppercase",
    );
}

#[test]
fn jaeger() {
    let read = |value: &str| only(&[("Uber-Trace-Id", value)]);
    let of = |trace, sampled| (Format::Jaeger, trace, SPAN, Some(sampled));
    assert_eq!(
        read("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1"),
        of(WIDE, true)
    );
    assert_eq!(
        read("64fe8b2a57d3eff7:e457b5a2e4d86bd1:05e3ac9a4f6e3b90:0"),
        of(NARROW, false)
    );
    assert_eq!(
        read("64FE8B2A57D3EFF7%3Ae457b5a2e4d86bd1%3a0%3A03"),
        of(NARROW, true)
    );
    assert_eq!(
        read("64fe8b2a57d3eff7:e457b5a2e4d86bd1::8"),
        of(NARROW, false)
    );
    let short = (
        Format::Jaeger,
        TraceId::Narrow(0xabc),
        Some(SpanId::Bits(1)),
        Some(true),
    );
    assert_eq!(read("abc:1:0:1"), short);
    for (value, rule) in [
        ("", "jaeger-fields"),
        ("abc:1:0", "jaeger-fields"),
        ("abc:1:0:1:2", "jaeger-fields"),
        ("0:1:0:1", "jaeger-trace-id-zero"),
        ("xyz:1:0:1", "jaeger-trace-id"),
        (":1:0:1", "jaeger-trace-id"),
        ("180f198ee56343ba864fe8b2a57d3eff7:1:0:1", "jaeger-trace-id"),
        ("abc:0:0:1", "jaeger-span-id-zero"),
        ("abc:-1:0:1", "jaeger-span-id"),
        ("abc:1:z:1", "jaeger-parent-span-id"),
        ("abc:1:0:", "jaeger-flags"),
        ("abc:1:0:123", "jaeger-flags"),
        ("abc:1:0%3", "jaeger-fields"),
    ] {
        refused(&[("uber-trace-id", value)], Format::Jaeger, rule);
    }
}

#[test]
fn datadog() {
    let trace = ("x-datadog-trace-id", "7277407061855694839");
    let span = ("x-datadog-parent-id", "16453819474850114513");
    let of = |trace, sampled| (Format::Datadog, trace, SPAN, sampled);
    assert_eq!(only(&[trace, span]), of(NARROW, None));
    assert_eq!(
        only(&[trace, span, ("x-datadog-sampling-priority", "-1")]),
        of(NARROW, Some(false))
    );
    assert_eq!(
        only(&[trace, span, ("X-Datadog-Sampling-Priority", "2")]),
        of(NARROW, Some(true))
    );
    let tags = ("x-datadog-tags", "_dd.p.dm=-0, _dd.p.tid=80f198ee56343ba8");
    assert_eq!(only(&[trace, span, tags]), of(WIDE, None));
    let malformed = ("x-datadog-tags", "_dd.p.tid=+0f198ee56343ba8");
    assert_eq!(only(&[trace, span, malformed]), of(NARROW, None));
    let root = (Format::Datadog, NARROW, None, None);
    assert_eq!(only(&[trace, ("x-datadog-parent-id", "0")]), root);
    assert_eq!(
        carrier(&[("x-datadog-sampling-priority", "1")]),
        Carrier::default()
    );

    let check = |fields: &[(&str, &str)], rule| refused(fields, Format::Datadog, rule);
    check(&[span], "datadog-trace-id-missing");
    check(
        &[("x-datadog-trace-id", "0"), span],
        "datadog-trace-id-zero",
    );
    check(
        &[("x-datadog-trace-id", "64fe8b2a57d3eff7"), span],
        "datadog-trace-id",
    );
    check(
        &[("x-datadog-trace-id", "18446744073709551616"), span],
        "datadog-trace-id",
    );
    check(&[trace, ("x-datadog-parent-id", "-1")], "datadog-parent-id");
    check(
        &[trace, ("x-datadog-sampling-priority", "high")],
        "datadog-sampling-priority",
    );
}

#[test]
fn xray() {
    let read = |value: &str| only(&[("X-Amzn-Trace-Id", value)]);
    let of = |span, sampled| (Format::Xray, WIDE, span, sampled);
    let root = "Root=1-80f198ee-56343ba864fe8b2a57d3eff7";
    assert_eq!(read(root), of(None, None));
    assert_eq!(
        read(&format!("{root};Parent=e457b5a2e4d86bd1;Sampled=1")),
        of(SPAN, Some(true))
    );
    assert_eq!(
        read(&format!("Sampled=0; Parent=e457b5a2e4d86bd1;\t{root};")),
        of(SPAN, Some(false))
    );
    assert_eq!(
        read(&format!(
            "Self=1-67891234-12456789abcdef012345678;{root};Sampled=?;CalledFrom=app"
        )),
        of(None, None)
    );
    for (value, rule) in [
        ("", "xray-root-missing"),
        ("Parent=e457b5a2e4d86bd1", "xray-root-missing"),
        ("Root", "xray-field"),
        ("Root=80f198ee56343ba864fe8b2a57d3eff7", "xray-root"),
        ("Root=1-80f198ee-56343ba864fe8b2a57d3eff", "xray-root"),
        (
            "Root=1-00000000-000000000000000000000000",
            "xray-root-all-zero",
        ),
        (
            "Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=1",
            "xray-parent",
        ),
        (
            "Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Sampled=yes",
            "xray-sampled",
        ),
    ] {
        refused(&[("X-Amzn-Trace-Id", value)], Format::Xray, rule);
    }
}

#[test]
fn gcp() {
    let read = |value: &str| only(&[("X-Cloud-Trace-Context", value)]);
    let of = |span, sampled| (Format::Gcp, WIDE, span, sampled);
    let trace = "80f198ee56343ba864fe8b2a57d3eff7";
    assert_eq!(read(trace), of(None, None));
    assert_eq!(
        read(&format!("{trace}/16453819474850114513")),
        of(SPAN, None)
    );
    assert_eq!(
        read(&format!("{trace}/16453819474850114513;o=1")),
        of(SPAN, Some(true))
    );
    assert_eq!(read(&format!("{trace};o=0")), of(None, Some(false)));
    assert_eq!(
        read(&format!("{}/0;o=1", trace.to_uppercase())),
        of(None, Some(true))
    );
    for (value, rule) in [
        (String::new(), "gcp-trace-id"),
        (format!("{}/1", &trace[1..]), "gcp-trace-id"),
        ("0".repeat(32), "gcp-trace-id-all-zero"),
        (format!("{trace}/e457"), "gcp-span-id"),
        (format!("{trace}/"), "gcp-span-id"),
        (format!("{trace}/1;o=x"), "gcp-options"),
        (format!("{trace}/1;1"), "gcp-options"),
    ] {
        refused(&[("x-cloud-trace-context", &value)], Format::Gcp, rule);
    }
}

#[test]
fn sw8() {
    let value = "1-TVRJek5EVS4xLjE=-NTY3OC4yLjI=-3-c3Zj-aW5zdA==-L2FwaQ==-MTI3LjAuMC4xOjgwODA=";
    let ids = (
        Format::Sw8,
        TraceId::Text("MTIzNDU.1.1".into()),
        Some(SpanId::Text("5678.2.2:3".into())),
        Some(true),
    );
    assert_eq!(only(&[("sw8", value)]), ids);
    for (value, rule) in [
        (String::new(), "sw8-fields"),
        (value[..40].to_owned(), "sw8-fields"),
        (format!("{value}-"), "sw8-fields"),
        (value.replacen('1', "2", 1), "sw8-sample"),
        (value.replace("TVRJek5EVS4xLjE=", ""), "sw8-trace-id"),
        (value.replace("TVRJek5EVS4xLjE=", "G1sK"), "sw8-trace-id"),
        (value.replace("NTY3OC4yLjI=", "!"), "sw8-segment-id"),
        (
            value.replace("TVRJek5EVS4xLjE=", &"QUFB".repeat(43)),
            "sw8-id-length",
        ),
        (value.replace("-3-", "-x-"), "sw8-span-id"),
        (value.replace("c3Zj", "c3Z"), "sw8-names"),
    ] {
        refused(&[("SW8", &value)], Format::Sw8, rule);
    }
}

#[test]
fn elastic_apm_is_a_traceparent_under_its_own_name() {
    let value = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";
    let ids = (Format::ElasticApm, WIDE, SPAN, Some(true));
    assert_eq!(only(&[("Elastic-Apm-Traceparent", value)]), ids);
    let upper = value.to_uppercase();
    refused(
        &[("elastic-apm-traceparent", &upper)],
        Format::ElasticApm,
        "trace-id-uppercase",
    );
}

#[test]
fn repeated_headers_are_told_and_refused_when_they_differ() {
    let first = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1");
    let same = carrier(&[first, first, first]);
    assert_eq!((same.contexts.len(), same.excess), (1, 1));
    assert_eq!(same.duplicates, ["b3"]);
    let other = carrier(&[first, ("B3", "0")]);
    assert_eq!(
        (broken(&other), other.duplicates),
        (vec!["duplicate-header"], vec!["b3".into()])
    );
    let states = carrier(&[("baggage", "a=1"), ("baggage", "b=2")]);
    assert_eq!(states.duplicates, [""; 0]);
}

#[test]
fn baggage() {
    let read = |values: &[&str]| {
        let fields: Vec<_> = values.iter().map(|value| ("Baggage", *value)).collect();
        let carrier = carrier(&fields);
        let text = carrier
            .baggage
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        (text.collect::<Vec<_>>().join(" "), broken(&carrier))
    };
    let of = |text: &str| (text.to_owned(), vec![]);
    assert_eq!(
        read(&["userId=alice,serverNode=DF%2028", "isProduction=false"]),
        of("userId=alice serverNode=DF%2028 isProduction=false")
    );
    assert_eq!(
        read(&["key1 = value1;property1;property2, key2 = value2;k=v"]),
        of("key1=value1 key2=value2")
    );
    assert_eq!(read(&["k=a=b,,"]), of("k=a=b"));
    assert_eq!(read(&["k="]), of("k="));
    for (value, rule) in [
        ("k".to_owned(), "baggage-member-without-equals"),
        ("=v".to_owned(), "baggage-key-empty"),
        ("a b=v".to_owned(), "baggage-key-illegal-character"),
        ("k=a b".to_owned(), "baggage-value-illegal-character"),
        ("k=\"v\"".to_owned(), "baggage-value-illegal-character"),
        ("k=v,".repeat(181), "baggage-too-many-members"),
        (format!("k={}", "v".repeat(8191)), "baggage-too-long"),
    ] {
        assert_eq!(read(&[&value]), (String::new(), vec![rule]));
    }
}

#[test]
fn correlation_ids() {
    let carrier = carrier(&[
        ("X-Correlation-ID", "c\x1b1"),
        ("X-Request-ID", " r1 "),
        ("X-Request-ID", "r1"),
        ("x-request-id", ""),
    ]);
    let pairs = [("x-request-id", "r1"), ("x-correlation-id", "c\\x1b1")];
    assert_eq!(
        carrier.correlation,
        pairs.map(|(name, id)| (name.into(), id.into()))
    );
    assert_eq!((carrier.duplicates, carrier.invalid), (vec![], vec![]));
}

#[test]
fn formats_come_in_order_and_disagreement_is_seen() {
    let w3c = (
        "traceparent",
        "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01",
    );
    let b3 = ("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1");
    let other = ("uber-trace-id", "abc:1:0:1");
    let gateway = (
        "x-amzn-trace-id",
        "Root=1-5759e988-bd862e3fe1be46a994272793",
    );
    let both = carrier(&[other, gateway, b3, w3c]);
    let formats: Vec<_> = both.contexts.iter().map(|context| context.format).collect();
    assert_eq!(
        formats,
        [Format::W3c, Format::B3Single, Format::Jaeger, Format::Xray]
    );
    assert!(both.formats_disagree());
    assert!(
        !carrier(&[b3, gateway, w3c]).formats_disagree(),
        "one trace, and one of the gateway's"
    );
    assert!(!Carrier::default().formats_disagree());
}

#[test]
fn raw_values_are_escaped_and_cut() {
    let hostile = format!("00-\x1b]0;{}", "\n".repeat(5_000));
    let carrier = carrier(&[("traceparent", &hostile)]);
    let raw = &carrier.invalid[0].raw;
    assert!(raw.starts_with("00-\\x1b]0;\\x0a"));
    assert!(raw.len() <= 512);
}

#[test]
fn carriers_are_told_from_other_headers() {
    for name in [
        "traceparent",
        "TRACESTATE",
        "b3",
        "sw8",
        "X-Request-ID",
        "x-datadog-sampling-priority",
    ] {
        assert!(is_carrier(name.as_bytes()), "{name}");
    }
    for name in [
        "",
        "host",
        "tracesparent",
        "b4",
        "x-request-ie",
        "Content-Type",
        "\u{2}3",
        "a-header-name-longer-than-any-of-them",
    ] {
        assert!(!is_carrier(name.as_bytes()), "{name}");
    }
}
