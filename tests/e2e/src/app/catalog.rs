//! The services.

mod go;
mod java;
mod node;
mod others;
mod proxies;
mod python;
mod rust;

use super::App;

impl App {
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
