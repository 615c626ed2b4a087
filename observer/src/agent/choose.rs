//! Chooses processes by the rules of the configuration.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use observer_core::ids::Tgid;

use super::daemons::is_daemon;
use super::listeners::Listeners;
use crate::cli::agent::Rule;
use crate::cli::pattern::matches;
use crate::facts::container::{Container, container};
use crate::facts::{Proc, Process};
use crate::kubernetes::{Directory, Pod};
use crate::watch::choose::{Changes, Chooser};

/// How often it is looked whether processes that match a rule but for its port listen by now, and
/// whether names from Kubernetes have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Processes that are looked at again for their ports, at most.
const MAX_WAITING: usize = 4_096;

/// Rules, as the configuration has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is observed; nothing: all but the system's daemons.
    pub include: Vec<Rule>,
    /// What is not, whatever else matches.
    pub exclude: Vec<Rule>,
    /// Whether the system's daemons are observed where nothing is included by name.
    pub system: bool,
}

/// The rules in force, which a reload replaces.
#[derive(Clone, Debug, Default)]
pub struct Current(Arc<Mutex<(Rules, u64)>>);

impl Current {
    /// Puts rules into force.
    pub fn set(&self, rules: Rules) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.0 = rules;
        current.1 += 1;
    }

    fn since(&self, version: u64) -> Option<(Rules, u64)> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (current.1 != version).then(|| current.clone())
    }
}

/// How a process relates to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// It is to be observed.
    Yes,
    /// Not.
    No,
    /// Not now: it would match if it listened on a port, or once its pod is known.
    NotYet,
}

/// Chooses by rules.
pub struct ByRules {
    current: Current,
    rules: Rules,
    version: u64,
    directory: Option<Arc<Directory>>,
    known_names: u64,
    looked: Instant,
    listeners: Listeners,
    /// Processes that may match later.
    waiting: BTreeSet<Tgid>,
    own: u32,
}

impl ByRules {
    /// Chooses by what is in force in `current`, with names from `directory`.
    pub fn new(current: Current, directory: Option<Arc<Directory>>) -> Self {
        let (rules, version) = current.since(0).unwrap_or_default();
        Self {
            current,
            rules,
            version,
            directory,
            known_names: 0,
            looked: Instant::now(),
            listeners: Listeners::default(),
            waiting: BTreeSet::new(),
            own: std::process::id(),
        }
    }

    fn judge(&mut self, process: &Process) -> bool {
        let tgid = Tgid(process.pid);
        let choice = if process.pid == self.own {
            Choice::No
        } else {
            choose(
                &self.rules,
                self.directory.as_deref(),
                &self.listeners,
                process,
            )
        };
        if choice == Choice::NotYet && self.waiting.len() < MAX_WAITING {
            self.waiting.insert(tgid);
        } else {
            self.waiting.remove(&tgid);
        }
        choice == Choice::Yes
    }

    fn judge_all(&mut self, proc: &Proc) -> Changes {
        self.waiting.clear();
        let (watch, leave) = proc.processes().partition::<Vec<_>, _>(|p| self.judge(p));
        let ids = |all: Vec<Process>| all.into_iter().map(|p| Tgid(p.pid)).collect();
        Changes {
            watch: ids(watch),
            leave: ids(leave),
        }
    }
}

impl Chooser for ByRules {
    fn wants(&mut self, process: &Process) -> bool {
        self.judge(process)
    }

    fn takes_children(&self) -> bool {
        false
    }

    fn has_rules(&self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }

    fn look(&mut self, proc: &Proc) -> Changes {
        self.judge_all(proc)
    }

    fn look_again(&mut self, proc: &Proc) -> Changes {
        if let Some((rules, version)) = self.current.since(self.version) {
            (self.rules, self.version) = (rules, version);
            return self.judge_all(proc);
        }
        if self.looked.elapsed() < LOOK_EVERY {
            return Changes::default();
        }
        self.looked = Instant::now();
        let names = self.directory.as_ref().map_or(0, |d| d.version());
        if names != self.known_names && needs_names(&self.rules) {
            self.known_names = names;
            return self.judge_all(proc);
        }
        let waiting: Vec<Process> = self.waiting.iter().map(|t| proc.process(t.0)).collect();
        let mut changes = Changes::default();
        for process in waiting {
            if !process.exists() {
                self.waiting.remove(&Tgid(process.pid));
            } else if self.judge(&process) {
                changes.watch.insert(Tgid(process.pid));
            }
        }
        changes
    }
}

fn needs_names(rules: &Rules) -> bool {
    let rules = rules.include.iter().chain(&rules.exclude);
    rules
        .into_iter()
        .any(|rule| rule.needs_kubernetes() || rule.container.is_some())
}

/// A process with what is looked up of it at most once.
struct Subject<'a> {
    process: &'a Process,
    listeners: &'a Listeners,
    exe: Option<String>,
    groups: Vec<String>,
    container: Option<Container>,
    pod: Option<Arc<Pod>>,
}

fn choose(
    rules: &Rules,
    directory: Option<&Directory>,
    listeners: &Listeners,
    process: &Process,
) -> Choice {
    if rules.include.is_empty() && !rules.system && is_daemon(process) {
        return Choice::No;
    }
    let groups = process.cgroups();
    let container = container(&groups);
    let pod = directory
        .zip(container.as_ref())
        .and_then(|(directory, container)| directory.pod(container));
    let exe = process.exe();
    if exe.is_none() && process.args().is_empty() {
        // A kernel thread, or one that has ended.
        return Choice::No;
    }
    let subject = Subject {
        listeners,
        exe,
        process,
        groups,
        container,
        pod,
    };
    let mut best = Choice::No;
    for rule in &rules.exclude {
        match subject.matches(rule) {
            Choice::Yes => return Choice::No,
            // Whether it is excluded can't be told yet: rather not.
            Choice::NotYet if rule.needs_kubernetes() => best = Choice::NotYet,
            _ => {}
        }
    }
    if best == Choice::NotYet {
        return best;
    }
    if rules.include.is_empty() {
        return Choice::Yes;
    }
    for rule in &rules.include {
        match subject.matches(rule) {
            Choice::Yes => return Choice::Yes,
            Choice::NotYet => best = Choice::NotYet,
            Choice::No => {}
        }
    }
    best
}

impl Subject<'_> {
    /// Whether everything matches that `rule` asks for.
    fn matches(&self, rule: &Rule) -> Choice {
        let text = |pattern: &Option<String>, value: &dyn Fn() -> Option<String>| {
            let Some(pattern) = pattern else {
                return true;
            };
            value().is_some_and(|value| matches(pattern, &value))
        };
        let all = self.exe_matches(rule)
            && text(&rule.comm, &|| self.process.comm())
            && text(&rule.command, &|| Some(self.process.args().join(" ")))
            && self.group_matches(rule);
        if !all {
            return Choice::No;
        }
        let named = self.names_match(rule);
        match (named, rule.port) {
            (Choice::Yes, Some(ports)) => {
                if self.listeners.listens(self.process, ports) {
                    Choice::Yes
                } else {
                    Choice::NotYet
                }
            }
            (named, _) => named,
        }
    }

    /// A pattern with `/` must match the path; one without, the file's name.
    fn exe_matches(&self, rule: &Rule) -> bool {
        let Some(pattern) = &rule.exe else {
            return true;
        };
        self.exe.as_ref().is_some_and(|exe| {
            let name = exe.rsplit('/').next().unwrap_or(exe);
            matches(pattern, if pattern.contains('/') { exe } else { name })
        })
    }

    fn group_matches(&self, rule: &Rule) -> bool {
        let Some(pattern) = &rule.cgroup else {
            return true;
        };
        let pattern = pattern.trim_end_matches('/');
        self.groups.iter().any(|group| {
            let ends = group.match_indices('/').map(|(at, _)| at).skip(1);
            let above = ends.chain([group.len()]).map(|at| &group[..at]);
            pattern.is_empty() || above.into_iter().any(|group| matches(pattern, group))
        })
    }

    /// What the container, and Kubernetes, say.
    fn names_match(&self, rule: &Rule) -> Choice {
        if rule.container.is_none() && !rule.needs_kubernetes() {
            return Choice::Yes;
        }
        let Some(container) = &self.container else {
            return Choice::No;
        };
        if let Some(pattern) = &rule.container
            && container.id.starts_with(pattern.as_str())
            && !rule.needs_kubernetes()
        {
            return Choice::Yes;
        }
        let Some(pod) = &self.pod else {
            return Choice::NotYet;
        };
        let is = |pattern: &Option<String>, value: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| matches(pattern, value))
        };
        let owner = rule
            .owner
            .as_ref()
            .is_none_or(|pattern| pod.is_owned_by(pattern));
        let labels = rule.labels.iter().all(|(name, pattern)| {
            let value = pod.labels.get(name);
            value.is_some_and(|value| matches(pattern, value))
        });
        let in_container = rule.container.as_ref().is_none_or(|pattern| {
            container.id.starts_with(pattern.as_str())
                || pod
                    .container(&container.id)
                    .is_some_and(|name| matches(pattern, name))
        });
        let all = is(&rule.namespace, &pod.namespace)
            && is(&rule.pod, &pod.name)
            && owner
            && labels
            && in_container;
        if all { Choice::Yes } else { Choice::No }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn own(rules: &[&str], not: &[&str]) -> Choice {
        let parse = |rules: &[&str]| rules.iter().map(|r| r.parse().unwrap()).collect();
        let rules = Rules {
            include: parse(rules),
            exclude: parse(not),
            system: false,
        };
        let process = Proc::default().process(std::process::id());
        choose(&rules, None, &Listeners::default(), &process)
    }

    #[test]
    fn a_process_is_chosen_by_each_property_and_by_all_of_them() {
        let process = Proc::default().process(std::process::id());
        let (exe, comm) = (process.exe().unwrap(), process.comm().unwrap());
        let file = exe.rsplit('/').next().unwrap();
        assert_eq!(own(&[], &[]), Choice::Yes);
        for rule in [
            format!("exe={exe}"),
            format!("exe={file}"),
            format!("exe=*/{file}"),
            format!("comm={comm}"),
            format!("command=*{file}*"),
            "cgroup=/".to_owned(),
            format!("exe={file},comm={comm}"),
        ] {
            assert_eq!(own(&[&rule], &[]), Choice::Yes, "{rule}");
            assert_eq!(own(&[], &[&rule]), Choice::No, "{rule}");
            assert_eq!(own(&["exe=x", &rule], &[]), Choice::Yes, "{rule}");
        }
        for rule in [
            "exe=x",
            "comm=x",
            "command=x",
            "cgroup=/x",
            &format!("exe={file},comm=x"),
        ] {
            assert_eq!(own(&[rule], &[]), Choice::No, "{rule}");
            assert_eq!(own(&[], &[rule]), Choice::Yes, "{rule}");
        }
    }

    #[test]
    fn who_listens_is_found_and_who_may_listen_later_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(own(&[&format!("port={port}")], &[]), Choice::Yes);
        assert_eq!(own(&[&format!("port={port},exe=x")], &[]), Choice::No);
        drop(listener);
        assert_eq!(own(&[&format!("port={port}")], &[]), Choice::NotYet);
    }

    #[test]
    fn what_asks_for_a_container_matches_none_outside() {
        assert_eq!(own(&["namespace=shop"], &[]), Choice::No);
        assert_eq!(own(&["container=*"], &[]), Choice::No);
        assert_eq!(own(&[], &["label.app=x"]), Choice::Yes);
    }
}
