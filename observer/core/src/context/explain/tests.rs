//! Tests of headers explained to people.

use proptest::prelude::*;

use super::{Explanation, Part, explain, render_text};
use crate::context::Format;

const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The only part of an explanation.
fn only(explanation: &Explanation) -> &Part {
    let [part] = &explanation.parts[..] else {
        panic!("one part, not {:?}", explanation.parts);
    };
    part
}

#[test]
fn a_valid_header() {
    let explanation = explain(&format!("Traceparent: {VALUE}\r\n"));
    assert!(explanation.valid);
    let part = only(&explanation);
    assert_eq!(part.format, Some(Format::W3c));
    assert_eq!(
        part.trace_id.as_deref(),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert_eq!((part.sampled, part.guessed), (Some(true), false));
    assert_eq!(
        render_text(&explanation),
        "W3C traceparent (traceparent): valid\n  \
           trace id           4bf92f3577b34da6a3ce929d0e0e4736\n  \
           parent id          00f067aa0ba902b7\n  \
           sampled            yes\n  \
           version            00  (the current version)\n  \
           trace-flags        01  (random-trace-id flag not set)\n"
    );
}

#[test]
fn a_broken_header_is_pointed_at() {
    let explanation =
        explain("traceparent: 00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert!(!explanation.valid);
    assert_eq!(
        render_text(&explanation),
        "W3C traceparent (traceparent): invalid, trace-id-uppercase\n  \
           00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n      \
               ^\n  \
           The trace-id has upper-case hex digits; only lower-case ones are allowed.\n  \
           see W3C Trace Context §3.2.2.3\n"
    );
}

#[test]
fn several_headers_together() {
    let text = format!(
        "traceparent: {VALUE}\ntracestate: a=1, b=2\nbaggage: user=1\nX-Request-Id: r1\nb3: 1\nHost: x\n"
    );
    let explanation = explain(&text);
    assert!(explanation.valid, "{explanation:?}");
    let titles: Vec<_> = explanation
        .parts
        .iter()
        .map(|part| part.headers[0])
        .collect();
    assert_eq!(
        titles,
        ["traceparent", "tracestate", "baggage", "b3", "x-request-id"]
    );
    assert_eq!(explanation.parts[1].members.len(), 2);
    assert_eq!(
        explanation.notes,
        ["Host is no propagation header and was left out."]
    );
}

#[test]
fn remarks_on_headers_together() {
    let notes = |text: &str| explain(text).notes.join(" ");
    assert!(notes("tracestate: a=1").contains("Without a valid traceparent"));
    assert!(notes("b3: 0").contains("only a sampling decision"));
    assert!(
        notes(&format!("traceparent: {VALUE}\nuber-trace-id: abc:1:0:1"))
            .contains("different traces")
    );
    assert!(notes("b3: 0\nb3: 0").contains("b3 may come once"));
    assert!(notes("").contains("no propagation header"));
    assert!(notes("Host: \u{1b}[31m\nHo\u{1b}st: x").contains("Ho\\x1bst"));
}

#[test]
fn a_forced_decision_alone_names_no_span() {
    let said = |value: &str| -> Vec<&str> {
        let parts = explain(value).parts;
        parts[0].details.iter().map(|detail| detail.name).collect()
    };
    assert_eq!(said("b3: d"), ["sampling state"]);
    let ids = "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
    assert_eq!(said(ids), [""; 0]);
    assert_eq!(
        said(&format!("{ids}-d-05e3ac9a4f6e3b90")),
        ["sampling state", "parent span id"]
    );
    assert_eq!(
        said(&format!("{ids}-1-05e3ac9a4f6e3b90")),
        ["parent span id"]
    );
}

#[test]
fn formats_of_bare_values_are_guessed() {
    for (value, header) in [
        (VALUE, "traceparent"),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", "b3"),
        (
            "80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1",
            "uber-trace-id",
        ),
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "x-amzn-trace-id",
        ),
        (
            "105445aa7843bc8bf206b12000100000/1;o=1",
            "x-cloud-trace-context",
        ),
        ("12345678901234567890", "x-datadog-trace-id"),
        (
            "1-TVRJek5EVS4xLjE=-NTY3OC4yLjI=-3-c3Zj-aW5zdA==-L2FwaQ==-MTI3LjAuMC4xOjgwODA=",
            "sw8",
        ),
    ] {
        let explanation = explain(value);
        assert!(explanation.valid, "{value}");
        assert!(explanation.parts.iter().all(|part| part.guessed));
        let headers: Vec<_> = explanation
            .parts
            .iter()
            .map(|part| part.headers[0])
            .collect();
        assert!(headers.contains(&header), "{value}: {headers:?}");
    }
    let lists: Vec<_> = explain("a=1,b=2")
        .parts
        .iter()
        .map(|part| part.headers[0])
        .collect();
    assert_eq!(lists, ["tracestate", "baggage"]);
}

#[test]
fn broken_bare_values_are_blamed_in_the_format_they_resemble() {
    for (value, rule) in [
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "trace-flags-length",
        ),
        (
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "version-ff",
        ),
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-7",
            "b3-sampling-state",
        ),
        ("80f198ee56343ba8:e457:1", "jaeger-fields"),
        ("Root=1-5759e988", "xray-root"),
        ("105445aa/1;o=1", "gcp-trace-id"),
        ("123456789012345678901", "datadog-trace-id"),
        ("00-4bf92f3577b34da6", "trace-id-length"),
        (
            "000-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "version-length",
        ),
        (
            "00-4bx92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "trace-id-illegal-character",
        ),
    ] {
        let explanation = explain(value);
        assert!(!explanation.valid);
        let broken = only(&explanation).broken.as_ref().expect("a broken rule");
        assert_eq!(broken.rule, rule, "{value}");
    }
}

#[test]
fn what_looks_like_no_format_is_not_blamed_in_one() {
    for value in [
        "foo",
        "garbage",
        "cart-service",
        "fed-ex",
        "a-b-c-d-e-f-g-h",
        "ab-testing",
        "foo/bar",
        "/index.html",
        "550e8400-e29b-41d4-a716-446655440000",
        "\u{1b}[31m",
    ] {
        let explanation = explain(value);
        assert!(!explanation.valid, "{value}");
        assert_eq!(explanation.parts, [], "{value}");
        assert_eq!(explanation.unrecognised.len(), 1, "{value}");
    }
    assert_eq!(
        render_text(&explain("foo")),
        "note: foo is not recognised: it has the shape of no propagation header's value.\n\
         note: What can be read: traceparent, tracestate, baggage, b3, x-b3-traceid, uber-trace-id, \
         x-datadog-trace-id, x-amzn-trace-id, x-cloud-trace-context, sw8, elastic-apm-traceparent, x-request-id. \
         With its name, as in `baggage: …`, a value is taken for what it is meant to be.\n"
    );
    // Beside a valid value it still counts.
    let both = explain(&format!("{VALUE}\nfoo"));
    assert_eq!((both.valid, both.parts.len()), (false, 1));
}

#[test]
fn a_whole_head_may_be_given() {
    for first in ["GET /cart?a=1 HTTP/1.1", "HTTP/1.1 200 OK"] {
        let explanation = explain(&format!("{first}\r\nHost: x\r\ntraceparent: {VALUE}\r\n"));
        assert!(explanation.valid, "{explanation:?}");
        only(&explanation);
    }
}

#[test]
fn json_has_what_the_text_has() {
    let json =
        serde_json::to_value(explain("b3: 80f198ee56343ba864fe8b2a57d3eff7")).expect("serialises");
    assert_eq!(json["valid"], false);
    assert_eq!(json["parts"][0]["format"], "b3-single");
    assert_eq!(json["parts"][0]["broken"]["rule"], "b3-span-id-missing");
    assert_eq!(json["parts"][0]["broken"]["at"], 32);
}

proptest! {
    #[test]
    fn any_text_gives_printable_output(text in "(traceparent|b3|sw8|x-datadog-tags|baggage)?:? ?\\PC{0,80}(\n.{0,40})?") {
        let printed = render_text(&explain(&text));
        prop_assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", printed);
    }

    #[test]
    fn any_bytes_give_printable_output(text: String) {
        let printed = render_text(&explain(&text));
        prop_assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", printed);
    }
}
