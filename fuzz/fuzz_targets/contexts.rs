//! Header fields of one message head, one a line, as a sender would write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_core::context::explain::{explain, render_text};
use observer_core::context::{Carrier, SpanId, TraceId, extract, find_rule};

fuzz_target!(|head: &[u8]| {
    let fields = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], &line[colon + 1..]))
    });
    check(&extract(fields));

    let text = String::from_utf8_lossy(head);
    let printed = render_text(&explain(&text));
    assert!(printed.chars().all(|c| c == '\n' || !c.is_control()));
});

/// What the rest of the program relies on.
fn check(carrier: &Carrier) {
    let raws = carrier.contexts.iter().map(|context| &context.raw);
    for raw in raws.chain(carrier.invalid.iter().map(|invalid| &invalid.raw)) {
        assert!(raw.len() <= 512 && raw.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    for invalid in &carrier.invalid {
        assert!(
            find_rule(invalid.rule).is_some(),
            "{} is not listed",
            invalid.rule
        );
    }
    for context in &carrier.contexts {
        assert!(!matches!(
            context.trace_id,
            TraceId::Wide(0) | TraceId::Narrow(0)
        ));
        assert!(!matches!(context.parent_id, Some(SpanId::Bits(0))));
    }
    assert!(carrier.contexts.is_sorted_by(|a, b| a.format < b.format));
    assert!(carrier.tracestate.len() <= 32 && carrier.baggage.len() <= 180);
    let _ = (carrier.formats_disagree(), carrier.broken());
}
