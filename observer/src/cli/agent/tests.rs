use std::time::Duration;

use clap::{CommandFactory, Parser};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::args::{Cli, Command};
use super::super::budget::CpuBudget;
use super::super::export::{Protocol, Signal};
use super::super::show::Logs;
use super::*;

const SCHEMA: &str = include_str!("../../../../docs/schema/agent-config.schema.json");

fn args(typed: &[&str]) -> AgentArgs {
    let typed = ["observer", "agent"].iter().chain(typed);
    match Cli::try_parse_from(typed).unwrap().command {
        Command::Agent(args) => *args,
        other => panic!("{other:?}"),
    }
}

/// The plan of a file with these contents and of these flags.
fn plan(file: &str, typed: &[&str]) -> Result<AgentPlan, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.yaml");
    std::fs::write(&path, file).unwrap();
    let args = AgentArgs {
        config: Some(path),
        ..args(typed)
    };
    load(&args).map_err(|error| {
        let text = error.to_string();
        text.rsplit_once("agent.yaml:")
            .map_or(text.clone(), |(_, rest)| rest.to_owned())
    })
}

fn refused(file: &str) -> String {
    plan(file, &[]).unwrap_err()
}

#[test]
fn without_anything_it_is_as_the_schema_says() {
    let plan = plan("# nothing\n", &[]).unwrap();
    assert_eq!(
        plan.metrics.listen,
        Listen::At("127.0.0.1:9466".parse().unwrap())
    );
    assert_eq!((plan.metrics.edges, plan.metrics.exemplars), (2_000, true));
    assert_eq!((plan.json, plan.heal, plan.system), (None, None, false));
    assert_eq!(plan.budget.memory, Size(512 << 20));
    assert!(
        plan.privileges.drop
            && plan.privileges.attach
            && plan.kubernetes.labels
            && !plan.show_query
    );
}

#[test]
fn flags_go_before_the_file_and_the_file_before_defaults() {
    let file = "metrics: {listen: ':1', edges: 7}\ninclude: [{exe: a}, {exe: b}]\nsystem: true";
    let from_file = plan(file, &[]).unwrap();
    assert_eq!((from_file.metrics.edges, from_file.include.len()), (7, 2));
    assert_eq!(
        from_file.metrics.listen,
        Listen::At("[::]:1".parse().unwrap())
    );
    let flags = [
        "--metrics-listen",
        "off",
        "--include",
        "comm=x;comm=y,port=80",
        "--system=false",
    ];
    let plan = plan(file, &flags).unwrap();
    assert_eq!(plan.metrics.listen, Listen::Off);
    assert_eq!(
        plan.include
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["comm=x", "comm=y,port=80"]
    );
    assert!(!plan.system && plan.metrics.edges == 7);
}

#[test]
fn everything_that_the_file_can_say_is_understood() {
    let plan = plan(include_str!("../../../../deploy/agent.example.yaml"), &[]).unwrap();
    assert_eq!(
        plan.json,
        Some(JsonPlan {
            target: Target::Stdout,
            logs: Logs::Lost
        })
    );
    let otlp = plan.heal.unwrap().otlp.unwrap();
    assert_eq!(otlp.protocol, Some(Protocol::Http));
    assert_eq!(otlp.signals, [Signal::Spans, Signal::Logs]);
    assert_eq!(
        otlp.headers,
        [("x-scope-orgid".to_owned(), "shop".to_owned())]
    );
    assert_eq!(plan.budget.cpu, CpuBudget::Core(Share::new(0.25)));
    assert_eq!(plan.include[0].port.unwrap().last, 8099);
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (file, expected) in [
        (
            "metrics:\n  listn: off",
            "2:3: unknown key `listn`; did you mean `listen`? there are listen, edges, exemplars",
        ),
        (
            "metrics:\n  listen: nowhere",
            "2:11: `nowhere` is no address",
        ),
        ("budget:\n  cpu: -1", "2:8: `-1` is no share above 0"),
        (
            "redact: qeury",
            "unknown value `qeury`; did you mean `query`?",
        ),
        (
            "include:\n  - exe: a\n    prot: 80",
            "3:5: unknown key `prot`; did you mean `port`?",
        ),
        ("include:\n  - port: 0", "`0` is no TCP port"),
        ("metrics: [", "1:"),
        ("system: 7", "1:9"),
        (
            "system: true\nsystem: false",
            "the key `system` is there twice",
        ),
        ("include: [{}]", "include: rule 1 says nothing"),
        ("metrics: {edges: 0}", "metrics.edges: 0 is not between"),
        ("budget: {sample: 2}", "more than all connections"),
    ] {
        let error = refused(file);
        assert!(error.contains(expected), "{file}\n{error}");
    }
}

/// All keys of the schema with a value for each.
fn keys(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let top = schema["properties"].as_object().unwrap();
    for (name, of) in top {
        let inner = of.get("properties").and_then(Value::as_object);
        for (key, of) in inner.into_iter().flatten() {
            found.push((format!("{name}.{key}"), sample(of)));
        }
        if inner.is_none() {
            found.push((name.clone(), sample(of)));
        }
    }
    found
}

fn sample(of: &Value) -> Value {
    let first = |list: &str| of.get(list).and_then(|list| list.get(0)).cloned();
    of.get("default")
        .cloned()
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
        .unwrap_or_else(|| panic!("no value for {of}"))
}

#[test]
fn each_key_of_the_schema_is_a_key_a_flag_and_a_variable_and_there_are_no_more() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let command = Cli::command();
    let agent = command.find_subcommand("agent").unwrap();
    let mut flags: Vec<_> = agent
        .get_arguments()
        .filter_map(|arg| {
            Some((
                arg.get_long()?.to_owned(),
                arg.get_env()?.to_str()?.to_owned(),
            ))
        })
        .filter(|(flag, _)| flag != "config")
        .collect();
    for (key, value) in keys(&schema) {
        let (section, name) = key.split_once('.').map_or(("", &*key), |(s, n)| (s, n));
        let file = if section.is_empty() {
            json!({name: value})
        } else {
            json!({section: {name: value}})
        };
        File::parse(&file.to_string()).unwrap_or_else(|error| panic!("{key}: {error}"));
        let flag = key.replace('.', "-");
        let variable = format!("OBSERVER_{}", key.replace('.', "_").to_uppercase());
        let at = flags.iter().position(|(f, v)| *f == flag && *v == variable);
        flags.swap_remove(at.unwrap_or_else(|| panic!("no flag for {key}")));
    }
    assert_eq!(flags, [], "flags without a key in the schema");
}

#[test]
fn the_schema_and_the_program_accept_the_same_files() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let good = include_str!("../../../../deploy/agent.example.yaml");
    for (file, right) in [
        (good, true),
        ("metrics: {listn: off}", false),
        ("redact: all", false),
        ("node: sometimes", false),
        ("node: precise", true),
        ("go: sometimes", false),
        ("go: precise", true),
        ("include: [{port: x}]", false),
        ("system: 7", false),
    ] {
        let value: Value = serde_saphyr::from_str(file).unwrap();
        assert_eq!(validator.is_valid(&value), right, "{file}");
        assert_eq!(File::parse(file).is_ok(), right, "{file}");
    }
}

#[test]
fn a_file_that_is_not_there_or_too_large_is_named() {
    let missing = AgentArgs {
        config: Some("/no/such/agent.yaml".into()),
        ..AgentArgs::default()
    };
    assert!(
        load(&missing)
            .unwrap_err()
            .to_string()
            .contains("/no/such/agent.yaml can't be read")
    );
    let text = refused(&"# x\n".repeat(400_000));
    assert!(text.contains("larger than 1024 KiB"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_text_makes_it_panic_or_take_long(text in "[ -~\n&*\\[\\]{}:>|]{0,200}") {
        let began = std::time::Instant::now();
        let _ = File::parse(&text);
        prop_assert!(began.elapsed() < Duration::from_secs(2));
    }
}
