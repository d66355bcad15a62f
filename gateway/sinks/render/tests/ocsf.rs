//! Compared with the schema as it was published (../shared/vectors beside the repository). Where it is not there, these
//! tests say so and show nothing.

use std::path::Path;
use std::process::Command;

use super::*;

fn schema() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/ocsf-1.8.0.json.gz");
    if !path.exists() {
        eprintln!("NOT RUN: the published schema of OCSF is not beside the repository");
        return None;
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    Some(serde_json::from_slice(&unpacked.stdout).unwrap())
}

/// What is wrong with an event, by the schema.
fn faults(schema: &Value, event: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let class = schema["classes"].as_object().unwrap().values().find(|class| class["uid"] == event["class_uid"]);
    let Some(class) = class else { return vec![format!("no class {}", event["class_uid"])] };
    let known = class["profiles"].as_array().cloned().unwrap_or_default();
    let profiles = event["metadata"]["profiles"].as_array().cloned().unwrap_or_default();
    faults.extend(
        profiles.iter().filter(|it| !known.contains(it)).map(|it| format!("profile {it} is none of the class")),
    );
    if event["type_uid"].as_u64()
        != Some(event["class_uid"].as_u64().unwrap() * 100 + event["activity_id"].as_u64().unwrap())
    {
        faults.push("type_uid".into());
    }
    object(schema, class, event, &profiles, "", &mut faults);
    faults
}

fn object(schema: &Value, of: &Value, value: &Value, profiles: &[Value], path: &str, faults: &mut Vec<String>) {
    let Some(value) = value.as_object() else { return faults.push(format!("{path} is no object")) };
    let attributes = of["attributes"].as_object().unwrap();
    // The class of API activities has this one itself, whatever profile adds it to others.
    let is_own = |attribute: &Value| of["name"] == "api_activity" && attribute["type"] == "api";
    let in_force = |attribute: &Value| {
        attribute["profile"].is_null() || profiles.contains(&attribute["profile"]) || is_own(attribute)
    };
    for (name, attribute) in attributes {
        if attribute["requirement"] == "required" && in_force(attribute) && !value.contains_key(name) {
            faults.push(format!("{path}.{name} is missing"));
        }
    }
    if let Some(any) = of["constraints"]["at_least_one"].as_array()
        && !any.iter().any(|name| value.contains_key(name.as_str().unwrap()))
    {
        faults.push(format!("{path} has none of {any:?}"));
    }
    for (name, value) in value {
        let path = format!("{path}.{name}");
        match attributes.get(name) {
            None => faults.push(format!("{path} is not known")),
            Some(attribute) if !in_force(attribute) => faults.push(format!("{path} is of a profile that is not named")),
            Some(attribute) if attribute["is_array"] == true => match value.as_array() {
                Some(items) => {
                    items.iter().for_each(|item| single(schema, attribute, item, profiles, &path, faults));
                }
                None => faults.push(format!("{path} is no list")),
            },
            Some(attribute) => single(schema, attribute, value, profiles, &path, faults),
        }
    }
}

fn single(schema: &Value, attribute: &Value, value: &Value, profiles: &[Value], path: &str, faults: &mut Vec<String>) {
    let kind = attribute["type"].as_str().unwrap();
    let Some(scalar) = schema["types"].get(kind) else {
        if kind != "object" {
            object(schema, &schema["objects"][kind], value, profiles, path, faults);
        } else if !value.is_object() {
            faults.push(format!("{path} is no object"));
        }
        return;
    };
    let base = scalar["type"].as_str().unwrap_or(kind);
    let is_right = match base {
        "string_t" => value.is_string(),
        "boolean_t" => value.is_boolean(),
        "integer_t" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "long_t" => value.as_i64().is_some(),
        _ => true,
    };
    if !is_right {
        faults.push(format!("{path} is no {kind}: {value}"));
    }
    if kind == "ip_t" && value.as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        faults.push(format!("{path} is no address: {value}"));
    }
    if let Some(values) = attribute["enum"].as_object() {
        let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !values.contains_key(&word) {
            faults.push(format!("{path} may not be {word}"));
        }
    }
}

#[test]
fn every_kind_of_record_is_an_event_of_the_published_schema() {
    let Some(schema) = schema() else { return };
    let records = every_kind();
    assert!(records.len() > 1_000, "{}", records.len());
    for record in records {
        let text = rendered(Rendering::Ocsf, &record);
        let event: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let faults = faults(&schema, &event);
        assert!(faults.is_empty(), "{faults:#?}\n{record}\n{event:#}");
    }
}

#[test]
fn what_is_no_record_is_an_event_all_the_same() {
    let Some(schema) = schema() else { return };
    for json in [&b"\xff\x00not json"[..], b"[]", b""] {
        let text = Rendering::Ocsf.render(&Source { log: LOG, index: 3, leaf: leaf_hash(json), json });
        let event = serde_json::from_str(&text).unwrap();
        assert_eq!(faults(&schema, &event), Vec::<String>::new(), "{event:#}");
    }
}

/// The validator finds what it should.
#[test]
fn an_event_that_the_schema_does_not_know_is_found_out() {
    let Some(schema) = schema() else { return };
    let good: Value = serde_json::from_str(&rendered(Rendering::Ocsf, &every_kind()[0])).unwrap();
    let cases: [(&str, Value); 7] = [
        ("/class_uid", json!(1)),
        ("/activity_id", json!(77)),
        ("/time", json!("now")),
        ("/metadata", json!({})),
        ("/src_endpoint/ip", json!("203.0.113.0/24")),
        ("/metadata/profiles", json!(["host"])),
        ("/api", json!({ "operation": "x", "colour": "red" })),
    ];
    for (pointer, value) in cases {
        let mut bad = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[name] = value;
        assert!(!faults(&schema, &bad).is_empty(), "{pointer}");
    }
}

/// Nothing of a record is left out: each of its values is somewhere in the event.
#[test]
fn every_value_of_a_record_is_in_its_event() {
    for record in every_kind() {
        let text = rendered(Rendering::Ocsf, &record);
        assert_eq!(text.matches("\"log\":").count(), usize::from(record.get("log").is_some()), "{text}");
        for (name, value) in record.as_object().unwrap() {
            let inner = value.to_string();
            let inner = inner.trim_matches('"');
            assert!(
                matches!(name.as_str(), "v" | "time" | "outcome") || text.contains(inner),
                "{name} = {value} of {record} in {text}"
            );
        }
    }
}

#[test]
fn each_kind_has_the_class_that_the_map_says() {
    let class = |record: &Value| {
        let event: Value = serde_json::from_str(&rendered(Rendering::Ocsf, record)).unwrap();
        (
            event["class_uid"].as_u64().unwrap(),
            event["activity_id"].as_u64().unwrap(),
            event["status_id"].as_u64().unwrap(),
        )
    };
    let request = |decision: &str, reason: &str, stage: &str| {
        class(
            &json!({ "v": 1, "time": "2026-11-27T18:54:01.007Z", "stage": stage, "decision": decision, "reason": reason,
            "method": "GET" }),
        )
    };
    assert_eq!(request("allow", "allowed", "final"), (6003, 2, 1));
    assert_eq!(request("allow", "allowed", "decided"), (6003, 99, 99));
    assert_eq!(request("allow", "upstream.timeout", "final"), (6003, 2, 2));
    assert_eq!(request("deny", "policy.denied", "final"), (6003, 2, 2));
    assert_eq!(request("deny", "auth.invalid.expired", "final"), (3002, 1, 2));
    let own = |kind: &str| class(&json!({ "v": 1, "time": "2026-11-27T18:54:01.007Z", "kind": kind, "instance": "a" }));
    for (kind, expected) in [
        ("event", (6003, 99, 1)),
        ("log.opened", (6002, 3, 1)),
        ("log.closed", (6002, 4, 1)),
        ("log.gap", (6002, 99, 1)),
        ("policy.changed", (3004, 3, 1)),
        ("policy.refused", (3004, 3, 2)),
        ("api_key.created", (3004, 1, 1)),
        ("api_key.revoked", (3004, 4, 1)),
        ("tokens.revoked", (3004, 9, 1)),
        ("tokens.restored", (3004, 8, 1)),
    ] {
        assert_eq!(own(kind), expected, "{kind}");
    }
}

#[test]
fn whoever_goes_beyond_their_roles_is_alerted_of_and_what_was_only_looked_at_is_not_said_to_be_applied() {
    let event = |more: Value| -> Value {
        let mut record = json!({ "v": 1, "time": "2026-11-27T18:54:01.007Z", "stage": "final", "decision": "allow",
            "reason": "allowed", "method": "GET", "rule": "nurse" });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_str(&rendered(Rendering::Ocsf, &record)).unwrap()
    };
    for (more, severity, alert, applied) in [
        (json!({}), 1, false, true),
        (json!({ "break_glass": true }), 4, true, true),
        (json!({ "break_glass": true, "stage": "decided" }), 4, true, true),
        (json!({ "mode": "shadow" }), 1, false, false),
        (json!({ "mode": "shadow", "would": "policy.denied" }), 2, false, false),
    ] {
        let event = event(more.clone());
        let found =
            (event["severity_id"].as_u64(), event["is_alert"].as_bool(), event["policy"]["is_applied"].as_bool());
        assert_eq!(found, (Some(severity), Some(alert), Some(applied)), "{more}");
    }
}
