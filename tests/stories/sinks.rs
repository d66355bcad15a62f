//! What is on record gets to where others want it: all of it, in order, without a request that waits.

mod files;
mod http;
mod nats;
mod otlp;
mod postgresql;
mod slow;
mod syslog;

use std::path::Path;

use serde_json::Value;

use crate::harness::Gateway;

/// The exact bytes of every record in the log.
fn records(gateway: &Gateway) -> Vec<String> {
    gateway.records(&[]);
    let records = audit::Reader::open(gateway.log()).unwrap();
    records.map(|stored| String::from_utf8(stored.unwrap().json).unwrap()).collect()
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Without those that came again where a delivery was cut off. Everything else must be in order.
fn once(mut arrived: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    arrived.retain(|record| seen.insert(record.clone()));
    arrived
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
