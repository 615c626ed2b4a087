//! Families of series, and labels.

use super::{Cell, Measure, Reckoning};

/// A family of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Name of its series, ending in `_total`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
}

pub(super) const CALLS: &str = "observer_calls_total";
pub(super) const ROUTES: &str = "observer_route_calls_total";
pub(super) const REQUESTS: &str = "observer_requests_total";
pub(super) const SERVED: &str = "observer_served_total";
pub(super) const LINES: &str = "observer_log_events_total";
pub(super) const ACTIVITY: &str = "observer_activity_total";
pub(super) const INCONCLUSIVE: &str = "observer_inconclusive_total";
pub(super) const UNOBSERVED: &str = "observer_unobserved_connections_total";
pub(super) const UNREADABLE: &str = "observer_unreadable_messages_total";
pub(super) const LEFT_OUT_CALLS: &str = "observer_left_out_calls_total";
pub(super) const LEFT_OUT_CALLS_VARIANCE: &str = "observer_left_out_calls_variance_total";
pub(super) const LEFT_OUT_REQUESTS: &str = "observer_left_out_requests_total";
pub(super) const LEFT_OUT_REQUESTS_VARIANCE: &str = "observer_left_out_requests_variance_total";
pub(super) const LEFT_OUT_SOCKET_CALLS: &str = "observer_left_out_socket_calls_total";
pub(super) const EXPECTED_SOCKET_CALLS: &str = "observer_left_out_socket_calls_expected_total";
pub(super) const LOSSES: &str = "observer_losses_total";
pub(super) const RECORDS: &str = "observer_records_total";

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

/// The family of a cell.
pub(super) fn metric(cell: &Cell) -> &'static str {
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

/// What the series of a family of estimates says of them.
pub(super) fn measure(metric: &str) -> Measure {
    match metric {
        LEFT_OUT_CALLS_VARIANCE | LEFT_OUT_REQUESTS_VARIANCE => Measure::Variance,
        _ => Measure::Count,
    }
}
