//! Cells as series of metrics, and back: the one form for JSON and Prometheus (docs/metrics.md).

use std::collections::BTreeMap;

use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use super::{Cell, How, Measure, Name, Reckoning, Unread};
use crate::judged::Verdict;
use crate::text::{Text, printable};

/// A family of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Name of its series, ending in `_total`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
}

const CALLS: &str = "observer_calls_total";
const ROUTES: &str = "observer_route_calls_total";
const REQUESTS: &str = "observer_requests_total";
const SERVED: &str = "observer_served_total";
const LINES: &str = "observer_log_events_total";
const ACTIVITY: &str = "observer_activity_total";
const INCONCLUSIVE: &str = "observer_inconclusive_total";
const UNOBSERVED: &str = "observer_unobserved_connections_total";
const UNREADABLE: &str = "observer_unreadable_messages_total";
const LEFT_OUT_CALLS: &str = "observer_left_out_calls_total";
const LEFT_OUT_CALLS_VARIANCE: &str = "observer_left_out_calls_variance_total";
const LEFT_OUT_REQUESTS: &str = "observer_left_out_requests_total";
const LEFT_OUT_REQUESTS_VARIANCE: &str = "observer_left_out_requests_variance_total";
const LEFT_OUT_SOCKET_CALLS: &str = "observer_left_out_socket_calls_total";
const EXPECTED_SOCKET_CALLS: &str = "observer_left_out_socket_calls_expected_total";
const LOSSES: &str = "observer_losses_total";
const RECORDS: &str = "observer_records_total";

/// All families, in the order of cells.
pub const FAMILIES: [Family; 17] = [
    family(CALLS, "Calls, by verdict and what tells causes."),
    family(ROUTES, "Judged calls, by route."),
    family(
        REQUESTS,
        "Requests served, by the context that they came in with.",
    ),
    family(SERVED, "Requests served, by the address that they came to."),
    family(LINES, "Logged events, by verdict."),
    family(
        ACTIVITY,
        "Requests, calls and logged events, by what the service runs on.",
    ),
    family(
        INCONCLUSIVE,
        "Calls and logged events that could not be judged, by reason.",
    ),
    family(
        UNOBSERVED,
        "Connections that are not observed, by what they carry.",
    ),
    family(
        UNREADABLE,
        "Messages that broke the rules of HTTP and so were passed over.",
    ),
    family(
        LEFT_OUT_CALLS,
        "Calls on connections that were left out by sampling, by estimate.",
    ),
    family(
        LEFT_OUT_CALLS_VARIANCE,
        "Variance of the estimate of calls that were left out.",
    ),
    family(
        LEFT_OUT_REQUESTS,
        "Requests on connections that were left out by sampling, by estimate.",
    ),
    family(
        LEFT_OUT_REQUESTS_VARIANCE,
        "Variance of the estimate of requests that were left out.",
    ),
    family(
        LEFT_OUT_SOCKET_CALLS,
        "System calls on connections that were left out by sampling, as counted.",
    ),
    family(
        EXPECTED_SOCKET_CALLS,
        "System calls on connections that were left out by sampling, by estimate.",
    ),
    family(LOSSES, "What was lost on the way, by kind."),
    family(RECORDS, "Records that the pipeline took in."),
];

/// All labels of series; whatever else a series has is its scraper's.
pub const LABELS: [&str; 18] = [
    "service_name",
    "service_namespace",
    "peer_name",
    "peer_namespace",
    "verdict",
    "execution",
    "format",
    "request",
    "route",
    "context",
    "address",
    "runtime",
    "reason",
    "protocol",
    "role",
    "message",
    "flaw",
    "kind",
];

const fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, help }
}

/// A count of one cell, as a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Name of its family.
    pub metric: Text,
    /// Labels; one that is absent is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Text, Text>,
    /// How many.
    pub count: u64,
}

/// Why a series is no cell of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACell {
    /// No such family.
    #[error("no such metric is known")]
    Metric,
    /// A label that must be there is missing, or has a value that is not known.
    #[error("label {0} is missing, or its value is not known")]
    Label(&'static str),
}

impl Series {
    /// The series of a cell.
    #[must_use]
    pub fn new(cell: &Cell, count: u64) -> Self {
        let mut series = Self {
            metric: Text::default(),
            labels: BTreeMap::new(),
            count,
        };
        series.fill(cell);
        series
    }

    fn fill(&mut self, cell: &Cell) {
        self.metric = Text::new_static(metric(cell));
        match cell {
            Cell::Calls {
                service,
                peer,
                verdict,
                how,
            } => {
                self.service(service);
                self.peer(peer);
                self.label("verdict", verdict.name());
                if let Some((label, value)) = how_label(*how) {
                    self.label(label, value);
                }
            }
            Cell::Routes {
                service,
                peer,
                route,
                carried,
            } => {
                self.service(service);
                self.peer(peer);
                self.label("route", route.clone());
                self.label("context", word(carried));
            }
            Cell::Requests { service, context } => {
                self.service(service);
                self.label("context", word(context));
            }
            Cell::Served { service, address } => {
                self.service(service);
                self.label("address", address.clone());
            }
            Cell::Lines { service, verdict } => {
                self.service(service);
                self.label("verdict", verdict.name());
            }
            Cell::Activity { service, runtime } => {
                self.service(service);
                self.label("runtime", word(runtime));
            }
            Cell::Inconclusive { service, reason } => {
                self.service(service);
                self.label("reason", reason.clone());
            }
            Cell::Unobserved { service, protocol } => {
                self.service(service);
                self.label("protocol", word(protocol));
            }
            Cell::Unreadable {
                service,
                peer,
                unread,
            } => {
                self.service(service);
                self.label("peer_name", peer.clone());
                self.label("role", word(&unread.role));
                self.label("message", word(&unread.message));
                self.label("flaw", word(&unread.flaw));
            }
            Cell::LeftOut { service, peer, .. } => {
                self.service(service);
                if let Some(peer) = peer {
                    self.peer(peer);
                }
            }
            Cell::Reckoned { service, role, .. } => {
                self.service(service);
                self.label("role", word(role));
            }
            Cell::Losses { service, kind } => {
                if let Some(service) = service {
                    self.service(service);
                }
                self.label("kind", word(kind));
            }
            Cell::Records => {}
        }
    }

    fn label(&mut self, name: &'static str, value: impl Into<Text>) {
        debug_assert!(LABELS.contains(&name), "{name} is no label");
        self.labels.insert(Text::new_static(name), value.into());
    }

    fn service(&mut self, name: &Name) {
        self.label("service_name", name.name.clone());
        if !name.namespace.is_empty() {
            self.label("service_namespace", name.namespace.clone());
        }
    }

    fn peer(&mut self, name: &Name) {
        self.label("peer_name", name.name.clone());
        if !name.namespace.is_empty() {
            self.label("peer_namespace", name.namespace.clone());
        }
    }

    /// The cell of a series. Labels that it does not know are ignored; values are made printable.
    ///
    /// # Errors
    ///
    /// If this version knows no such cell: newer observers may count more.
    pub fn cell(&self) -> Result<Cell, NotACell> {
        let get = Labels(&self.labels);
        let service = || get.name("service_name", "service_namespace");
        let peer = || get.name("peer_name", "peer_namespace");
        Ok(match self.metric.as_str() {
            CALLS => {
                let verdict = get.word("verdict")?;
                Cell::Calls {
                    service: service()?,
                    peer: peer()?,
                    verdict,
                    how: get.how(verdict)?,
                }
            }
            ROUTES => Cell::Routes {
                service: service()?,
                peer: peer()?,
                route: get.text("route")?,
                carried: get.word("context")?,
            },
            REQUESTS => Cell::Requests {
                service: service()?,
                context: get.word("context")?,
            },
            SERVED => Cell::Served {
                service: service()?,
                address: get.text("address")?,
            },
            LINES => Cell::Lines {
                service: service()?,
                verdict: get.word("verdict")?,
            },
            ACTIVITY => Cell::Activity {
                service: service()?,
                runtime: get.word("runtime")?,
            },
            INCONCLUSIVE => Cell::Inconclusive {
                service: service()?,
                reason: get.text("reason")?,
            },
            UNOBSERVED => Cell::Unobserved {
                service: service()?,
                protocol: get.word("protocol")?,
            },
            UNREADABLE => Cell::Unreadable {
                service: service()?,
                peer: get.text("peer_name")?,
                unread: Unread {
                    role: get.word("role")?,
                    message: get.word("message")?,
                    flaw: get.word("flaw")?,
                },
            },
            LEFT_OUT_CALLS | LEFT_OUT_CALLS_VARIANCE => Cell::LeftOut {
                service: service()?,
                peer: Some(peer()?),
                measure: measure(&self.metric),
            },
            LEFT_OUT_REQUESTS | LEFT_OUT_REQUESTS_VARIANCE => Cell::LeftOut {
                service: service()?,
                peer: None,
                measure: measure(&self.metric),
            },
            LEFT_OUT_SOCKET_CALLS | EXPECTED_SOCKET_CALLS => Cell::Reckoned {
                service: service()?,
                role: get.word("role")?,
                reckoning: match self.metric.as_str() {
                    LEFT_OUT_SOCKET_CALLS => Reckoning::Counted,
                    _ => Reckoning::Expected,
                },
            },
            LOSSES => Cell::Losses {
                service: service().ok(),
                kind: get.word("kind")?,
            },
            RECORDS => Cell::Records,
            _ => return Err(NotACell::Metric),
        })
    }
}

fn metric(cell: &Cell) -> &'static str {
    match cell {
        Cell::Calls { .. } => CALLS,
        Cell::Routes { .. } => ROUTES,
        Cell::Requests { .. } => REQUESTS,
        Cell::Served { .. } => SERVED,
        Cell::Lines { .. } => LINES,
        Cell::Activity { .. } => ACTIVITY,
        Cell::Inconclusive { .. } => INCONCLUSIVE,
        Cell::Unobserved { .. } => UNOBSERVED,
        Cell::Unreadable { .. } => UNREADABLE,
        Cell::LeftOut { peer, measure, .. } => match (peer, measure) {
            (Some(_), Measure::Count) => LEFT_OUT_CALLS,
            (Some(_), Measure::Variance) => LEFT_OUT_CALLS_VARIANCE,
            (None, Measure::Count) => LEFT_OUT_REQUESTS,
            (None, Measure::Variance) => LEFT_OUT_REQUESTS_VARIANCE,
        },
        Cell::Reckoned { reckoning, .. } => match reckoning {
            Reckoning::Counted => LEFT_OUT_SOCKET_CALLS,
            Reckoning::Expected => EXPECTED_SOCKET_CALLS,
        },
        Cell::Losses { .. } => LOSSES,
        Cell::Records => RECORDS,
    }
}

fn measure(metric: &str) -> Measure {
    match metric {
        LEFT_OUT_CALLS_VARIANCE | LEFT_OUT_REQUESTS_VARIANCE => Measure::Variance,
        _ => Measure::Count,
    }
}

fn how_label(how: How) -> Option<(&'static str, &'static str)> {
    Some(match how {
        How::Plain => return None,
        How::SameExecution => ("execution", "same"),
        How::OtherExecution => ("execution", "other"),
        How::SameFormat => ("format", "same"),
        How::OtherFormat => ("format", "other"),
        How::ForRequest => ("request", "with"),
        How::ForNone => ("request", "without"),
    })
}

struct Labels<'a>(&'a BTreeMap<Text, Text>);

impl Labels<'_> {
    fn raw(&self, label: &str) -> &str {
        self.0.get(label).map_or("", Text::as_str)
    }

    fn text(&self, label: &'static str) -> Result<Text, NotACell> {
        match self.raw(label) {
            "" => Err(NotACell::Label(label)),
            text => Ok(printable(text).into()),
        }
    }

    fn name(&self, name: &'static str, namespace: &'static str) -> Result<Name, NotACell> {
        Ok(Name {
            namespace: self.text(namespace).unwrap_or_default(),
            name: self.text(name)?,
        })
    }

    fn word<T: DeserializeOwned>(&self, label: &'static str) -> Result<T, NotACell> {
        let word: StrDeserializer<'_, WordError> = self.raw(label).into_deserializer();
        T::deserialize(word).map_err(|_| NotACell::Label(label))
    }

    /// What matters of a call with this verdict; labels that do not go with it are no part of it.
    fn how(&self, verdict: Verdict) -> Result<How, NotACell> {
        let which = |label, yes: &str, no: &str| match self.raw(label) {
            value if value == yes => Ok(true),
            value if value == no => Ok(false),
            _ => Err(NotACell::Label(label)),
        };
        let (mut execution, mut format, mut request) = (false, false, false);
        match How::of(verdict, true, true, true) {
            How::SameExecution => execution = which("execution", "same", "other")?,
            How::SameFormat => format = which("format", "same", "other")?,
            How::ForRequest => request = which("request", "with", "without")?,
            _ => {}
        }
        Ok(How::of(verdict, execution, format, request))
    }
}

/// The word that JSON has for a value without fields.
fn word(value: &impl Serialize) -> Text {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::super::{Carried, Inbound};
    use super::*;

    #[test]
    fn words_are_those_of_the_output() {
        assert_eq!(word(&crate::message::Protocol::FastCgi), "fast-cgi");
        assert_eq!(word(&Inbound::None), "none");
        assert_eq!(word(&Carried::Dropped), "dropped");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let mut series = Series::new(&Cell::Records, 1);
        series.metric = "observer_teapots_total".into();
        assert_eq!(series.cell(), Err(NotACell::Metric));
        let cell = Cell::Requests {
            service: Name::plain("a"),
            context: Inbound::Valid,
        };
        let mut series = Series::new(&cell, 1);
        series.labels.insert("context".into(), "worn".into());
        assert_eq!(series.cell(), Err(NotACell::Label("context")));
    }

    #[test]
    fn labels_of_scrapers_and_hidden_characters_are_no_part_of_it() {
        let cell = Cell::Requests {
            service: Name::plain(r"a\u{202e}"),
            context: Inbound::Valid,
        };
        let mut series = Series::new(&cell, 1);
        series.labels.insert("instance".into(), "h:9".into());
        series
            .labels
            .insert("service_name".into(), "a\u{202e}".into());
        assert_eq!(series.cell(), Ok(cell));
    }
}
