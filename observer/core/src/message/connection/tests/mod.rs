//! Tests of connections.

mod framing;
mod loss;
mod model;
mod properties;
mod wire;
