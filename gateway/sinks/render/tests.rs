mod cef;
mod ocsf;

use serde_json::{Map, Value, json};
use tlog::leaf_hash;

use super::*;
use crate::tests::LOG;

pub(crate) fn rendered(rendering: Rendering, record: &Value) -> String {
    let json = record.to_string();
    rendering.render(&Source { log: LOG, index: 41, leaf: leaf_hash(json.as_bytes()), json: json.as_bytes() })
}

/// Every kind of record that the schema knows, as short as it may be and with everything that it may have.
pub(crate) fn every_kind() -> Vec<Value> {
    let schema: Value = serde_json::from_str(audit::record_schema()).unwrap();
    let mut records = Vec::new();
    for shape in schema["oneOf"].as_array().unwrap() {
        let properties = shape["properties"].as_object().unwrap();
        let required: Vec<_> = shape["required"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let full: Map<_, _> =
            properties.iter().map(|(name, property)| (name.clone(), example(name, property))).collect();
        let mut least = full.clone();
        least.retain(|name, _| required.contains(&name.as_str()));
        let choices: Vec<(&str, Vec<String>)> = if properties.contains_key("kind") {
            let kinds = properties["kind"]["enum"].as_array().unwrap();
            vec![("kind", kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect())]
        } else {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            vec![
                ("reason", terms::Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect()),
                ("decision", words(&["allow", "deny"])),
                ("stage", words(&["final", "decided", "opened"])),
                ("method", words(&["GET", "POST", "BREW", "a|b=\\c\u{0}\n", "\""])),
            ]
        };
        let mut made = vec![least, full];
        for (name, values) in choices {
            made = made.iter().flat_map(|record| values.iter().map(move |value| with(record, name, value))).collect();
        }
        records.extend(made.into_iter().map(Value::Object));
    }
    records
}

fn with(record: &Map<String, Value>, name: &str, value: &str) -> Map<String, Value> {
    let mut record = record.clone();
    record.insert(name.into(), value.into());
    record
}

fn example(name: &str, property: &Value) -> Value {
    match name {
        "v" => json!(1),
        "time" => json!("2026-11-27T18:54:01.007Z"),
        "ip" => json!("2001:0db8:0001::/48"),
        "in" | "out" => json!(u64::from(u32::MAX) + 1),
        "host" | "why" => json!("a|b=c\\d\"\u{1}\r\n\u{e9}"),
        _ if !property["const"].is_null() => property["const"].clone(),
        _ => match (&property["enum"], &property["type"]) {
            (Value::Array(values), _) => values[0].clone(),
            (_, Value::String(kind)) if kind == "integer" => json!(7),
            _ => json!("x"),
        },
    }
}
