//! Services on Node.

use crate::app::App;

const FETCH: &str = "node {apps}/node/fetch_app.js";
const WORKERS: &str = "node {apps}/node/workers_app.js";
const OTEL_NODE: &str = "node {apps}/node/otel_app.js";
const NODE_OTEL: &[&str] = &["{apps}/node/node_modules/@opentelemetry/sdk-node"];
const NODE_PINO: &[&str] = &["{apps}/node/node_modules/pino"];
const NODE_AXIOS: &[&str] = &[
    "{apps}/node/node_modules/express",
    "{apps}/node/node_modules/axios",
];

impl App {
    /// Express and axios on Node.
    pub const EXPRESS: Self = Self::new(
        "express",
        "Node",
        "Express; axios",
        "node {apps}/node/express_app.js",
    )
    .needs(NODE_AXIOS)
    .parallel();

    /// node:http and fetch.
    pub const FETCH: Self = Self::new("node-fetch", "Node", "node:http; fetch (undici)", FETCH)
        .needs(NODE_PINO)
        .parallel();

    /// The same with calls that wait in a queue of promises.
    pub const FETCH_LIMITED: Self = Self::new(
        "node-fetch-limited",
        "Node",
        "node:http; fetch, calls waiting in a queue of promises",
        FETCH,
    )
    .needs(NODE_PINO)
    .env(&[("LIMIT", "1")])
    .parallel();

    /// The same with lines by pino, each written at once.
    pub const PINO: Self = Self::new(
        "node-pino",
        "Node",
        "node:http; fetch; lines by pino",
        FETCH,
    )
    .env(&[("LOGGER", "pino")])
    .needs(NODE_PINO)
    .parallel();

    /// The same with lines by pino, written by libuv's threads.
    pub const PINO_ASYNC: Self = Self::new(
        "node-pino-async",
        "Node",
        "node:http; fetch; lines by pino with sync: false",
        FETCH,
    )
    .env(&[("LOGGER", "pino-async")])
    .needs(NODE_PINO)
    .parallel();

    /// node:http that hands its requests to worker threads.
    pub const WORKER_THREADS: Self = Self::new(
        "node-workers",
        "Node",
        "node:http; four worker threads; fetch",
        WORKERS,
    )
    .parallel();

    /// The same with few connections, of which calls that are given up leave some to others.
    pub const WORKER_THREADS_LIMITED: Self = Self::new(
        "node-workers-limited",
        "Node",
        "the same with few connections, some opened for calls that are given up",
        WORKERS,
    )
    .env(&[("GIVES_UP", "1")])
    .parallel();

    /// Express with the OpenTelemetry SDK; exports each span as it ends.
    pub const OTEL_NODE_SIMPLE: Self = Self::new(
        "otel-node-simple",
        "Node",
        "Express with the OpenTelemetry SDK",
        OTEL_NODE,
    )
    .needs(NODE_OTEL)
    .env(&[("PROCESSOR", "simple")]);

    /// Express with the OpenTelemetry SDK; exports in batches.
    pub const OTEL_NODE_BATCH: Self = Self::new(
        "otel-node-batch",
        "Node",
        "Express with the OpenTelemetry SDK, batched",
        OTEL_NODE,
    )
    .needs(NODE_OTEL)
    .env(&[("PROCESSOR", "batch")]);
}
