//! Rules that say which processes are meant.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Why a rule is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RuleError {
    /// Nothing in it.
    #[error("a rule needs at least one KEY=PATTERN; keys are {KEYS}")]
    Empty,
    /// Something without `=`.
    #[error("`{0}`: a rule is KEY=PATTERN[,KEY=PATTERN…]; keys are {KEYS}")]
    NoPattern(String),
    /// A key that rules do not have.
    #[error("`{0}` is no key of a rule; keys are {KEYS}")]
    UnknownKey(String),
    /// Not a port.
    #[error("`{0}` is no TCP port, and no range of them like 8000-8099")]
    Port(String),
    /// The same key twice.
    #[error("`{0}` is there twice; a process has only one: write two rules")]
    Twice(String),
}

const KEYS: &str = "exe, comm, command, port, cgroup, container, namespace, pod, owner, label.NAME";

/// Properties of a process; one matches if all those that are given do. Texts are patterns with `*`
/// and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Its executable: a path, or a file name.
    pub exe: Option<String>,
    /// Its name, as in `ps -o comm`.
    pub comm: Option<String>,
    /// Its command line, arguments separated by a space.
    pub command: Option<String>,
    /// A TCP port that it listens on, or a range.
    pub port: Option<Ports>,
    /// Its control group, or one above it.
    pub cgroup: Option<String>,
    /// Its container: name (with Kubernetes), or the beginning of the id.
    pub container: Option<String>,
    /// Its pod's namespace.
    pub namespace: Option<String>,
    /// Its pod's name.
    pub pod: Option<String>,
    /// What owns its pod: a name, or `kind/name` (`deployment/cart`).
    pub owner: Option<String>,
    /// Labels of its pod.
    pub labels: BTreeMap<String, String>,
}

/// TCP ports, the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PortText")]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Ports {
    /// Whether `port` is one of them.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PortText {
    Number(u16),
    Text(String),
}

impl TryFrom<PortText> for Ports {
    type Error = RuleError;

    fn try_from(text: PortText) -> Result<Self, RuleError> {
        match text {
            PortText::Number(port) => port.to_string().parse(),
            PortText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Ports {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(RuleError::Port(text.to_owned())),
        }
    }
}

impl Rule {
    /// Whether nothing is asked of a process, so that every one would match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks for something that only the Kubernetes API knows.
    #[must_use]
    pub fn needs_kubernetes(&self) -> bool {
        self.namespace.is_some()
            || self.pod.is_some()
            || self.owner.is_some()
            || !self.labels.is_empty()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), RuleError> {
        let twice = || RuleError::Twice(key.to_owned());
        if key == "port" {
            let before = self.port.replace(value.parse()?);
            return before.map_or(Ok(()), |_| Err(twice()));
        }
        let value = value.to_owned();
        let before = if let Some(name) = key.strip_prefix("label.") {
            self.labels.insert(name.to_owned(), value)
        } else {
            let field = match key {
                "exe" => &mut self.exe,
                "comm" => &mut self.comm,
                "command" => &mut self.command,
                "cgroup" => &mut self.cgroup,
                "container" => &mut self.container,
                "namespace" => &mut self.namespace,
                "pod" => &mut self.pod,
                "owner" => &mut self.owner,
                _ => return Err(RuleError::UnknownKey(key.to_owned())),
            };
            field.replace(value)
        };
        before.map_or(Ok(()), |_| Err(twice()))
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut rule = Self::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .filter(|(_, value)| !value.trim().is_empty())
                .ok_or_else(|| RuleError::NoPattern(part.trim().to_owned()))?;
            rule.set(key.trim(), value.trim())?;
        }
        if rule.is_empty() {
            return Err(RuleError::Empty);
        }
        Ok(rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|ports| match ports {
            Ports { first, last } if first == last => first.to_string(),
            Ports { first, last } => format!("{first}-{last}"),
        });
        let texts = [
            ("exe", &self.exe),
            ("comm", &self.comm),
            ("command", &self.command),
            ("port", &port),
            ("cgroup", &self.cgroup),
            ("container", &self.container),
            ("namespace", &self.namespace),
            ("pod", &self.pod),
            ("owner", &self.owner),
        ];
        let given = texts
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
        let labels = self.labels.iter().map(|(k, v)| format!("label.{k}={v}"));
        f.write_str(&given.chain(labels).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        let text = "exe=/usr/bin/*,port=8000-8099,namespace=shop,label.app.kubernetes.io/name=cart";
        let rule: Rule = text.parse().unwrap();
        assert_eq!(rule.to_string(), text);
        assert!(rule.needs_kubernetes());
        assert!(rule.port.unwrap().contains(8099));
        assert!(!rule.port.unwrap().contains(8100));
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let refused = |text: &str| text.parse::<Rule>().unwrap_err();
        assert_eq!(refused(""), RuleError::Empty);
        assert_eq!(refused("nginx"), RuleError::NoPattern("nginx".into()));
        assert_eq!(refused("exe="), RuleError::NoPattern("exe=".into()));
        assert_eq!(refused("name=x"), RuleError::UnknownKey("name".into()));
        assert_eq!(refused("port=0"), RuleError::Port("0".into()));
        assert_eq!(refused("port=9-8"), RuleError::Port("9-8".into()));
        assert_eq!(refused("exe=a,exe=b"), RuleError::Twice("exe".into()));
    }
}
