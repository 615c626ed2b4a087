//! `observer watch`: the probes as a source, from start to summary.

mod account;
pub mod choose;
mod clock;
mod live;
mod select;
mod stop;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use observer_core::engine::Config;
use observer_core::recording::{ByteOrder, ProbeState, Startup};
use rustix::system::uname;

use crate::budget::Governor;
use crate::cli::cgroup::Hierarchies;
use crate::cli::exit::Exit;
use crate::cli::export::HealPlan;
use crate::cli::probes::DetailArgs;
use crate::cli::show::{Output, ShowPlan};
use crate::cli::watch::WatchPlan;
use crate::facts::{Enrich, Proc};
use crate::kernel::{self, Capture, CaptureConfig, CaptureError, SpawnError, Spawned, WatchError};
use crate::otlp::StartError;
use crate::session::{self, Recorder, SessionError};
use crate::sink::{Canvas, Sink};
use crate::stderr::say;
use choose::{BySelection, Chooser};
pub use live::{Ending, Pulse};
use live::{Live, LiveError};
pub use select::SelectError;
pub use stop::{stop_flag, stop_or_hangup_flag};

/// Why watching could not begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was selected can't be watched.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The probes can't be used here.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A process can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The command can't be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The recording can't be made.
    #[error(transparent)]
    Record(#[from] session::RecordError),
    /// Ctrl-C can't be listened to.
    #[error("signals can't be handled: {0}")]
    Signals(io::Error),
    /// The probes failed while watching.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// What is found can't be exported.
    #[error(transparent)]
    Export(#[from] StartError),
    /// What was to be done once everything is watched failed.
    #[error("{0}")]
    Ready(Box<dyn std::error::Error + Send + Sync>),
    /// What is found can't be shown.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
}

/// Runs `observer watch`.
///
/// # Errors
///
/// See [`Error`].
pub fn run(plan: &WatchPlan) -> Result<Exit, Error> {
    let canvas = crate::output::canvas(plan.show.color);
    let sink = crate::sink::open(&plan.show, canvas, io::stdout());
    let sink = crate::heal::around(plan.heal.as_ref(), sink)?;
    let stop = stop_or_hangup_flag().map_err(Error::Signals)?;
    let watched = watch(plan, sink, stop, |ready| announce(plan, ready, canvas))?;
    let exit = match watched.ending {
        Some(Ending::Command(status)) => {
            let (words, code) = command_status(status);
            say(format_args!("the command {words}"));
            Exit::Command(code)
        }
        _ if watched.recording_failed => Exit::Partly,
        _ => Exit::Ok,
    };
    Ok(exit)
}

/// How a watch came to its end.
#[derive(Debug)]
pub struct Watched {
    /// Why it ended; absent when nobody reads its output any more.
    pub ending: Option<Ending>,
    /// Whether the recording is cut short.
    pub recording_failed: bool,
}

/// What is known when the probes are attached.
#[derive(Debug)]
pub struct Ready {
    /// Services that are watched from the beginning, with their process ids.
    pub names: Vec<String>,
    /// Probes that are not attached, in words.
    pub missing: Vec<String>,
}

/// Watches until there is a reason to end, or `stop` is raised, showing what is found in `sink`.
/// Calls `ready` once everything selected is watched.
///
/// # Errors
///
/// See [`Error`].
pub fn watch(
    plan: &WatchPlan,
    sink: Box<dyn Sink + '_>,
    stop: Arc<AtomicBool>,
    ready: impl FnOnce(&Ready),
) -> Result<Watched, Error> {
    let proc = Proc::default();
    let by_selection = BySelection::new(plan.selection.clone());
    // Before the probes are loaded: a process that ends meanwhile is noticed then.
    let pinned = select::pin(&proc, &plan.selection)?;
    if !plan.selection.cgroups.is_empty() {
        select::check_groups(&proc, &plan.selection, &Hierarchies::mounted())?;
    }
    let config = capture_config(plan);
    let capture = Capture::start(config.clone())?;
    let anchor = clock::anchor();
    let recorder = plan
        .record
        .as_deref()
        .map(|path| Recorder::create(path, &startup(plan, &config, &capture, anchor)))
        .transpose()?;
    by_selection.check()?;
    let mut live = Live::new(
        capture,
        proc,
        Box::new(by_selection),
        stop,
        anchor.monotonic,
    );
    live.follow_in(plan.detail);
    live.on_pulse(Some(within(plan)));
    live.end_after(plan.duration);
    live.watch_pinned(pinned)?;
    live.watch_chosen();
    if let Some(command) = &plan.command {
        live.start(to_run(command, &plan.show))?;
    }
    ready(&Ready {
        names: live.names(),
        missing: live.missing_probes().collect(),
    });
    let config = Config {
        anchor,
        explain: plan.show.explain,
        show_query: plan.show.show_query,
        infer: plan.show.infer,
    };
    let watched = to_end(&mut live, config, sink, recorder)?;
    live.end_command();
    Ok(watched)
}

/// Keeps the watch within its budget, and says so where the output does not.
fn within(plan: &WatchPlan) -> Pulse {
    let mut governor = Governor::new(plan.budget);
    if wants_lines(plan) {
        governor = governor.without_pauses();
    }
    let shown = plan.show.output == Output::Text && !plan.show.quiet && !plan.show.lines;
    Box::new(move |capture, into| {
        if let Some(change) = governor.look(capture, |_| ()) {
            if change.is_of_share() && !shown {
                say(change);
            }
            change.apply(capture, into);
        }
        governor.turn(capture)
    })
}

/// How processes are observed for good.
pub struct Setup {
    /// How the probes are set up.
    pub capture: CaptureConfig,
    /// Who is observed.
    pub chooser: Box<dyn Chooser>,
    /// What else is known of processes.
    pub names: Option<Arc<dyn Enrich>>,
    /// What is called whenever records are looked for.
    pub pulse: Option<Pulse>,
    /// Whether values of query parameters are shown.
    pub show_query: bool,
    /// When turns of Node's event loop are told apart.
    pub detail: DetailArgs,
}

/// Observes until `stop` is raised. Calls `ready` once everything chosen is watched.
///
/// # Errors
///
/// See [`Error`].
pub fn observe(
    setup: Setup,
    sink: Box<dyn Sink + '_>,
    stop: Arc<AtomicBool>,
    ready: impl FnOnce(&Ready) -> Result<(), Error>,
) -> Result<Watched, Error> {
    let capture = Capture::start(setup.capture)?;
    let anchor = clock::anchor();
    let mut live = Live::new(
        capture,
        Proc::default(),
        setup.chooser,
        stop,
        anchor.monotonic,
    );
    live.enrich(setup.names);
    live.follow_in(setup.detail);
    live.on_pulse(setup.pulse);
    live.watch_chosen();
    ready(&Ready {
        names: live.names(),
        missing: live.missing_probes().collect(),
    })?;
    let config = Config {
        anchor,
        show_query: setup.show_query,
        ..Config::default()
    };
    to_end(&mut live, config, sink, None)
}

fn to_end(
    live: &mut Live,
    config: Config,
    sink: Box<dyn Sink + '_>,
    recorder: Option<Recorder>,
) -> Result<Watched, Error> {
    let (ending, recording_failed) = match session::run(live, config, sink, recorder) {
        Ok(done) => {
            if let Some(error) = &done.recording {
                say(error);
            }
            (live.ending(), done.recording.is_some())
        }
        Err(SessionError::Output(error)) if crate::output::is_unread(&error) => (None, false),
        Err(SessionError::Output(error)) => return Err(Error::Output(error)),
        Err(SessionError::Source(error)) => return Err(error.into()),
    };
    Ok(Watched {
        ending,
        recording_failed,
    })
}

/// Whether all that is logged is wanted, so that no line may be left out.
fn wants_lines(plan: &WatchPlan) -> bool {
    plan.show.lines || plan.heal.as_ref().is_some_and(HealPlan::exports_logs)
}

fn capture_config(plan: &WatchPlan) -> CaptureConfig {
    CaptureConfig {
        all: plan.selection.all,
        all_execs: plan.selection.has_rules(),
        types: plan.types.clone(),
        sample_logs: !wants_lines(plan),
        ..CaptureConfig::default()
    }
}

fn to_run(command: &crate::cli::watch::Command, show: &ShowPlan) -> Command {
    let mut run = Command::new(&command.program);
    run.args(&command.args);
    // Its lines are in the JSON; among the JSON they would be an error.
    if (show.output == Output::Json || show.lines)
        && let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned()
    {
        run.stdout(stderr);
    }
    run
}

fn startup(
    plan: &WatchPlan,
    config: &CaptureConfig,
    capture: &Capture,
    anchor: observer_core::judged::ClockAnchor,
) -> Startup {
    let uname = uname();
    Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        anchor,
        selection: words(plan),
        limits: limits(config),
        probes: capture.status().iter().map(probe).collect(),
    }
}

fn limits(config: &CaptureConfig) -> BTreeMap<String, u64> {
    [
        ("ring_bytes", config.ring_bytes),
        ("files", config.files),
        ("threads", config.threads),
        ("turn_bytes", config.turn_bytes),
        ("log_bytes", config.log_bytes),
        ("pipe_read_bytes", config.pipe_read_bytes),
    ]
    .map(|(name, value)| (name.to_owned(), u64::from(value)))
    .into()
}

fn probe(status: &kernel::ProbeStatus) -> ProbeState {
    let (state, detail) = match &status.state {
        kernel::ProbeState::Ok => ("ok", None),
        kernel::ProbeState::Unsupported(why) => ("unsupported", Some(why.clone())),
        kernel::ProbeState::Broken(why) => ("broken", Some(why.clone())),
    };
    ProbeState {
        name: status.name.to_owned(),
        state: state.to_owned(),
        detail,
    }
}

/// What is watched, in words.
fn words(plan: &WatchPlan) -> Vec<String> {
    let mut words = plan.selection.words();
    if let Some(command) = &plan.command {
        words.push(format!("command {}", command.program.to_string_lossy()));
    }
    words
}

/// Says that the probes are attached, and what they see. Scripts wait for this line.
pub fn announce(plan: &WatchPlan, ready: &Ready, canvas: Canvas) {
    let names = &ready.names;
    let names = match names.len() {
        _ if plan.selection.all => String::new(),
        0 => " (none of them runs yet)".to_owned(),
        1..=4 => format!(" ({})", names.join(", ")),
        more => format!(" ({} and {} more)", names[..3].join(", "), more - 3),
    };
    let until = match plan.duration {
        Some(time) => format!("for {}", humantime::format_duration(time)),
        None if plan.command.is_some() => "until it ends".to_owned(),
        None => "until Ctrl-C".to_owned(),
    };
    say(format_args!(
        "watching {}{names} {until}",
        words(plan).join(", ")
    ));
    for path in select::absent_exes(&plan.selection) {
        say(format_args!(
            "--exe {path}: there is no such file here now; what runs one of that path in a container, or once it is there, will be watched"
        ));
    }
    for probe in &ready.missing {
        say(probe);
    }
    if canvas.width.is_some() && !plan.show.quiet {
        say("requests are shown when they are complete; times are UTC");
    }
}

/// How a command ended, in words and as the status that a shell would give it.
#[must_use]
pub fn command_status(status: ExitStatus) -> (String, u8) {
    use std::os::unix::process::ExitStatusExt;
    let byte = |code: i32| u8::try_from(code).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => (format!("exited with status {code}"), byte(code)),
        (None, Some(signal)) => (format!("was ended by signal {signal}"), byte(128 + signal)),
        (None, None) => ("ended".to_owned(), u8::MAX),
    }
}
