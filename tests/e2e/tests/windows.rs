//! Node and Go as they are watched by default: where their probes would take too much of the service's CPU time they are in place in windows of
//! time. What falls into a window is attributed by them; what falls between two has its reason; and nothing is wrong at the edges.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use observer_e2e::app::{App, Service};
use observer_e2e::driver::Clients;
use observer_e2e::observer::Observer;
use observer_e2e::plan::{Mix, Mode, Planned};
use observer_e2e::process::{Stream, patience};
use observer_e2e::run::{can_watch, keep, turn};
use observer_e2e::score::told::{Exchange, Role, Told, read};
use observer_e2e::score::truth::Truth;
use observer_e2e::score::{Demand, score};
use observer_e2e::server::{Delay, Downstream};

/// Requests at a time, and of one round.
const CLIENTS: usize = 8;
const ROUND: usize = 40;
/// A part of a window or of a pause that shows that it is one, calls.
const STRETCH: usize = 300;
/// How long calls are all told until there are no pauses: twice the length of a window, and what judgement takes.
const ALWAYS: Duration = Duration::from_secs(15);
/// How long a window, a pause, and a part of the next window may take in all.
const CYCLE: Duration = Duration::from_secs(150);
/// What probes may take of the CPU time that a service takes itself.
const BUDGET: f64 = 0.10;
/// What is told of shares is rounded to multiples of five per cent.
const ROUNDED: f64 = 0.025;

#[test]
fn node_is_watched_in_windows() -> Result<()> {
    check(App::EXPRESS, "execution", Some("for a share of the time"))
}

/// What goroutines take from channels; what they answer themselves is told at all times.
#[test]
fn go_is_watched_in_windows() -> Result<()> {
    check(App::GO_POOL, "hand-off", None)
}

/// Drives `app` through a window, a pause and a part of the next window. In windows its calls are told by `tier`, and by nothing
/// else at other times; `why` is in the reason then.
fn check(app: App, tier: &str, why: Option<&str>) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, &format!("windows of {}", app.name)) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = app.start(downstream.address(), CLIENTS)?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let (plan, paused) = drive(&service, &observer)?;
    let ended = observer.stop()?;
    let printed = service.process.lines(0, Duration::ZERO, |_| true);
    keep(&format!("windows-{}", app.name), &ended.out)?;
    let told = read(&ended.out)?;
    let score = score(&Truth::new(&plan, &downstream.take(), &printed), &told);
    eprintln!("{}: {} requests\n{score}", app.name, plan.len());
    if let Err(faults) = score.meets(Demand::SHARED_THREADS) {
        bail!("{}: {faults}", app.name);
    }
    let calls: Vec<&Exchange> = told.iter().filter_map(call).collect();
    attributed_in_windows(&calls, paused, tier, why)?;
    let missing = missing(&told)?;
    // After a window that took little nothing is missing.
    ensure!(paused || missing.is_none(), "{missing:?}");
    missing.map_or(Ok(()), |missing| within_budget(&missing))
}

/// Sends rounds of requests until the observer has told a whole cycle; returns what was sent, and whether there was a pause.
fn drive(service: &Service, observer: &Observer) -> Result<(Vec<Planned>, bool)> {
    let seen = AtomicBool::new(false);
    let clients = Clients::new(CLIENTS);
    thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<Vec<Planned>> {
            let mut sent = Vec::new();
            for round in 0.. {
                if seen.load(Ordering::Relaxed) {
                    break;
                }
                let plan = Mix::only(Mode::Drop).plan(&format!("r{round}-"), ROUND, round);
                clients.drive(service.address, &plan)?;
                sent.extend(plan);
            }
            Ok(sent)
        });
        let mut cycle = Cycle::default();
        let found = observer
            .process()
            .wait_for(Stream::Out, CYCLE, |line| cycle.see(line));
        seen.store(true, Ordering::Relaxed);
        let sent = load.join().ok().context("the load panicked")??;
        let paused = found.with_context(|| format!("{cycle:?}"))?;
        Ok((sent, paused))
    })
}

/// What of a cycle was told so far: calls of a window, of the pause after it, and of the next window.
#[derive(Debug, Default)]
struct Cycle {
    begun: Option<Instant>,
    stretches: [usize; 3],
}

impl Cycle {
    /// Whether there was a pause, once that is known.
    fn see(&mut self, line: &str) -> Option<bool> {
        let told: Told = serde_json::from_str(line).ok()?;
        let attributed = call(&told)?.request.is_some();
        let [window, pause, _] = self.stretches;
        let stretch = match (attributed, window >= STRETCH, pause >= STRETCH) {
            (true, true, true) => 2,
            (true, ..) => 0,
            (false, true, _) => 1,
            (false, false, _) => return None,
        };
        self.stretches[stretch] += 1;
        let [window, pause, next] = self.stretches;
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let always = pause * 20 < window && begun.elapsed() > ALWAYS * patience();
        always
            .then_some(false)
            .or((next >= STRETCH).then_some(true))
    }
}

/// A call that a request made.
fn call(told: &Told) -> Option<&Exchange> {
    match told {
        Told::Exchange(e) if e.role == Role::Client && e.target.starts_with("/down") => Some(e),
        _ => None,
    }
}

/// Whether rounds are told completely or not at all, but for those at the edges of windows.
fn attributed_in_windows(
    calls: &[&Exchange],
    paused: bool,
    tier: &str,
    why: Option<&str>,
) -> Result<()> {
    let mut rounds: BTreeMap<usize, Vec<&Exchange>> = BTreeMap::new();
    for call in calls {
        let round = call.target.split_once("id=r").and_then(|(_, rest)| {
            let (round, _) = rest.split_once('-')?;
            round.parse().ok()
        });
        let round = round.with_context(|| format!("a call of no round: {}", call.target))?;
        rounds.entry(round).or_default().push(call);
    }
    let (mut inside, mut outside, mut edges) = (0, 0, 0);
    for calls in rounds.values() {
        let given = calls.iter().filter(|call| call.request.is_some());
        match given.count() * 100 / calls.len() {
            95.. => inside += 1,
            ..=5 => {
                outside += 1;
                ensure!(why.is_none_or(|why| abstains(calls, why)), "{calls:?}");
            }
            _ => edges += 1,
        }
    }
    eprintln!("rounds: {inside} in windows, {outside} in pauses, {edges} at edges");
    ensure!(inside > 0 && (outside > 0) == paused);
    ensure!(
        edges * 4 <= rounds.len(),
        "{edges} of {} rounds",
        rounds.len()
    );
    for call in calls.iter().filter(|call| call.request.is_some()) {
        let told = call.attribution.as_ref().and_then(|a| a.tier.as_deref());
        ensure!(told == Some(tier), "{call:?}");
    }
    Ok(())
}

/// Whether most of a pause's `calls` say why they are attributed to nobody; one of a request alone may have another reason.
fn abstains(calls: &[&Exchange], why: &str) -> bool {
    let reason = |call: &&&Exchange| {
        let attribution = call.attribution.as_ref();
        attribution
            .and_then(|a| a.reason.as_deref())
            .is_some_and(|r| r.contains(why))
    };
    calls.iter().filter(reason).count() * 2 > calls.len()
}

/// What the summary says is not watched of the only service, in words.
fn missing(told: &[Told]) -> Result<Option<String>> {
    let Some(Told::Summary(summary)) = told.last() else {
        bail!("the output does not end with a summary");
    };
    let executions = summary.pointer("/services/0/executions/0");
    let executions = executions.context("executions are not told apart")?;
    let missing = executions["missing"].as_array();
    let mut texts = missing.into_iter().flatten().filter_map(|m| m.as_str());
    let text = texts.find(|text| text.contains(" % of the time: "));
    Ok(text.map(str::to_owned))
}

/// Whether the share of the time that is watched, times what probes would take if it were all, is within the budget.
fn within_budget(missing: &str) -> Result<()> {
    let mut shares = missing.split(" % of the ").filter_map(|text| {
        let (_, number) = text.rsplit_once(' ').unwrap_or(("", text));
        number.parse::<f64>().ok().map(|percent| percent / 100.0)
    });
    let (rest, costs) = shares
        .next()
        .zip(shares.next())
        .with_context(|| format!("no two shares: {missing}"))?;
    let least = (1.0 - rest - ROUNDED) * (costs - ROUNDED);
    ensure!(rest > 0.0 && costs >= BUDGET, "{missing}");
    ensure!(least <= BUDGET, "{missing}: {least}");
    Ok(())
}
