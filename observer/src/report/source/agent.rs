//! Agents: what they have counted since they started (docs/metrics.md).

use std::time::Duration;

use anyhow::Result;
use observer_core::judged::WallTime;
use observer_core::summary::{Page, PageError};
use tokio::task::JoinSet;

use super::http::{HttpError, answer, client};
use super::{Found, now};
use crate::report::model::{AgentLine, SourceKind, SourceLine};

/// Agents that are asked at once.
const AT_ONCE: usize = 32;

/// Asks all agents.
pub(super) async fn ask_all(agents: &[String], timeout: Duration) -> Result<Vec<Found>> {
    let client = client(timeout, &[])?;
    let mut found = Vec::new();
    for some in agents.chunks(AT_ONCE) {
        let mut tasks = JoinSet::new();
        for (place, address) in some.iter().enumerate() {
            let (client, address) = (client.clone(), address.clone());
            tasks.spawn(async move { (place, ask(&client, &address).await) });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_by_key(|(place, _)| *place);
        found.extend(answers.into_iter().map(|(_, found)| found));
    }
    Ok(found)
}

async fn ask(client: &reqwest::Client, address: &str) -> Found {
    let line = SourceLine::new(SourceKind::Agent, address);
    let before = now();
    let url = format!("http://{address}/api/v1/counts");
    let body = match answer(client.get(url), false).await {
        Ok(body) => body,
        Err(error @ HttpError::Status { .. }) => {
            let hint = format!("{error}; is that an agent of observer?");
            return Found::nothing(line, hint);
        }
        Err(error) => return Found::nothing(line, error),
    };
    match Page::read(&body) {
        Ok(page) => {
            let clock = midway(before, now());
            let mut found = of_page(line, page);
            for agent in &mut found.line.agents {
                agent.clock_skew_seconds = found.line.until.map(|now| apart(now, clock));
            }
            found
        }
        Err(error @ PageError::Version(_)) => {
            Found::nothing(line, format!("{error}; use an observer of its version"))
        }
        Err(error) => Found::nothing(line, error),
    }
}

/// What a page tells, wherever it was kept.
pub(super) fn of_page(mut line: SourceLine, page: Page) -> Found {
    line.since = Some(page.since);
    line.until = Some(page.now);
    line.agents = vec![AgentLine::new(&page.agent, &page.program, Some(page.since))];
    Found {
        line,
        counted: page.counted,
    }
}

fn midway(a: WallTime, b: WallTime) -> WallTime {
    WallTime(a.0 / 2 + b.0 / 2)
}

/// Seconds by which `a` is after `b`.
#[expect(clippy::cast_precision_loss, reason = "seconds are told")]
fn apart(a: WallTime, b: WallTime) -> f64 {
    (a.0 as f64 - b.0 as f64) / 1e9
}
