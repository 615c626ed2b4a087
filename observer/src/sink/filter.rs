//! Which judged things are shown.

use observer_core::judged::{Exchange, Log};

use super::trees::{Part, Tree};
use crate::cli::pattern;
use crate::cli::show::{Filter, Logs, ShowPlan};

/// What a [`ShowPlan`] lets through.
#[derive(Clone, Debug)]
pub struct Sieve {
    filter: Filter,
    logs: Logs,
}

impl Sieve {
    /// As `plan` says.
    pub fn new(plan: &ShowPlan) -> Self {
        Self {
            filter: plan.filter.clone(),
            logs: plan.logs,
        }
    }

    /// Whether nothing is held back.
    pub fn is_open(&self) -> bool {
        self.filter.is_empty() && self.logs == Logs::All
    }

    /// The tree as it is shown to people: whole, without the log lines that are not wanted, if any
    /// of it matches.
    pub fn whole(&self, mut tree: Tree) -> Option<Tree> {
        tree.parts.retain(|part| self.wanted(part));
        if tree.request.is_none() && tree.parts.is_empty() {
            return None;
        }
        let matches = tree.request.as_ref().is_some_and(|r| self.request(r))
            || tree.parts.iter().any(|part| self.part(&tree, part));
        matches.then_some(tree)
    }

    /// The tree as it is told to programs: only what matches by itself.
    pub fn matching(&self, mut tree: Tree) -> Tree {
        let parts = std::mem::take(&mut tree.parts);
        let parts = parts
            .into_iter()
            .filter(|part| self.wanted(part) && self.part(&tree, part))
            .collect();
        tree.request = tree.request.filter(|request| self.request(request));
        tree.parts = parts;
        tree
    }

    fn wanted(&self, part: &Part) -> bool {
        match (part, self.logs) {
            (Part::Call(_), _) | (_, Logs::All) => true,
            (Part::Line(_), Logs::None) => false,
            (Part::Line(line), Logs::Lost) => line.verdict.is_loss(),
        }
    }

    fn only_is_given(&self) -> bool {
        !(self.filter.calls.is_empty() && self.filter.logs.is_empty())
    }

    fn request(&self, request: &Exchange) -> bool {
        // A request is not judged itself: with --only it is there for what was done for it.
        !self.only_is_given() && self.path(&request.target) && self.exchange_peer(request)
    }

    fn part(&self, tree: &Tree, part: &Part) -> bool {
        self.verdict(part) && self.part_path(tree, part) && self.part_peer(tree, part)
    }

    fn verdict(&self, part: &Part) -> bool {
        if !self.only_is_given() {
            return true;
        }
        match part {
            Part::Call(call) => call.verdict.is_some_and(|v| self.filter.calls.contains(&v)),
            Part::Line(line) => self.log_verdict(line),
        }
    }

    fn log_verdict(&self, line: &Log) -> bool {
        self.filter.logs.contains(&line.verdict)
    }

    fn part_path(&self, tree: &Tree, part: &Part) -> bool {
        let own = matches!(part, Part::Call(call) if self.path(&call.target));
        own || match (&tree.request, &tree.earlier) {
            (Some(request), _) => self.path(&request.target),
            (None, Some(earlier)) => self.path(&earlier.target),
            (None, None) => self.filter.paths.is_empty(),
        }
    }

    fn part_peer(&self, tree: &Tree, part: &Part) -> bool {
        let own = matches!(part, Part::Call(call) if self.exchange_peer(call));
        own || match (&tree.request, &tree.earlier) {
            (Some(request), _) => self.exchange_peer(request),
            (None, Some(earlier)) => {
                self.peer(&earlier.peer.0.to_string(), earlier.peer.1.as_deref())
            }
            (None, None) => self.filter.peers.is_empty(),
        }
    }

    fn path(&self, target: &str) -> bool {
        let path = target.split(['?', '#']).next().unwrap_or(target);
        self.filter.paths.is_empty() || self.filter.paths.iter().any(|p| path_matches(p, path))
    }

    fn exchange_peer(&self, exchange: &Exchange) -> bool {
        if self.filter.peers.is_empty() {
            return true;
        }
        let host = exchange.host.as_deref();
        self.peer(&exchange.peer.to_string(), exchange.peer_service.as_deref())
            || host.is_some_and(|host| self.peer(host, None))
    }

    fn peer(&self, address: &str, service: Option<&str>) -> bool {
        self.filter.peers.is_empty()
            || self.filter.peers.iter().any(|wanted| {
                service == Some(wanted)
                    || address == wanted
                    || address
                        .strip_suffix(wanted.as_str())
                        .is_some_and(|rest| wanted.starts_with(':') && !rest.is_empty())
                    || address.strip_prefix(wanted.as_str()).is_some_and(is_port)
            })
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether `path` matches `pattern`: a prefix, or with `*` (any text) or `?` (any character) all of it.
fn path_matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return path.starts_with(pattern);
    }
    pattern::matches(pattern, path)
}

#[cfg(test)]
mod tests {
    use observer_core::judged::{LogVerdict, Verdict};

    use super::*;
    use crate::sink::samples;

    fn sieve(change: impl Fn(&mut ShowPlan)) -> Sieve {
        let mut plan = samples::plan();
        change(&mut plan);
        Sieve::new(&plan)
    }

    fn sizes(sieve: &Sieve) -> (Option<usize>, usize) {
        let whole = sieve.whole(samples::tree());
        let matching = sieve.matching(samples::tree());
        (
            whole.map(|tree| tree.into_judged().count()),
            matching.into_judged().count(),
        )
    }

    #[test]
    fn patterns() {
        assert!(path_matches("/cart", "/cart/1") && !path_matches("/cart", "/card"));
        assert!(path_matches("/cart/*/items", "/cart/1/2/items"));
        assert!(path_matches("*", "") && path_matches("*x*y*", "axbxcyd"));
        assert!(!path_matches("/cart/?", "/cart/12") && path_matches("/cart/??", "/cart/12"));
    }

    #[test]
    fn nothing_asked_for_shows_everything() {
        assert!(sieve(|_| ()).is_open());
        let all = samples::tree().into_judged().count();
        assert_eq!(sizes(&sieve(|_| ())), (Some(all), all));
    }

    #[test]
    fn one_matching_part_shows_the_request_to_people_and_itself_to_programs() {
        let all = samples::tree().into_judged().count();
        let only = |v| sieve(move |p| p.filter.calls = [v].into());
        assert_eq!(sizes(&only(Verdict::Dropped)), (Some(all), 1));
        assert_eq!(sizes(&only(Verdict::Crossed)), (None, 0));
        let logs = sieve(|p| p.filter.logs = [LogVerdict::Missing].into());
        assert_eq!(sizes(&logs), (Some(all), 1));
    }

    #[test]
    fn a_path_of_the_request_covers_its_parts() {
        let all = samples::tree().into_judged().count();
        let path = |p: &str| {
            let p = p.to_owned();
            sieve(move |plan| plan.filter.paths = vec![p.clone()])
        };
        assert_eq!(sizes(&path("/cart")), (Some(all), all));
        assert_eq!(sizes(&path("/discount")), (Some(all), 1));
        assert_eq!(sizes(&path("/nothing")), (None, 0));
    }

    #[test]
    fn peers_are_named_by_service_host_or_port() {
        for peer in ["discounts", "10.0.0.9:8082", "10.0.0.9", ":8082"] {
            let sieve = sieve(|p| p.filter.peers = vec![peer.to_owned()]);
            assert_eq!(sizes(&sieve).1, 1, "{peer}");
        }
        for peer in ["10.0.0.", "8082", "discount"] {
            let sieve = sieve(|p| p.filter.peers = vec![peer.to_owned()]);
            assert_eq!(sizes(&sieve), (None, 0), "{peer}");
        }
    }

    #[test]
    fn log_lines_can_be_left_out() {
        let all = samples::tree().into_judged().count();
        assert_eq!(sizes(&sieve(|p| p.logs = Logs::None)).1, all - 2);
        assert_eq!(sizes(&sieve(|p| p.logs = Logs::Lost)).1, all - 1);
    }
}
