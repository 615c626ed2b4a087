//! What is answered to what.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use observer_core::summary::{Page, VERSION};
use tokio::time::timeout;

use super::super::board::{Board, Snapshot};
use super::super::fold::Edges;
use super::super::metrics::{self, Format};
use super::page;
use crate::budget::Usage;

/// How long the session may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Answers requests.
pub struct Server {
    board: Arc<Board>,
    edges: Mutex<Edges>,
    exemplars: bool,
}

type Answer = Response<Full<Bytes>>;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// What the status page may do: nothing but be styled.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

impl Server {
    /// Answers from what `board` has; `edges` is the bound for edges with series of their own.
    #[must_use]
    pub fn new(board: Arc<Board>, edges: usize, exemplars: bool) -> Self {
        Self {
            board,
            edges: Mutex::new(Edges::new(edges)),
            exemplars,
        }
    }

    pub(super) async fn respond(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            return Ok(with(answer, ALLOW, "GET, HEAD"));
        }
        let answer = match request.uri().path() {
            "/healthz" => Ok(self.health()),
            "/readyz" => Ok(self.readiness()),
            "/metrics" => self.metrics(Format::of(&accept(&request))).await,
            "/api/v1/counts" => self.counts().await,
            "/" => self.page().await,
            _ => Ok(text(
                StatusCode::NOT_FOUND,
                "there are /, /metrics, /api/v1/counts, /healthz and /readyz\n",
            )),
        };
        Ok(answer.unwrap_or_else(|Busy| {
            let busy = "the agent does not answer now: it begins, ends, or has too much to do\n";
            let answer = text(StatusCode::SERVICE_UNAVAILABLE, busy);
            with(answer, RETRY_AFTER, "5")
        }))
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, Busy> {
        let receiver = self.board.ask().ok_or(Busy)?;
        let answered = timeout(ANSWER, receiver).await.map_err(|_| Busy)?;
        answered.map_err(|_| Busy)
    }

    async fn metrics(&self, format: Format) -> Result<Answer, Busy> {
        let snapshot = self.snapshot().await?;
        let (mut counted, folded) = {
            let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
            edges.fold(&snapshot.counted)
        };
        // The older format has none.
        if !self.exemplars || format == Format::Text {
            counted.samples.clear();
        }
        let usage = Usage::now();
        let page = metrics::page(&self.board, &snapshot, &counted, folded, usage, format);
        Ok(answer(StatusCode::OK, format.media_type(), page))
    }

    async fn counts(&self) -> Result<Answer, Busy> {
        let snapshot = self.snapshot().await?;
        let page = Page {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            agent: self.board.agent.as_str().into(),
            since: self.board.since,
            now: snapshot.now,
            counted: snapshot.counted.clone(),
        };
        Ok(match serde_json::to_string(&page) {
            Ok(json) => answer(StatusCode::OK, JSON, json),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        })
    }

    /// Whether the agent works: a supervisor should start it anew if not.
    fn health(&self) -> Answer {
        if self.board.is_alive() || !self.board.is_ready() {
            text(StatusCode::OK, "ok\n")
        } else {
            let silent = "the session was not heard of for 10 seconds\n";
            text(StatusCode::SERVICE_UNAVAILABLE, silent)
        }
    }

    /// Whether everything chosen is watched.
    fn readiness(&self) -> Answer {
        if self.board.is_ready() {
            text(StatusCode::OK, "ready\n")
        } else {
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the probes are not in place\n",
            )
        }
    }

    async fn page(&self) -> Result<Answer, Busy> {
        let snapshot = self.snapshot().await?;
        let html = page::html(&self.board, &snapshot, Usage::now());
        let answer = answer(StatusCode::OK, HTML, html);
        Ok(with(answer, CONTENT_SECURITY_POLICY, POLICY))
    }
}

/// The session did not answer.
struct Busy;

fn accept<B>(request: &Request<B>) -> String {
    let all = request.headers().get_all(ACCEPT).iter();
    let all: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
    all.join(",")
}

fn text(status: StatusCode, body: &str) -> Answer {
    answer(status, TEXT, body.to_owned())
}

fn answer(status: StatusCode, media_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, media_type);
    let answer = with(answer, CACHE_CONTROL, "no-store");
    with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    answer
}
