//! Cells as series of metrics, and back: the one form for JSON and Prometheus (docs/metrics.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::families::{
    ACTIVITY, CALLS, EXPECTED_SOCKET_CALLS, INCONCLUSIVE, LABELS, LEFT_OUT_CALLS,
    LEFT_OUT_CALLS_VARIANCE, LEFT_OUT_REQUESTS, LEFT_OUT_REQUESTS_VARIANCE, LEFT_OUT_SOCKET_CALLS,
    LINES, LOSSES, RECORDS, REQUESTS, ROUTES, SERVED, UNOBSERVED, UNREADABLE, measure, metric,
};
use super::labels::{Labels, NotACell, how_label, word};
use super::{Cell, Name, Reckoning, Unread};
use crate::text::Text;

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
