//! Log records of OpenTelemetry over HTTP, in JSON.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use secrets::{Kept, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use terms::Clock;

use crate::batch::{Batch, Item, LogId};
use crate::render::Severity;
use crate::sink::endpoint::{Endpoint, ask};
use crate::sink::http::field;
use crate::sink::{Class, Delivery, Sink, SinkError};

/// Where they go, and what shows that they are ours.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Where, with its path: `https://collector:4318/v1/logs`.
    pub endpoint: Endpoint,
    /// The value of the field `Authorization`.
    pub authorization: Option<Kept<Secret<Vec<u8>>>>,
}

pub(crate) struct OtlpSink {
    pub(crate) otlp: Otlp,
    pub(crate) clock: Arc<dyn Clock>,
}

impl OtlpSink {
    async fn put(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = request(batch, self.clock.unix_seconds()).to_string();
        let mut request = self.otlp.endpoint.post().header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.otlp.authorization {
            request = request.header(AUTHORIZATION, field(&secret.glance())?);
        }
        let reply = ask(request.body(body)).await?;
        reply.judge(&self.clock)?;
        partial(&reply.body)
    }
}

/// What a collector says of a batch that it has taken.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(rename = "partialSuccess")]
    partial: Partial,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Partial {
    #[serde(rename = "rejectedLogRecords")]
    rejected: Value,
    #[serde(rename = "errorMessage")]
    message: String,
}

/// A collector may take a part, and does not say which: the batch is halved until what it will not take stands alone.
fn partial(body: &[u8]) -> Result<(), SinkError> {
    let Said { partial } = serde_json::from_slice(body).unwrap_or_default();
    let rejected = match partial.rejected {
        Value::String(count) => count.parse().unwrap_or(1), // FAIL CLOSED: what is not a count is not none
        Value::Number(count) => count.as_u64().unwrap_or(1),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => 0,
    };
    if rejected == 0 {
        return Ok(());
    }
    let why: String = partial.message.chars().take(120).collect();
    Err(SinkError::new(Class::Refused, format!("{rejected} records were rejected: {}", why.escape_debug())))
}

fn request(batch: &Batch, now: u64) -> Value {
    let records: Vec<Value> = batch.items.iter().map(|item| record(batch.log, item, now)).collect();
    json!({ "resourceLogs": [{
        "resource": { "attributes": [text("service.name", "cloister"), text("cloister.log", &batch.log.to_string())] },
        "scopeLogs": [{ "scope": { "name": "cloister.audit", "version": env!("CARGO_PKG_VERSION") }, "logRecords": records }],
    }] })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn record(log: LogId, item: &Item, now: u64) -> Value {
    let (number, word) = match item.severity {
        Severity::Informational => (9, "INFO"),
        Severity::Low => (10, "INFO2"),
        Severity::Medium => (13, "WARN"),
        Severity::High => (17, "ERROR"),
    };
    // Whole numbers of 64 bits are texts in the JSON of protobuf.
    let mut attributes = vec![
        text("log.record.uid", &format!("{log}:{}", item.index)),
        json!({ "key": "cloister.index", "value": { "intValue": item.index.to_string() } }),
        text("cloister.leaf", &item.leaf.to_string()),
    ];
    attributes.extend(item.tenant.as_deref().map(|tenant| text("cloister.tenant", tenant)));
    let mut record = json!({
        "timeUnixNano": (item.millis * 1_000_000).to_string(),
        "observedTimeUnixNano": (now * 1_000_000_000).to_string(),
        "severityNumber": number,
        "severityText": word,
        "eventName": item.event,
        "body": { "stringValue": item.text },
        "attributes": attributes,
    });
    if let (Some(trace), Some(record)) = (&item.trace, record.as_object_mut()) {
        record.insert("traceId".into(), trace.as_str().into());
    }
    record
}

impl Sink for OtlpSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::batch;

    #[test]
    fn a_request_is_the_json_of_the_protocol() {
        let request = request(&batch(3, 1), 1_790_000_001);
        let record = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["timeUnixNano"], "1790000000003000000");
        assert_eq!(record["body"]["stringValue"], "{\"n\":3}");
        assert_eq!((&record["severityNumber"], &record["eventName"]), (&json!(9), &json!("allowed")));
        assert_eq!(record["attributes"][1]["value"]["intValue"], "3");
    }

    #[test]
    fn what_a_collector_has_rejected_is_not_taken_for_delivered() {
        for (body, good) in [
            ("{}", true),
            ("", true),
            (r#"{"partialSuccess":{}}"#, true),
            (r#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"a warning"}}"#, true),
            (r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#, false),
            (r#"{"partialSuccess":{"rejectedLogRecords":2}}"#, false),
            (r#"{"partialSuccess":{"rejectedLogRecords":"many"}}"#, false),
        ] {
            assert_eq!(partial(body.as_bytes()).is_ok(), good, "{body}");
        }
    }
}
