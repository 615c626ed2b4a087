//! The written contract (docs/schema) against real reports.

use serde_json::{Value, json};

use super::model::Report;
use super::samples;

const SCHEMA: &str = include_str!("../../../docs/schema/observer-report.schema.json");

/// The schema with no room for fields that it does not name.
fn strict() -> Value {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    forbid_unknown(&mut schema);
    schema
}

fn forbid_unknown(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".into(), json!(false));
            }
            object.values_mut().for_each(forbid_unknown);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_unknown),
        _ => {}
    }
}

#[test]
fn reports_are_as_the_schema_says() {
    let validator = jsonschema::draft202012::new(&strict()).unwrap();
    let mut alone = samples::report();
    alone.comparison = None;
    for report in [samples::report(), alone] {
        let value = serde_json::to_value(&report).unwrap();
        if let Err(error) = validator.validate(&value) {
            panic!("{error} at {}", error.instance_path());
        }
    }
}

#[test]
fn a_report_can_be_read_again() {
    let json = serde_json::to_string(&samples::report()).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}
