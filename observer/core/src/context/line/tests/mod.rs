//! Tests of what log lines say about their trace.

mod fields;
mod related;
mod words;

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const WIDE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
