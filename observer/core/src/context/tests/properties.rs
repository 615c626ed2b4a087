//! What must not matter, and what must hold for any input.

use proptest::collection::vec;
use proptest::prelude::*;

use super::carrier;
use crate::context::{Carrier, SpanId, TraceId, is_carrier};
use crate::text::Text;

/// Names and values that look like carriers often enough to get past the first checks.
fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("traceparent"),
        Just("tracestate"),
        Just("baggage"),
        Just("b3"),
        Just("x-b3-traceid"),
        Just("x-b3-spanid"),
        Just("x-b3-sampled"),
        Just("x-b3-flags"),
        Just("uber-trace-id"),
        Just("x-datadog-trace-id"),
        Just("x-datadog-parent-id"),
        Just("x-datadog-tags"),
        Just("x-amzn-trace-id"),
        Just("x-cloud-trace-context"),
        Just("sw8"),
        Just("x-request-id"),
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..80),
        "[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-0[0-9](-.*)?".prop_map(String::into_bytes),
        "[0-9a-f]{0,33}[-:/][0-9a-f]{0,17}[-:;](o=)?[0-9a-f]{0,2}".prop_map(String::into_bytes),
        "(Root|Parent|Sampled)=(1-[0-9a-f]{8}-[0-9a-f]{24})?(;.{0,9})*"
            .prop_map(String::into_bytes),
        "([a-z]{0,3}[=,;% \t-]){0,40}".prop_map(String::into_bytes),
        "1-([A-Z]{4}-){2}[0-9](-[A-Z]{4}){4}".prop_map(String::into_bytes),
        "[0-9]{1,21}".prop_map(String::into_bytes),
    ];
    vec((name.prop_map(str::to_owned), value), 0..12)
}

/// `text` with the case of each letter chosen by a bit.
fn mixed_case(text: &str, bits: u32) -> String {
    let cased = text.chars().enumerate().map(|(index, c)| {
        if bits >> (index % 32) & 1 == 1 {
            c.to_ascii_uppercase()
        } else {
            c
        }
    });
    cased.collect()
}

fn assert_bounded(carrier: &Carrier) {
    let raws = carrier.contexts.iter().map(|context| &context.raw);
    for raw in raws.chain(carrier.invalid.iter().map(|invalid| &invalid.raw)) {
        assert!(raw.len() <= 512);
        assert!(raw.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    assert!(carrier.tracestate.len() <= 32);
    assert!(carrier.baggage.len() <= 180);
    assert!(carrier.correlation.len() <= 4);
    assert!(carrier.contexts.is_sorted_by_key(|context| context.format));
    for context in &carrier.contexts {
        assert!(!matches!(
            context.trace_id,
            TraceId::Wide(0) | TraceId::Narrow(0)
        ));
        assert!(!matches!(context.parent_id, Some(SpanId::Bits(0))));
    }
}

proptest! {
    #[test]
    fn any_fields_give_bounded_printable_results(fields in fields()) {
        assert_bounded(&carrier(&fields));
    }

    #[test]
    fn case_of_names_and_space_around_values_do_not_matter(fields in fields(), bits: u32) {
        let changed: Vec<_> = fields
            .iter()
            .map(|(name, value)| (mixed_case(name, bits), [b" \t", &value[..], b"\t "].concat()))
            .collect();
        prop_assert_eq!(carrier(&fields), carrier(&changed));
    }

    #[test]
    fn unrelated_fields_do_not_matter(
        fields in fields(),
        others in vec(("[!-~]{0,30}", vec(any::<u8>(), 0..20), any::<prop::sample::Index>()), 0..20),
    ) {
        let mut mixed = fields.clone();
        for (name, value, place) in others {
            if !is_carrier(name.as_bytes()) {
                mixed.insert(place.index(mixed.len() + 1), (name, value));
            }
        }
        prop_assert_eq!(carrier(&fields), carrier(&mixed));
    }

    #[test]
    fn formats_do_not_disturb_each_other(fields in fields(), order in any::<prop::sample::Index>()) {
        // Moving the fields of one name before all others keeps the order within each name.
        prop_assume!(!fields.is_empty());
        let name = fields[order.index(fields.len())].0.clone();
        let (mut first, rest): (Vec<_>, Vec<_>) = fields.iter().cloned().partition(|field| field.0 == name);
        first.extend(rest);
        prop_assert_eq!(carrier(&fields), carrier(&first));
    }

    #[test]
    fn written_ids_are_read_back(trace in 1_u128.., span in 1_u64.., sampled: bool) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let low = trace as u64;
        prop_assume!(low != 0 && trace >> 64 != 0);
        let bit = u8::from(sampled);
        let written = [
            ("traceparent", format!("00-{trace:032x}-{span:016x}-{bit:02x}")),
            ("b3", format!("{trace:032x}-{span:016x}-{bit}")),
            ("uber-trace-id", format!("{trace:x}:{span:x}:0:{bit}")),
            ("x-amzn-trace-id", format!("Root=1-{:08x}-{:024x};Parent={span:016x};Sampled={bit}", trace >> 96, trace & (!0 >> 32))),
            ("x-cloud-trace-context", format!("{trace:032x}/{span};o={bit}")),
            ("elastic-apm-traceparent", format!("00-{trace:032x}-{span:016x}-{bit:02x}")),
            ("x-b3-traceid", format!("{trace:032x}")),
            ("x-b3-spanid", format!("{span:016x}")),
            ("x-b3-sampled", bit.to_string()),
            ("x-datadog-trace-id", low.to_string()),
            ("x-datadog-parent-id", span.to_string()),
            ("x-datadog-sampling-priority", bit.to_string()),
            ("x-datadog-tags", format!("_dd.p.tid={:016x}", trace >> 64)),
        ];
        let carrier = carrier(&written);
        prop_assert_eq!(&carrier.invalid, &vec![]);
        prop_assert_eq!(carrier.contexts.len(), 8);
        for context in carrier.contexts {
            prop_assert!(context.trace_id.same_trace(&TraceId::Wide(trace)), "{:?}", context);
            prop_assert_eq!(context.parent_id, Some(SpanId::Bits(span)));
            prop_assert_eq!(context.sampled, Some(sampled));
        }
    }

    #[test]
    fn written_lists_are_read_back(
        members in prop::collection::btree_map("[a-z0-9][a-z0-9_*/@-]{0,40}", "[!-+\\--<>-~]([ -+\\--<>-~]{0,40}[!-+\\--<>-~])?", 1..32),
    ) {
        let members: Vec<(Text, Text)> = members.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let text = members.iter().map(|(key, value)| format!("{key}={value}"));
        let state = text.collect::<Vec<_>>().join(" , ");
        let parent = "00-12345678901234567890123456789012-1234567890123456-00".to_owned();
        let carrier = carrier(&[("tracestate", state), ("traceparent", parent)]);
        prop_assert_eq!(carrier.tracestate, members);
    }
}
