//! The truth bench in small: it runs, and what it measures of three kinds of services has no error in it.

use anyhow::{Result, ensure};
use observer_e2e::app::App;
use observer_e2e::bench::{Bench, Load, Row};
use observer_e2e::plan::Mode;
use observer_e2e::run::{can_watch, turn};

#[test]
fn three_runtimes_without_an_error() -> Result<()> {
    bench(
        &[App::FLASK, App::FASTAPI, App::GO],
        16,
        vec![Load::Mixed, Load::Only(Mode::Propagate)],
    )
}

/// A virtual thread is itself on whatever thread it runs, and whoever writes for it.
#[test]
fn virtual_threads_are_told_apart() -> Result<()> {
    let loads = vec![Load::Mixed, Load::Only(Mode::Propagate)];
    // On a busy machine a few of the first are missed, so that they must not be much of the whole.
    bench_of(&[App::JDK_VIRTUAL, App::JDK_VIRTUAL_HTTP], 16, loads, 800)
}

/// Whatever a worker does is told of its request, in parallel too; of each line that its master relays, who
/// wrote it.
#[test]
fn php_fpm_is_told_completely() -> Result<()> {
    let modes = Mode::ALL.into_iter().map(Load::Only);
    let loads = [Load::Mixed].into_iter().chain(modes).collect();
    bench(&[App::PHP_FPM], 64, loads)
}

/// Tasks of tokio tell requests apart, those that hyper's connections write for included.
#[test]
fn tokio_is_told_by_its_tasks() -> Result<()> {
    let loads = || vec![Load::Mixed, Load::Only(Mode::Propagate)];
    bench(&[App::AXUM, App::AXUM_CURRENT], 16, loads())?;
    bench(&[App::AXUM], 64, loads())
}

/// Turns of Node's event loop tell requests apart, those too that wait for a connection of an agent, or are given to a worker thread. What waits in a queue of
/// promises is given to nobody.
#[test]
fn node_is_told_by_its_turns() -> Result<()> {
    let loads = || vec![Load::Mixed, Load::Only(Mode::Propagate)];
    bench_of(&[App::EXPRESS, App::FETCH], 64, loads(), 400)?;
    bench(&[App::WORKER_THREADS], 16, loads())?;
    bench(&[App::FETCH_LIMITED], 16, loads())
}

/// One request at a time, Tomcat's and Puma's workers are known by their names. (Some of it overlaps with the requests of those who
/// look whether the service is well.)
#[test]
fn workers_are_told_one_at_a_time() -> Result<()> {
    let loads = vec![Load::Mixed, Load::Only(Mode::Propagate)];
    bench(&[App::PUMA, App::SPRING], 1, loads)
}

/// Where Tomcat's workers do the service's own work as well, and requests come back to them (one at a time, to the only one there is), their names mislead nobody.
#[test]
fn workers_that_do_other_work_mislead_nobody() -> Result<()> {
    let loads = || vec![Load::Mixed, Load::Only(Mode::Drop)];
    bench(&[App::TOMCAT_ASYNC], 1, loads())?;
    bench(&[App::TOMCAT_ASYNC], 16, loads())
}

/// Nor do connections that are opened for a call, and left to another request's because it was given up.
#[test]
fn connections_that_are_left_to_others_mislead_nobody() -> Result<()> {
    let loads = || vec![Load::Mixed, Load::Only(Mode::Drop)];
    bench(&[App::WORKER_THREADS_LIMITED], 16, loads())?;
    bench(&[App::WORKER_THREADS_LIMITED], 64, loads())
}

/// Events of nginx tell requests apart, and streams of HAProxy, without any id as well.
#[test]
fn proxies_are_told_completely() -> Result<()> {
    let loads = vec![Load::Mixed, Load::Only(Mode::Drop)];
    bench(&[App::NGINX, App::HAPROXY], 64, loads)
}

/// A context that leaked is no evidence where other evidence is learned, nor where there is none.
#[test]
fn contexts_that_leak_mislead_nowhere() -> Result<()> {
    let apps = [
        App::JDK_POOL,
        App::JDK_HTTP,
        App::JDK_STAGES,
        App::SPRING,
        App::PUMA,
        App::WORKER_THREADS,
        App::FETCH_LIMITED,
        App::DOTNET,
    ];
    bench(&apps, 16, vec![Load::Only(Mode::Leak)])
}

fn bench(apps: &[App], concurrency: usize, loads: Vec<Load>) -> Result<()> {
    bench_of(apps, concurrency, loads, 200)
}

fn bench_of(apps: &[App], concurrency: usize, loads: Vec<Load>, requests: usize) -> Result<()> {
    let _turn = turn();
    let apps: Vec<App> = apps
        .iter()
        .copied()
        .filter(|app| can_watch(*app, &format!("truth bench of {}", app.name)))
        .collect();
    let bench = Bench {
        concurrency: vec![concurrency],
        loads,
        requests,
        recordings: observer_e2e::app::root().join("target/e2e/truth"),
        keep: false,
        apps,
    };
    let results = bench.run(|line| eprintln!("{line}"))?;
    ensure!(results.failed.is_empty(), "{:?}", results.failed);
    ensure!(results.rows.len() == bench.apps.len() * bench.loads.len());
    for row in &results.rows {
        ensure!(!row.errors(), "{row}\n{}", row.samples.join("\n"));
        ensure!(row.losses == 0, "{row}");
        ensure!(complete(row), "{row}");
        ensure!(likely(row), "{row}: {:?}", row.guesses);
    }
    Ok(())
}

/// Whether what is inferred is right as often as stated, 0.8 at least; a few may be wrong by chance.
fn likely(row: &Row) -> bool {
    let guesses = row.guesses;
    let wrong = guesses.told - guesses.right + guesses.background;
    wrong <= 3 + guesses.told / 5
}

/// Whether everything is attributed that a thread or an id tells of.
fn complete(row: &Row) -> bool {
    // There is nothing that has to tell.
    if row.load == Mode::Leak.name() {
        return true;
    }
    let part = row.part(match (row.load, row.runtime) {
        ("propagate", _) => "all",
        (_, "php-fpm" | "nginx" | "haproxy" | "express" | "node-fetch") => "all",
        // What a worker's first requests do is woken by what is loaded for them.
        (_, "node-workers") => {
            let all = row.part("all");
            return all.calls.coverage() > 0.9 && all.lines.coverage() > 0.9;
        }
        (_, "puma") => {
            let all = row.part("all");
            return all.calls.coverage() > 0.9 && all.lines.coverage() > 0.9;
        }
        // Of its client's calls a few are missed.
        (_, "spring") => return row.part("all").lines.coverage() > 0.9,
        // The first use of a connection may have been asked for by another task than made it.
        (_, "axum" | "axum-current") => {
            let all = row.part("all");
            return all.calls.coverage() > 0.9 && all.lines.coverage() > 0.99;
        }
        // Of what follows on a future, the last one that is made before a virtual thread waits is nobody's.
        (_, "jdk-virtual-http") => {
            let all = row.part("all");
            return all.calls.coverage() > 0.9 && all.lines.coverage() > 0.9;
        }
        (_, "flask" | "jdk-virtual") => "sequence",
        _ => return true,
    });
    // The first virtual threads of a process may be missed.
    let enough = if row.runtime.starts_with("jdk-virtual") {
        0.95
    } else {
        0.99
    };
    part.calls.coverage() > enough && part.lines.coverage() > enough
}
