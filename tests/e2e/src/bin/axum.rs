//! A service on tokio: axum for requests, reqwest for calls.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use observer_e2e::workload::{Work, background_line, background_url, env_number};

#[derive(Clone)]
struct App {
    client: reqwest::Client,
    downstream: String,
}

fn main() -> Result<()> {
    let mut runtime = match std::env::var("RUNTIME").as_deref() {
        Ok("current") => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<()> {
    let app = App {
        client: reqwest::Client::new(),
        downstream: std::env::var("DOWNSTREAM").context("DOWNSTREAM is not set")?,
    };
    let port = env_number("PORT", 0);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    print_line(&format!("ready {}", listener.local_addr()?.port()));
    let pause = Duration::from_millis(env_number("BG_MS", 50));
    if !pause.is_zero() {
        tokio::spawn(background(app.clone(), pause));
    }
    let router = Router::new().route("/work", get(work)).with_state(app);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn work(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<&'static str, StatusCode> {
    let traceparent = headers.get("traceparent").and_then(|v| v.to_str().ok());
    let job = Work::new(&uri.to_string(), traceparent);
    print_line(&job.line(0));
    if job.parallel {
        let steps: Vec<_> = (1..=job.calls)
            .map(|n| tokio::spawn(step(app.clone(), job.clone(), n)))
            .collect();
        for step in steps {
            step.await.map_err(|_| StatusCode::BAD_GATEWAY)??;
        }
    } else {
        for n in 1..=job.calls {
            step(app.clone(), job.clone(), n).await?;
        }
    }
    for k in job.calls.min(2) + 1..4 {
        print_line(&job.line(k));
    }
    Ok("done\n")
}

/// Call `n`, in a task of its own when calls are made in parallel.
async fn step(app: App, job: Work, n: u32) -> Result<(), StatusCode> {
    let mut call = app.client.get(job.url(&app.downstream, n));
    for (name, value) in job.headers() {
        call = call.header(name, value);
    }
    let response = call.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let body = response.bytes().await;
    body.map_err(|_| StatusCode::BAD_GATEWAY)?;
    if n <= 2 {
        print_line(&job.line(n));
    }
    Ok(())
}

async fn background(app: App, pause: Duration) {
    for n in 1.. {
        tokio::time::sleep(pause).await;
        if app
            .client
            .get(background_url(&app.downstream, n))
            .send()
            .await
            .is_err()
        {
            return;
        }
        print_line(&background_line(n));
    }
}

/// One write per line. A closed standard output ends the process: nobody listens any more.
fn print_line(line: &str) {
    if std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
        .is_err()
    {
        std::process::exit(1);
    }
}
