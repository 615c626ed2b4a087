//! Numbers and small facts in words.

use observer_core::context::{Context, Format};
use observer_core::facts::Runtime;
use observer_core::judged::{
    Attribution, Estimate, Exchange, Finding, Inferred, Loss, LossKind, NotEstimated, Rate, Role,
    Tier, Unfinished, Unreadable, WallTime,
};
use observer_core::message::{MessageKind, Protocol};
use observer_core::text::Text;

/// `812 µs`, `18.4 ms`, `1.24 s`: three digits are enough to compare.
pub(crate) fn duration(nanos: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let nanos = nanos as f64;
    for (unit, size) in [("ns", 1.0), ("µs", 1e3), ("ms", 1e6)] {
        if nanos / size < 999.5 {
            return format!("{} {unit}", three_digits(nanos / size));
        }
    }
    format!("{} s", three_digits(nanos / 1e9))
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 || v.fract() == 0.0 => format!("{v:.1}").trim_end_matches(".0").to_owned(),
        v => format!("{v:.2}"),
    }
}

/// `04:16:35.123`, UTC.
pub(crate) fn clock(time: WallTime) -> String {
    let text = time.to_string();
    // 2026-11-21T04:16:35.123456789Z
    text.get(11..23).unwrap_or(&text).to_owned()
}

/// `2026-11-21 04:16:35`.
pub(crate) fn date_and_clock(time: WallTime) -> String {
    let text = time.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// `51 320`: groups of three digits, as ISO 80000 has them.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

/// `3 × not instrumented: GET /cart`: how often, why, and on which routes.
pub(crate) fn cause(count: u64, explanation: &str, routes: &[String]) -> String {
    let mut text = format!("{} × {explanation}", number(count));
    if !routes.is_empty() {
        text.push_str(": ");
        text.push_str(&routes.join(", "));
    }
    text
}

/// `1 call`, `3 calls`.
pub(crate) fn count(value: u64, one: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {one}{plural}", number(value))
}

/// What was not observed, and how much of it: `TLS, 3 connections`.
pub(crate) fn unobserved(of: Protocol, number_of: u64) -> String {
    let how_many = match of {
        Protocol::IoUring if number_of == 1 => "1 process".to_owned(),
        Protocol::IoUring => format!("{} processes", number(number_of)),
        _ => count(number_of, "connection"),
    };
    format!("{}, {how_many}", protocol(of))
}

/// `3 calls`, or where only a part was observed, `3 calls of an estimated 24 (95 % interval 9–39)`, or why there is no such estimate.
pub(crate) fn estimated(
    observed: &str,
    all: Option<Estimate>,
    unknown: Option<NotEstimated>,
) -> String {
    match (unknown, all) {
        (Some(why), _) => format!("{observed} ({})", not_estimated(why)),
        (None, None) => observed.to_owned(),
        (None, Some(all)) => format!(
            "{observed} of an estimated {} (95 % interval {}–{})",
            number(all.n),
            number(all.low),
            number(all.high)
        ),
    }
}

/// Why it is not known how many there were in all: `of how many is not known: 900 system calls on connections that were left out, where 24
/// were to be expected`.
pub(crate) fn not_estimated(why: NotEstimated) -> String {
    format!(
        "of how many is not known: {} on connections that were left out, where {} were to be expected",
        count(why.counted, "system call"),
        number(why.expected)
    )
}

/// `12.5 % of 240 (95 % interval 8.9–17.3 %)`.
pub(crate) fn rate(rate: Rate) -> String {
    format!(
        "{} % of {} (95 % interval {}–{} %)",
        percent(rate.rate),
        number(rate.n),
        percent(rate.low),
        percent(rate.high)
    )
}

/// A share in percent, with one decimal unless it is none or all.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    if share > 0.0 && text == "0.0" {
        return "<0.1".to_owned();
    }
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// How a link is known: `execution 99 %`.
pub(crate) fn link(attribution: &Attribution) -> String {
    let Some(tier) = attribution.tier else {
        return String::new();
    };
    let tier = match tier {
        Tier::Context => "context",
        Tier::Declared => "declared id",
        Tier::Execution => "execution",
        Tier::HandOff => "hand-off",
        Tier::Connection => "connection",
        Tier::Exclusive => "only request",
    };
    format!("{tier} {:.0} %", attribution.confidence * 100.0)
}

/// What is only likely, so that nobody takes it for a link: `~ inferred (72 %): x13; …`.
pub(crate) fn inferred(inferred: &Inferred) -> String {
    // Never rounded up.
    let percent = (inferred.confidence * 100.0).floor();
    format!("~ inferred ({percent} %): {}; {inferred}", inferred.request)
}

/// `w3c 4bf92f35…/00f067aa`, short enough for a row and long enough to find.
pub(crate) fn context(context: &Context) -> String {
    let mut text = format!(
        "{} {}",
        format(context.format),
        short(&context.trace_id.to_string())
    );
    if let Some(parent) = &context.parent_id {
        text.push('/');
        text.push_str(&short(&parent.to_string()));
    }
    if context.sampled == Some(false) {
        text.push_str(" unsampled");
    }
    text
}

/// The first eight characters of an id.
pub(crate) fn short(id: &str) -> String {
    match id.char_indices().nth(8) {
        Some((at, _)) => format!("{}…", &id[..at]),
        None => id.to_owned(),
    }
}

pub(crate) fn format(format: Format) -> &'static str {
    match format {
        Format::W3c => "w3c",
        Format::B3Single | Format::B3Multi => "b3",
        Format::Jaeger => "jaeger",
        Format::Datadog => "datadog",
        Format::Xray => "x-ray",
        Format::Gcp => "google",
        Format::Sw8 => "skywalking",
        Format::ElasticApm => "elastic",
    }
}

/// The other side of an exchange: its service, else what it was called by, else its address.
pub(crate) fn peer(exchange: &Exchange) -> Text {
    let named = exchange.peer_service.as_ref().or(exchange.host.as_ref());
    named
        .cloned()
        .unwrap_or_else(|| exchange.peer.to_string().into())
}

/// The answer: `200`, or why there is none.
pub(crate) fn answer(exchange: &Exchange) -> String {
    let why = exchange.unfinished.map(|why| match exchange.flaw {
        Some(flaw) => format!("{}: {}", unfinished(why), flaw.explanation()),
        None => unfinished(why).to_owned(),
    });
    match (exchange.status, why) {
        (Some(status), None) => status.to_string(),
        (Some(status), Some(_)) if exchange.unfinished == Some(Unfinished::Closed) => {
            format!("{status}, closed before its end")
        }
        (Some(status), Some(why)) => format!("{status}, then {why}"),
        (None, Some(why)) => why,
        (None, None) => "no answer seen".to_owned(),
    }
}

fn unfinished(why: Unfinished) -> &'static str {
    match why {
        Unfinished::Closed => "closed without an answer",
        Unfinished::Reset => "connection failed",
        Unfinished::Exited => "program ended",
        Unfinished::TimedOut => "no answer in time",
        Unfinished::Lost => "end not seen",
        Unfinished::Malformed => "not readable",
        Unfinished::Stopped => "still open",
    }
}

pub(crate) fn finding(finding: &Finding) -> String {
    match finding {
        Finding::SampledChanged { inbound, outbound } => {
            let word = |sampled: bool| if sampled { "sampled" } else { "unsampled" };
            format!("came in {}, went out {}", word(*inbound), word(*outbound))
        }
        Finding::TracestateLost { keys } => format!("tracestate lost: {}", keys.join(", ")),
        Finding::TracestateReordered => "tracestate reordered".to_owned(),
        Finding::BaggageLost { keys } => format!("baggage lost: {}", keys.join(", ")),
        Finding::DuplicateHeader { header } => format!("header {header} came more than once"),
        Finding::FormatsDisagree => "formats in one message name different traces".to_owned(),
        Finding::InvalidContext {
            format: carrier,
            rule,
            raw,
        } => format!("invalid {} header breaks {rule}: {raw}", format(*carrier)),
        Finding::TelemetryExport => "telemetry on its way to a collector".to_owned(),
    }
}

/// A service's name, with its namespace where it has one.
pub(crate) fn named(namespace: &str, name: &str) -> String {
    match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}

pub(crate) fn runtime(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Python => "Python",
        Runtime::Node => "Node.js",
        Runtime::Java => "Java",
        Runtime::Go => "Go",
        Runtime::Rust => "Rust",
        Runtime::Ruby => "Ruby",
        Runtime::Php => "PHP",
        Runtime::Dotnet => ".NET",
        Runtime::Proxy => "proxy",
        Runtime::Native => "native",
    }
}

/// Which messages could not be read, and why: `3 requests to cart from 10.0.0.7: a head of more than 64 KiB`.
pub(crate) fn unreadable(unreadable: &Unreadable) -> String {
    let service = named(&unreadable.namespace, &unreadable.service);
    let (messages, peer) = (
        unread(unreadable.count, unreadable.message),
        &unreadable.peer,
    );
    let why = unreadable.explanation;
    match came_in(unreadable.role, unreadable.message) {
        true => format!("{messages} to {service} from {peer}: {why}"),
        false => format!("{messages} of {service} to {peer}: {why}"),
    }
}

/// How many messages of a kind.
pub(crate) fn unread(n: u64, message: MessageKind) -> String {
    match message {
        MessageKind::Request => count(n, "request"),
        MessageKind::Response => count(n, "response"),
    }
}

/// Whether a service on that side of a connection reads such messages, rather than writing them.
pub(crate) fn came_in(role: Role, message: MessageKind) -> bool {
    (role == Role::Server) == (message == MessageKind::Request)
}

/// How much was lost of what: `3 records that the kernel had no room for`.
pub(crate) fn loss(loss: &Loss) -> String {
    lost(loss.what, loss.count)
}

/// The same of a kind and its amount.
pub(crate) fn lost(what: LossKind, amount: u64) -> String {
    let (one, how) = match what {
        LossKind::Records => ("record", "that the kernel had no room for"),
        LossKind::Bytes => ("place", "where bytes that mattered were cut or lost"),
        LossKind::Evicted => ("thing", "forgotten because a bound of memory was reached"),
        LossKind::Invalid => ("record", "that could not be read"),
    };
    format!("{} {how}", count(amount, one))
}

pub(crate) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "HTTP/1",
        Protocol::Http2 => "HTTP/2",
        Protocol::Tls => "TLS",
        Protocol::Upgraded => "upgraded (WebSocket and others)",
        Protocol::FastCgi => "FastCGI",
        Protocol::Postgres => "PostgreSQL",
        Protocol::Mysql => "MySQL",
        Protocol::Redis => "Redis",
        Protocol::NotText => "a log that is not text, or not all of it",
        Protocol::LeftOut => "a connection left out by sampling",
        Protocol::IoUring => "sockets driven through io_uring",
        Protocol::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use observer_core::judged::NoEstimate;

    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (812, "812 ns"),
            (999_600, "1.00 ms"),
            (18_412_000, "18.4 ms"),
            (1_240_000_000, "1.24 s"),
            (75_000_000_000, "75 s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1_234_567), "1\u{a0}234\u{a0}567");
        assert_eq!(count(1, "call"), "1 call");
    }

    #[test]
    fn estimates_are_told_with_what_was_observed() {
        let all = Estimate {
            n: 24,
            low: 9,
            high: 39,
        };
        let told = estimated("3 calls", Some(all), None);
        assert_eq!(told, "3 calls of an estimated 24 (95 % interval 9–39)");
        assert_eq!(estimated("3 calls", None, None), "3 calls");
        let why = NotEstimated {
            reason: NoEstimate::CallsDisagree,
            counted: 900,
            expected: 24,
        };
        assert_eq!(
            estimated("3 calls", None, Some(why)),
            "3 calls (of how many is not known: 900 system calls on connections that were left out, where 24 were to be expected)"
        );
    }
}
