//! How a line's id relates to that of a request, whatever either is written in.

use proptest::prelude::*;

use super::super::{Encoding, LineId, LineTraceId, Relation, relation, scan};
use super::{ID, WIDE};
use crate::context::TraceId;

const LOW: u64 = 0xa3ce_929d_0e0e_4736;

/// The id of a line with this value.
fn line_id(value: &str) -> LineTraceId {
    match scan(&format!(r#"{{"trace_id":"{value}"}}"#)).id {
        LineId::Id { trace, .. } => trace,
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn relation_to_the_request() {
    let wide = TraceId::Wide(WIDE);
    let narrow = TraceId::Narrow(LOW);
    let relate = |value: &str, request| relation(&line_id(value), request);
    let by = Relation::Reencoded;
    assert_eq!(relate(ID, &wide), Relation::Same);
    assert_eq!(relate(&ID.to_uppercase(), &wide), by(Encoding::Uppercase));
    assert_eq!(
        relate("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", &wide),
        by(Encoding::Uuid)
    );
    assert_eq!(relate("a3ce929d0e0e4736", &wide), by(Encoding::Hex64));
    assert_eq!(
        relate("0000000000000000a3ce929d0e0e4736", &wide),
        by(Encoding::Hex64)
    );
    assert_eq!(relate(&LOW.to_string(), &wide), by(Encoding::Decimal64));
    assert_eq!(relate(&WIDE.to_string(), &wide), by(Encoding::Decimal128));
    assert_eq!(
        relate("1-4bf92f35-77b34da6a3ce929d0e0e4736", &wide),
        by(Encoding::Xray)
    );
    assert_eq!(
        relate(&format!("00-{ID}-00f067aa0ba902b7-01"), &wide),
        by(Encoding::Embedded)
    );
    assert_eq!(
        relate("0af7651916cd43dd8448eb211c80319c", &wide),
        Relation::Different
    );
    let leading_zero = TraceId::Wide(WIDE >> 4);
    assert_eq!(relate(&ID[..31], &leading_zero), by(Encoding::Unpadded));

    assert_eq!(relate("a3ce929d0e0e4736", &narrow), Relation::Same);
    assert_eq!(relate(ID, &narrow), Relation::Same);
    assert_eq!(relate(&LOW.to_string(), &narrow), by(Encoding::Decimal64));
    assert_eq!(relate(&WIDE.to_string(), &narrow), by(Encoding::Decimal128));
    assert_eq!(relate("A3CE929D0E0E4736", &narrow), by(Encoding::Uppercase));
    assert_eq!(relate("a3ce929d0e0e4735", &narrow), Relation::Different);
}

#[test]
fn digits_alone_can_be_hex_or_decimal() {
    let id = line_id("1234567890123456");
    assert_eq!(
        relation(&id, &TraceId::Narrow(0x1234_5678_9012_3456)),
        Relation::Same
    );
    assert_eq!(
        relation(&id, &TraceId::Narrow(1_234_567_890_123_456)),
        Relation::Reencoded(Encoding::Decimal64)
    );
    let mut candidates = Vec::new();
    id.each_candidate(|id| candidates.push(id.clone()));
    assert!(candidates.contains(&TraceId::Narrow(0x1234_5678_9012_3456)));
    assert!(candidates.contains(&TraceId::Narrow(1_234_567_890_123_456)));
}

#[test]
fn skywalking_ids_compare_as_text() {
    let id = "8a5f9e7c1b3d4f60a1b2c3d4e5f60718.45.17001234567890001";
    let LineId::Id { trace, .. } = scan(&format!("[TID:{id}]")).id else {
        panic!("an id");
    };
    assert_eq!(relation(&trace, &TraceId::Text(id.into())), Relation::Same);
    assert_eq!(relation(&trace, &TraceId::Wide(WIDE)), Relation::Different);
}

proptest! {
    #[test]
    fn any_notation_is_related(trace in 1_u128..) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let low = trace as u64;
        prop_assume!(low != 0);
        let request = TraceId::Wide(trace);
        let hex = format!("{trace:032x}");
        prop_assert_eq!(relation(&line_id(&hex), &request), Relation::Same);
        for value in [format!("{low:016x}"), low.to_string(), trace.to_string()] {
            let id = line_id(&value);
            prop_assert!(matches!(relation(&id, &request), Relation::Reencoded(_)), "{}", value);
            let mut known = false;
            id.each_candidate(|candidate| known |= candidate.same_trace(&request));
            prop_assert!(known);
        }
    }
}
