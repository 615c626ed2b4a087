//! Services in Go.

use crate::app::App;

impl App {
    /// Go's net/http, both sides.
    pub const GO: Self = Self::new(
        "go",
        "Go",
        "net/http, both sides; a goroutine per parallel call",
        "{built}/go-server",
    )
    .parallel();

    /// The same, with calls made by goroutines that take them from a channel.
    pub const GO_POOL: Self = Self::new(
        "go-pool",
        "Go",
        "the same; worker goroutines take the calls from a channel",
        "{built}/go-server",
    )
    .env(&[("WORKERS", "1")])
    .parallel();

    /// The same, with a channel in which calls wait.
    pub const GO_QUEUE: Self = Self::new(
        "go-queue",
        "Go",
        "the same; calls wait in the channel",
        "{built}/go-server",
    )
    .env(&[("WORKERS", "1"), ("QUEUE", "64")])
    .parallel();

    /// Go's net/http without symbols.
    pub const GO_STRIPPED: Self = Self::new(
        "go-stripped",
        "Go",
        "net/http, built with -s -w",
        "{built}/go-server-stripped",
    )
    .parallel();

    /// Go's net/http by a Go whose goroutines do not know their parents.
    pub const GO_OLD: Self = Self::new(
        "go-1.19",
        "Go",
        "net/http of Go 1.19",
        "{built}/go-server-1.19",
    )
    .parallel();

    /// The same without symbols.
    pub const GO_OLD_STRIPPED: Self = Self::new(
        "go-1.19-stripped",
        "Go",
        "net/http of Go 1.19, built with -s -w",
        "{built}/go-server-1.19-stripped",
    )
    .parallel();
}
