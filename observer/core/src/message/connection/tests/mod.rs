//! Tests of connections.

mod framing;
mod loss;
mod wire;
