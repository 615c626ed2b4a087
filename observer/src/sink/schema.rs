//! The written contract (docs/schema) against what is really told.

use jsonschema::Validator;
use observer_core::context::Format;
use observer_core::facts::Runtime;
use observer_core::healing::{Healer, Settings, Spans};
use observer_core::ids::{Tgid, Tid};
use observer_core::judged::{
    Address, Attribution, Cause, Evidence, Exchange, Finding, Judged, LogVerdict, Loss, LossKind,
    NotObserved, Reason, Tier, Unfinished, Unreadable, Verdict, WhyCount,
};
use observer_core::message::{Flaw, Protocol};
use serde_json::{Value, json};

use super::samples;

const SCHEMA: &str = include_str!("../../../docs/schema/observer-output.schema.json");

/// The schema as written, or with no room for fields that it does not name.
fn validator(strict: bool) -> Validator {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    if strict {
        forbid_unknown(&mut schema);
    }
    jsonschema::draft202012::new(&schema).unwrap()
}

fn forbid_unknown(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            object.values_mut().for_each(forbid_unknown);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_unknown),
        _ => {}
    }
}

pub(crate) fn check<T: serde::Serialize>(items: impl IntoIterator<Item = T>) {
    let (lenient, strict) = (validator(false), validator(true));
    for item in items {
        let value = serde_json::to_value(&item).unwrap();
        for validator in [&lenient, &strict] {
            if let Err(error) = validator.validate(&value) {
                panic!("{} at {}\n{value:#}", error, error.instance_path());
            }
        }
    }
}

fn exchange(exchange: Exchange) -> Judged {
    Judged::Exchange(Box::new(exchange))
}

#[test]
fn exchanges_are_as_the_schema_says() {
    check(samples::tree().into_judged());
    check([samples::abstained(), samples::inferred()].map(exchange));
    check(Verdict::ALL.map(|verdict| exchange(samples::client(verdict))));
    let unfinished = [
        Unfinished::Closed,
        Unfinished::Reset,
        Unfinished::Exited,
        Unfinished::TimedOut,
        Unfinished::Lost,
        Unfinished::Malformed,
        Unfinished::Stopped,
    ];
    check(unfinished.map(|why| {
        exchange(Exchange {
            unfinished: Some(why),
            flaw: (why == Unfinished::Malformed).then_some(Flaw::ChunkSize),
            duration_ns: None,
            status: None,
            context: None,
            parent: None,
            peer_service: None,
            host: None,
            local: Address::Unknown,
            peer: Address::Unix("/run/x".into()),
            ..samples::server()
        })
    }));
}

#[test]
fn findings_are_as_the_schema_says() {
    let keys = || vec!["vendor".into()];
    let findings = vec![
        Finding::SampledChanged {
            inbound: true,
            outbound: false,
        },
        Finding::TracestateLost { keys: keys() },
        Finding::TracestateReordered,
        Finding::BaggageLost { keys: keys() },
        Finding::DuplicateHeader {
            header: "traceparent".into(),
        },
        Finding::FormatsDisagree,
        Finding::InvalidContext {
            format: Format::B3Single,
            rule: "trace-id-length",
            raw: "x".into(),
        },
        Finding::TelemetryExport,
    ];
    check([exchange(Exchange {
        findings,
        ..samples::client(Verdict::Mangled)
    })]);
}

#[test]
fn attributions_are_as_the_schema_says() {
    let tiers = [
        Tier::Context,
        Tier::Declared,
        Tier::Execution,
        Tier::HandOff,
        Tier::Connection,
        Tier::Exclusive,
    ];
    check(tiers.map(|tier| {
        let mut line = samples::log(LogVerdict::Linked);
        line.attribution.tier = Some(tier);
        line.attribution.evidence = vec![
            Evidence::SameTrace,
            Evidence::PipeMessage { writer: Tid(3) },
        ];
        Judged::Log(Box::new(line))
    }));
    let reason = Reason::Conflict {
        candidates: vec![samples::id(1), samples::id(2)],
    };
    let mut line = samples::log(LogVerdict::Inconclusive);
    line.attribution = Attribution::none(reason);
    line.request = None;
    line.inferred = samples::inferred().inferred;
    check([Judged::Log(Box::new(line))]);
}

#[test]
fn lines_are_as_the_schema_says() {
    check(LogVerdict::ALL.map(|verdict| Judged::Log(Box::new(samples::log(verdict)))));
}

#[test]
fn explanations_are_as_the_schema_says() {
    check([Judged::Explanation(Box::new(samples::explanation()))]);
}

#[test]
fn spans_are_as_the_schema_says() {
    let mut healer = Healer::new(Settings {
        spans: Spans::All,
        unsampled: false,
    });
    let mut restarted = samples::client(Verdict::Restarted);
    restarted.context = Some(samples::context("b7ad6b7169203331"));
    if let Some(context) = &mut restarted.context {
        context.trace_id = observer_core::context::TraceId::Wide(7);
    }
    for item in [samples::server(), restarted, samples::abstained()] {
        healer.judged(&exchange(item));
    }
    let mut healed = Vec::new();
    healer.finish(&mut healed);
    assert_eq!(healed.len(), 2);
    check(healed);
}

#[test]
fn losses_are_as_the_schema_says() {
    let kinds = [
        LossKind::Records,
        LossKind::Bytes,
        LossKind::Evicted,
        LossKind::Invalid,
    ];
    check(kinds.map(|what| {
        Judged::Loss(Loss {
            what,
            pid: Some(Tgid(4)),
            service: Some("cart".into()),
            ..samples::loss()
        })
    }));
    check([Judged::Loss(samples::loss())]);
    check([Judged::Sampling(samples::sampling())]);
}

#[test]
fn summaries_are_as_the_schema_says() {
    let mut summary = samples::summary();
    let causes = [
        Cause::NotInstrumented,
        Cause::CallNotInstrumented,
        Cause::LostAtHandOff,
        Cause::FormatMismatch,
        Cause::MalformedWriter,
        Cause::PassedThrough,
        Cause::StrippedByProxy,
        Cause::LeakedContext,
        Cause::NewTrace,
        Cause::TrustBoundary,
        Cause::Sometimes,
    ];
    let why = |cause: Cause| WhyCount {
        cause,
        count: 1,
        explanation: cause.explanation(),
        fix: cause.fix(None),
        routes: vec!["GET /cart/{id}".to_owned()],
        samples: vec![samples::id(1)],
    };
    summary.services[0].edges[0].why = causes.map(why).into();
    let runtimes = [
        Runtime::Python,
        Runtime::Node,
        Runtime::Java,
        Runtime::Go,
        Runtime::Rust,
        Runtime::Ruby,
        Runtime::Php,
        Runtime::Dotnet,
        Runtime::Proxy,
        Runtime::Native,
    ];
    let service = summary.services[0].clone();
    summary.services.extend(runtimes.map(|runtime| {
        let mut service = service.clone();
        service.runtime = Some(runtime);
        service
    }));
    let protocols = [
        Protocol::Http1,
        Protocol::Http2,
        Protocol::Tls,
        Protocol::Upgraded,
        Protocol::FastCgi,
        Protocol::Postgres,
        Protocol::Mysql,
        Protocol::Redis,
        Protocol::NotText,
        Protocol::LeftOut,
        Protocol::IoUring,
        Protocol::Unknown,
    ];
    summary.not_observed = protocols
        .map(|protocol| NotObserved {
            namespace: "shop".into(),
            service: "cart".into(),
            protocol,
            connections: 1,
        })
        .into();
    summary.unreadable = Flaw::ALL
        .map(|flaw| Unreadable {
            flaw,
            explanation: flaw.explanation(),
            ..samples::unreadable()
        })
        .into();
    check([Judged::Summary(Box::new(summary))]);
}

#[test]
fn what_is_not_as_the_schema_says_is_refused() {
    let lenient = validator(false);
    let valid = serde_json::to_value(exchange(samples::server())).unwrap();
    assert!(lenient.is_valid(&valid));
    for (field, wrong) in [
        ("id", json!(7)),
        ("start", json!("yesterday")),
        ("verdict", json!("lost")),
        ("kind", json!("exchanges")),
    ] {
        let mut value = valid.clone();
        value[field] = wrong;
        assert!(!lenient.is_valid(&value), "{field}");
    }
    let mut more = valid;
    more["new_field"] = json!(1);
    assert!(lenient.is_valid(&more));
    assert!(!validator(true).is_valid(&more));
}
