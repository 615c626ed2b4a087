//! Services in Rust.

use crate::app::App;

impl App {
    /// A thread per connection on Rust's standard library.
    pub const THREADS: Self = Self::new(
        "threads",
        "Rust",
        "a thread per connection; ureq, parallel calls by new threads",
        "{own}/service-threads",
    )
    .parallel();

    /// A thread per connection; what its sockets carry goes through an `io_uring`. In no bench: nothing of it is seen.
    pub const URING: Self = Self::new(
        "uring",
        "Rust",
        "a thread per connection, with an io_uring for its sockets",
        "{own}/service-uring",
    );

    /// axum and reqwest on tokio.
    pub const AXUM: Self = Self::new(
        "axum",
        "Rust",
        "axum and reqwest on tokio, several threads",
        "{own}/service-axum",
    )
    .parallel();

    /// axum and reqwest on tokio with one thread.
    pub const AXUM_CURRENT: Self = Self::new(
        "axum-current",
        "Rust",
        "axum and reqwest on tokio, one thread",
        "{own}/service-axum",
    )
    .env(&[("RUNTIME", "current")])
    .parallel();
}
