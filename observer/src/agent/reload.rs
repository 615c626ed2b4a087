//! SIGHUP: reads the configuration again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use super::board::Board;
use super::choose::Current;
use super::rules;
use crate::budget::Limits;
use crate::cli::agent::{AgentArgs, AgentPlan, load};
use crate::stderr::say;

/// Puts a new configuration into force, as far as that goes without a new start.
pub struct Reloader {
    args: AgentArgs,
    plan: AgentPlan,
    current: Current,
    limits: Arc<Limits>,
}

/// Shown while the file is wrong.
const BAD: &str =
    "the configuration was changed, but is wrong: the one before it is in force (see the log)";

impl Reloader {
    /// Begins with `plan`, which `args` came to.
    pub fn new(args: AgentArgs, plan: AgentPlan, current: Current, limits: Arc<Limits>) -> Self {
        Self {
            args,
            plan,
            current,
            limits,
        }
    }

    /// Reads again at each SIGHUP, on a thread of its own. The flag that is returned is raised then, for
    /// files that may have been moved.
    ///
    /// # Errors
    ///
    /// If the signal can't be handled.
    pub fn start(mut self, board: Arc<Board>) -> io::Result<Arc<AtomicBool>> {
        let reopen = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&reopen);
        let mut signals = Signals::new([SIGHUP])?;
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    raised.store(true, Relaxed);
                    let fine = self.reload();
                    board.reloaded(fine);
                    board.note(BAD, !fine);
                }
            })?;
        Ok(reopen)
    }

    fn reload(&mut self) -> bool {
        let plan = match load(&self.args) {
            Ok(plan) => plan,
            Err(error) => {
                say(&error);
                say("the configuration before it stays in force");
                return false;
            }
        };
        self.current.set(rules(&plan));
        self.limits.set(plan.budget);
        let fixed = needs_start(&self.plan, &plan);
        self.plan = AgentPlan {
            include: plan.include,
            exclude: plan.exclude,
            system: plan.system,
            budget: plan.budget,
            ..self.plan.clone()
        };
        let but = match fixed.as_slice() {
            [] => String::new(),
            names => format!("; {} changes with the next start", names.join(", ")),
        };
        say(format_args!("the configuration was read again{but}"));
        true
    }
}

/// Settings that differ and can't be changed while running.
fn needs_start(old: &AgentPlan, new: &AgentPlan) -> Vec<&'static str> {
    [
        ("redact", old.show_query != new.show_query),
        ("btf", old.btf != new.btf),
        ("node", old.detail.node != new.detail.node),
        ("go", old.detail.go != new.detail.go),
        ("json", old.json != new.json),
        ("otlp and heal", old.heal != new.heal),
        ("metrics", old.metrics != new.metrics),
        ("kubernetes", old.kubernetes != new.kubernetes),
        ("privileges", old.privileges != new.privileges),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Governor;

    #[test]
    fn a_wrong_file_changes_nothing_and_a_right_one_what_can_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("include: [{exe: a}]");
        let args = AgentArgs {
            config: Some(path.clone()),
            ..AgentArgs::default()
        };
        let plan = load(&args).unwrap();
        let limits = Governor::new(plan.budget).limits();
        let mut reloader = Reloader::new(args, plan, Current::default(), limits);
        write("include: [{exe: b}]\nmetrics: {listen: off}");
        assert!(reloader.reload());
        assert_eq!(reloader.plan.include[0].exe.as_deref(), Some("b"));
        // What was not put into force is told again the next time.
        assert_eq!(
            needs_start(&reloader.plan, &load(&reloader.args).unwrap()),
            ["metrics"]
        );
        write("include: [{exe: c}]\nmetrcs: {}");
        assert!(!reloader.reload());
        assert_eq!(reloader.plan.include[0].exe.as_deref(), Some("b"));
    }
}
