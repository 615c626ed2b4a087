//! Services in Python.

use crate::app::App;

const FLASK: &str = "{built}/venv/bin/python {apps}/python/flask_app.py";
const GUNICORN: &str = "{built}/venv/bin/gunicorn -c {apps}/python/gunicorn_conf.py --chdir {apps}/python flask_app:app";
const FASTAPI: &str = "{built}/venv/bin/python {apps}/python/fastapi_app.py";
const OTEL_PYTHON: &str = "{built}/venv/bin/python {apps}/python/otel_app.py";

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
}
