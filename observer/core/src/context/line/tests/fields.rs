//! Where in a line its id lies, and what is none.

use proptest::prelude::*;

use super::super::{LineId, scan};
use super::ID;

/// The id of a line as `field=value`, or a word for there being none.
fn id(line: &str) -> String {
    match scan(line).id {
        LineId::None => "none".to_owned(),
        LineId::Zero { field } => format!("{field} zero"),
        LineId::Id { trace, field } => format!("{field}={}", trace.raw()),
        LineId::Malformed { raw, field } => format!("{field}!{raw}"),
    }
}

/// Checks lines, in which `ID` stands for a trace id.
#[track_caller]
fn check(lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let (line, expected) = (line.replace("ID!", ID), expected.replace("ID!", ID));
        assert_eq!(id(&line), expected, "{line}");
    }
}

#[test]
fn fields_of_json() {
    check(&[
        (
            r#"{"level":"info","msg":"hi","trace_id":"ID!","span_id":"00f067aa0ba902b7"}"#,
            "trace_id=ID!",
        ),
        (r#"{"traceId":"ID!"}"#, "traceId=ID!"),
        (r#"{"TraceID" : "ID!"}"#, "TraceID=ID!"),
        (r#"{"trace.id":"ID!"}"#, "trace.id=ID!"),
        (r#"{"trace":{"id":"ID!"},"id":"7"}"#, "trace.id=ID!"),
        (
            r#"{"otelTraceID":"ID!","otelSpanID":"0"}"#,
            "otelTraceID=ID!",
        ),
        (
            r#"{"dd":{"trace_id":"1234567890123456789","span_id":"1"}}"#,
            "trace_id=1234567890123456789",
        ),
        (
            r#"{"dd.trace_id":1234567890123456789}"#,
            "dd.trace_id=1234567890123456789",
        ),
        (r#"{"dd.trace_id":-1}"#, "dd.trace_id=18446744073709551615"),
        (
            r#"{"logging.googleapis.com/trace":"projects/p/traces/ID!"}"#,
            "logging.googleapis.com/trace=ID!",
        ),
        (r#"{"trace":"projects/p/traces/ID!"}"#, "trace=ID!"),
        (
            r#"{"X-B3-TraceId":"463ac35c9f6413ad"}"#,
            "X-B3-TraceId=463ac35c9f6413ad",
        ),
        (
            r#"{"mdc":{"x":[{"y":{"trace_id":"ID!"}}]}}"#,
            "trace_id=ID!",
        ),
        (
            r#"{"text":"2026 | done\n","record":{"elapsed":{"seconds":1.5},"extra":{"trace_id":"ID!"},"message":"done"}}"#,
            "trace_id=ID!",
        ),
        (
            r#"{"@tr":"x","traceparent":"00-ID!-00f067aa0ba902b7-01"}"#,
            "traceparent=ID!",
        ),
        (
            r#"{"traceId":"00-ID!-00f067aa0ba902b7-01"}"#,
            "traceId=00-ID!-00f067aa0ba902b7-01",
        ),
        (
            r#"{"AWS-XRAY-TRACE-ID":"1-5759e988-bd862e3fe1be46a994272793@53995c3f42cd8ad8"}"#,
            "AWS-XRAY-TRACE-ID=1-5759e988-bd862e3fe1be46a994272793",
        ),
        (
            r#"{"xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793"}"#,
            "xray_trace_id=1-5759e988-bd862e3fe1be46a994272793",
        ),
        (
            r#"{"uber-trace-id":"4bf92f3577b34da6:00f067aa0ba902b7:0:1"}"#,
            "uber-trace-id=4bf92f3577b34da6",
        ),
        (
            r#"{"traceId":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736"}"#,
            "traceId=4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        ),
    ]);
}

#[test]
fn zero_empty_and_malformed_fields() {
    check(&[
        (
            r#"{"trace_id":"00000000000000000000000000000000"}"#,
            "trace_id zero",
        ),
        (r#"{"otelTraceID":"0"}"#, "otelTraceID zero"),
        (r#"{"trace_id":0}"#, "trace_id zero"),
        (
            r#"{"trace_id":"00000000-0000-0000-0000-000000000000"}"#,
            "trace_id zero",
        ),
        (
            r#"{"traceparent":"00-00000000000000000000000000000000-0000000000000000-00"}"#,
            "traceparent zero",
        ),
        (r#"{"trace_id":""}"#, "none"),
        (r#"{"trace_id":null}"#, "none"),
        (r#"{"trace_id":"N/A"}"#, "none"),
        (r#"{"trace_id":{}}"#, "none"),
        (r#"{"trace":"at main.rs:12"}"#, "none"),
        (r#"{"trace_id":"<no\u001bid>"}"#, r"trace_id!<no\x1bid>"),
        (
            r#"{"trace_id":1e30}"#,
            "trace_id!1000000000000000000000000000000",
        ),
        ("trace_id=0 done", "trace_id zero"),
        ("trace_id= done", "none"),
        ("trace_id: required field missing", "none"),
        ("trace_id=- done", "none"),
        (
            "trace_id=01ARZ3NDEKTSV4RRFFQ69G5FAV done",
            "trace_id!01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ),
        ("[shop,,] started", "none"),
    ]);
}

#[test]
fn fields_of_text() {
    check(&[
        (
            "level=info msg=\"hi\" trace_id=ID! span_id=1",
            "trace_id=ID!",
        ),
        ("level=info traceID=\"ID!\" msg=x", "traceID=ID!"),
        ("12:00 INFO [traceId=ID!] hi", "traceId=ID!"),
        ("12:00 INFO [trace_id: 'ID!'] hi", "trace_id=ID!"),
        ("hi (Trace ID: ID!).", "Trace ID=ID!"),
        ("handled {trace_id=ID!, span_id=1}", "trace_id=ID!"),
        ("TRACE_ID=ID!", "TRACE_ID=ID!"),
        (
            "dd.trace_id=1234567890123456789 dd.span_id=0 - hi",
            "dd.trace_id=1234567890123456789",
        ),
        ("mdc.traceId=ID!", "mdc.traceId=ID!"),
        (
            "2026 [shop,ID!,00f067aa0ba902b7] 1 --- hi",
            "[app,trace,span]=ID!",
        ),
        (
            "2026 INFO [shop,463ac35c9f6413ad,463ac35c9f6413ad,true] hi",
            "[app,trace,span]=463ac35c9f6413ad",
        ),
        (
            "[shop] [main] [ID!-00f067aa0ba902b7] hi",
            "[trace-span]=ID!",
        ),
        (
            "[shop,00000000000000000000000000000000,0000000000000000]",
            "[app,trace,span] zero",
        ),
        (
            "got 00-ID!-00f067aa0ba902b7-01 from peer",
            "traceparent=ID!",
        ),
        ("traceparent: 00-ID!-00f067aa0ba902b7-01", "traceparent=ID!"),
        (
            "[TID: 8a5f9e7c1b3d4f60a1b2c3d4e5f60718.45.17001234567890001] hi",
            "TID=8a5f9e7c1b3d4f60a1b2c3d4e5f60718.45.17001234567890001",
        ),
        ("TID: N/A tid=12", "none"),
        ("TID=4711 hi", "none"),
        (
            "AWS-XRAY-TRACE-ID: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "AWS-XRAY-TRACE-ID=1-5759e988-bd862e3fe1be46a994272793",
        ),
        ("stack trace: at main.rs:12", "none"),
        ("trace: ID!", "trace=ID!"),
        (
            "\x1b[2m12:00\x1b[0m \x1b[36mtrace_id\x1b[0m=\x1b[35mID!\x1b[0m",
            "trace_id=ID!",
        ),
        ("\x1b[0;36mtrace_id=\x1b[0m\"ID!\"", "trace_id=ID!"),
        ("request{trace_id=Some(\"ID!\")}: hi", "trace_id=ID!"),
        ("trace_id: TraceId(ID!)", "trace_id=ID!"),
        ("{'x-trace-id': 'ID!'}", "x-trace-id=ID!"),
        (
            "=> SpanId:00f067aa0ba902b7, TraceId:ID!, ParentId:0",
            "TraceId=ID!",
        ),
        ("braced ID! backtrace at main.rs", "none"),
        ("tracé trace_id=ID!é", "trace_id=ID!"),
    ]);
}

#[test]
fn json_within_text_and_text_within_json() {
    check(&[
        (
            r#"2026-01-01 INFO caller {"trace_id": "ID!"}"#,
            "trace_id=ID!",
        ),
        (r#"INFO {"a":1} trace_id=ID!"#, "trace_id=ID!"),
        (
            r#"{"log":"level=info trace_id=ID!\n","stream":"stdout"}"#,
            "trace_id=ID!",
        ),
        (r#"{"log":"{\"traceId\":\"ID!\"}\n"}"#, "traceId=ID!"),
        (
            r#"{"message":"[shop,ID!,00f067aa0ba902b7] hi"}"#,
            "[app,trace,span]=ID!",
        ),
        (r#"{"trace_id":"ID!","msg":"cut in the mid"#, "trace_id=ID!"),
        (r#"{"msg":"cut","trace_id":"ID!"#, "trace_id=ID!"),
        ("{not json} trace_id=ID!", "trace_id=ID!"),
    ]);
}

#[test]
fn the_lines_own_id_comes_before_those_it_mentions() {
    let other = "0af7651916cd43dd8448eb211c80319c";
    for line in [
        format!(r#"{{"msg":"after trace_id={other}","trace_id":"{ID}"}}"#),
        format!(
            r#"{{"request":{{"traceparent":"00-{other}-00f067aa0ba902b7-01"}},"trace_id":"{ID}"}}"#
        ),
        format!(r#"msg="after trace_id={other}" trace_id={ID}"#),
        format!(r#"trace_id={ID} sends {{"trace_id":"{other}"}}"#),
        format!(r#"trace_id={ID} after 00-{other}-00f067aa0ba902b7-01"#),
    ] {
        assert_eq!(id(&line).rsplit('=').next(), Some(ID), "{line}");
        let others: Vec<_> = scan(&line)
            .others
            .iter()
            .map(|id| id.raw().to_owned())
            .collect();
        assert_eq!(others, [other], "{line}");
    }
    let linked = format!(r#"{{"links":[{{"trace_id":"{other}"}}],"trace_id":"{ID}"}}"#);
    assert_eq!(scan(&linked).others, []);
}

#[test]
fn deep_nesting_is_refused_without_harm() {
    let line = format!(
        r#"{{"trace_id":"{ID}","a":{}{}}}"#,
        "[".repeat(8_000),
        "]".repeat(8_000)
    );
    assert_eq!(id(&line), format!("trace_id={ID}"));
    let deep = format!("{}{}", r#"{"trace":"#.repeat(1_500), "1");
    assert_eq!(id(&deep), "none");
}

/// Text with the pieces of which ids, names and objects are made.
fn lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,6}",
        Just("trace_id".to_owned()),
        Just("traceparent=".to_owned()),
        Just("\"trace\":".to_owned()),
        Just("TID:".to_owned()),
        Just("{\"".to_owned()),
        Just("\":{".to_owned()),
        Just("\":\"".to_owned()),
        Just("[a,".to_owned()),
        Just(ID.to_owned()),
        Just("00-".to_owned()),
        Just("-00f067aa0ba902b7-01".to_owned()),
        Just("projects/p/traces/".to_owned()),
        Just("é".to_owned()),
        Just("\"}".to_owned()),
        Just("=\"".to_owned()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_line_gives_a_bounded_result(line in lines()) {
        let found = scan(&line);
        prop_assert!(found.others.len() <= 7);
        match found.id {
            LineId::None => {}
            LineId::Zero { field } => prop_assert!(field.len() <= 64),
            LineId::Id { trace, field } => prop_assert!(field.len() <= 64 && trace.raw().len() <= 128),
            LineId::Malformed { raw, field } => {
                prop_assert!(field.len() <= 64 && raw.len() <= 128);
                prop_assert!(raw.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        }
    }

    #[test]
    fn text_around_a_field_does_not_matter(before in "[ -Z^-q]{0,40}", after in "[ -Z^-q]{0,40}") {
        prop_assume!(!before.contains('"'));
        let line = format!("{before} trace_id={ID} {after}");
        prop_assert_eq!(id(&line), format!("trace_id={ID}"));
    }
}
