use std::time::Duration;

use clap::{CommandFactory, Parser};
use observer_core::judged::{LogVerdict, Verdict};

use super::args::{Cli, Command};
use super::error::PlanError;
use super::watch::WatchPlan;

fn watch(args: &[&str]) -> Result<WatchPlan, PlanError> {
    let typed = ["observer", "watch"].iter().chain(args);
    match Cli::try_parse_from(typed).unwrap().command {
        Command::Watch(args) => super::watch::plan(args),
        other => panic!("{other:?}"),
    }
}

fn refused_by_clap(args: &[&str]) -> String {
    let typed = ["observer", "watch"].iter().chain(args);
    Cli::try_parse_from(typed).unwrap_err().to_string()
}

#[test]
fn definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn selections_add_up() {
    let plan = watch(&[
        "--pid",
        "7",
        "--pid",
        "3",
        "--comm",
        "a-very-long-process-name",
    ])
    .unwrap();
    assert_eq!(
        plan.selection.pids.iter().copied().collect::<Vec<_>>(),
        [3, 7]
    );
    assert_eq!(plan.selection.comms, ["a-very-long-pro"]);
    // The kernel counts bytes: this name is cut within its last letter.
    let plan = watch(&["--comm", "abcdefghijklmné"]).unwrap();
    assert_eq!(plan.selection.comms, ["abcdefghijklmn\\xc3"]);
    assert!(plan.selection.is_open());
}

#[test]
fn a_command_keeps_its_own_flags() {
    let plan = watch(&["--duration", "90", "--", "python3", "--pid", "x"]).unwrap();
    let command = plan.command.unwrap();
    assert_eq!(command.program, "python3");
    assert_eq!(command.args, ["--pid", "x"]);
    assert_eq!(plan.duration, Some(Duration::from_secs(90)));
    assert!(!plan.selection.is_open());
}

#[test]
fn nothing_selected_is_refused() {
    assert_eq!(watch(&[]), Err(PlanError::NothingSelected));
    assert_eq!(
        watch(&["--duration", "5s"]),
        Err(PlanError::NothingSelected)
    );
}

#[test]
fn all_stands_alone() {
    assert!(watch(&["--all"]).unwrap().selection.all);
    assert_eq!(
        watch(&["--all", "--pid", "1"]),
        Err(PlanError::AllAndMore("--pid"))
    );
    assert!(matches!(
        watch(&["--all", "--port", "80"]),
        Err(PlanError::AllAndMore(_))
    ));
}

#[test]
fn verdicts_are_found_on_both_sides() {
    let filter = watch(&["--all", "--only", "dropped,crossed", "--only", "missing"])
        .unwrap()
        .show
        .filter;
    assert_eq!(
        filter.calls.into_iter().collect::<Vec<_>>(),
        [Verdict::Dropped, Verdict::Crossed]
    );
    assert_eq!(
        filter.logs.into_iter().collect::<Vec<_>>(),
        [LogVerdict::Missing, LogVerdict::Crossed]
    );
}

#[test]
fn contradictions_are_refused() {
    let error = watch(&["--all", "--only", "droped"]).unwrap_err();
    assert!(error.to_string().contains("dropped, restarted"));
    assert_eq!(
        watch(&["--all", "--quiet", "--path", "/x"]),
        Err(PlanError::QuietAndFilter("--path"))
    );
    assert_eq!(
        watch(&["--all", "--logs", "none", "--only", "missing"]),
        Err(PlanError::HiddenVerdict("missing"))
    );
    assert_eq!(
        watch(&["--all", "--path", "cart"]),
        Err(PlanError::Path("cart".into()))
    );
    assert_eq!(watch(&["--comm", ""]), Err(PlanError::Empty("--comm")));
}

#[test]
fn impossible_values_are_refused() {
    for args in [
        ["--pid", "0"],
        ["--pid", "-1"],
        ["--port", "70000"],
        ["--port", "0"],
        ["--duration", "0"],
        ["--duration", "-3"],
        ["--duration", "soon"],
        ["--output", "xml"],
    ] {
        let message = refused_by_clap(&args);
        assert!(message.contains(args[1]), "{message}");
    }
}

#[test]
fn executables_are_found_through_symbolic_links() {
    let folder = std::env::temp_dir().join(format!("observer-exe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let own = std::env::current_exe().unwrap().canonicalize().unwrap();
    let link = folder.join("link");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&own, &link).unwrap();
    let selected = |typed: &str| watch(&["--exe", typed]).unwrap().selection.exes;
    assert_eq!(selected(link.to_str().unwrap()), [own.to_str().unwrap()]);
    assert_eq!(selected("link"), ["link"]);
    assert_eq!(selected("/no/such/file"), ["/no/such/file"]);
    // Nobody's executable is a folder, nor has it a path that begins nowhere.
    assert_eq!(
        watch(&["--exe", folder.to_str().unwrap()]),
        Err(PlanError::ExeIsFolder(folder.to_str().unwrap().to_owned()))
    );
    assert_eq!(
        watch(&["--exe", "no/such/file"]),
        Err(PlanError::NoExe(
            "no/such/file".into(),
            std::io::ErrorKind::NotFound
        ))
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
