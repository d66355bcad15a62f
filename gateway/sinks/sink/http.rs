//! `CloudEvents` 1.0 in batches over HTTP, signed as Standard Webhooks does.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrets::{Kept, Secret};
use terms::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::batch::{Batch, Item, LogId};
use crate::render::{Rendering, quoted};
use crate::sink::endpoint::{Endpoint, ask};
use crate::sink::{Class, Delivery, Sink, SinkError};

/// What signs batches.
pub struct WebhookKey(hmac::Key);

/// Why a secret is no key for that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidWebhookKey {
    /// What follows `whsec_` must be base64.
    #[error("what follows `whsec_` is base64; make one with `echo whsec_$(openssl rand -base64 32)`")]
    Encoding,
    /// Somebody could guess it.
    #[error("the key of a webhook has at least 24 bytes; make one with `echo whsec_$(openssl rand -base64 32)`")]
    Short,
}

impl WebhookKey {
    /// `whsec_` and base64, as Standard Webhooks writes keys; anything else is the key itself.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(secret: &[u8]) -> Result<Self, InvalidWebhookKey> {
        let bytes = match secret.strip_prefix(b"whsec_") {
            Some(text) => Secret::new(STANDARD.decode(text).map_err(|_| InvalidWebhookKey::Encoding)?),
            None => Secret::new(secret.to_vec()),
        };
        if bytes.expose().len() < 24 {
            return Err(InvalidWebhookKey::Short);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose())))
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(***)")
    }
}

/// Where batches go, and what shows that they are ours.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where.
    pub endpoint: Endpoint,
    /// What signs them.
    pub key: Option<Kept<WebhookKey>>,
    /// The value of the field `Authorization`.
    pub authorization: Option<Kept<Secret<Vec<u8>>>>,
}

pub(crate) struct HttpSink {
    pub(crate) http: Http,
    pub(crate) rendering: Rendering,
    pub(crate) clock: Arc<dyn Clock>,
}

impl HttpSink {
    async fn put(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = events(batch, self.rendering).into_bytes();
        let mut request = self.http.endpoint.post().header(CONTENT_TYPE, "application/cloudevents-batch+json");
        if let Some(key) = &self.http.key {
            let (id, timestamp) = (batch.name(), self.clock.unix_seconds());
            let signature = key.glance().sign(&id, timestamp, &body);
            request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
            request = request.header("webhook-signature", signature);
        }
        if let Some(secret) = &self.http.authorization {
            request = request.header(AUTHORIZATION, field(&secret.glance())?);
        }
        ask(request.body(body)).await?.judge(&self.clock)
    }
}

/// A secret as the value of a field.
pub(crate) fn field(secret: &Secret<Vec<u8>>) -> Result<HeaderValue, SinkError> {
    let mut value = HeaderValue::from_bytes(secret.expose())
        .map_err(|_| SinkError::new(Class::Denied, "the secret of `authorization` fits into no field"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Sink for HttpSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}

/// The batch as JSON. A record that is JSON stands in it byte by byte as it was rendered.
pub(crate) fn events(batch: &Batch, rendering: Rendering) -> String {
    let mut text = String::with_capacity(batch.items.iter().map(|item| item.text.len() + 512).sum());
    text.push('[');
    for item in &batch.items {
        if text.len() > 1 {
            text.push(',');
        }
        event(&mut text, batch.log, item, rendering);
    }
    text.push(']');
    text
}

fn event(text: &mut String, log: LogId, item: &Item, rendering: Rendering) {
    use std::fmt::Write as _;
    let Item { index, leaf, millis, event, tenant, text: line, .. } = item;
    let kind = quoted(event);
    write!(
        text,
        r#"{{"specversion":"1.0","id":"{log}:{index}","source":"/cloister/{log}","type":"cloister.audit.record","event":{kind}"#
    )
    .unwrap_or_default(); // a String takes everything
    if let Some(tenant) = tenant {
        write!(text, r#","subject":{}"#, quoted(tenant)).unwrap_or_default();
    }
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(*millis) * 1_000_000);
    if let Some(time) = time.ok().filter(|_| *millis > 0).and_then(|time| time.format(&Rfc3339).ok()) {
        write!(text, r#","time":"{time}""#).unwrap_or_default();
    }
    write!(text, r#","logindex":"{index}","leafhash":"{leaf}","#).unwrap_or_default();
    if rendering.is_json() {
        write!(text, r#""datacontenttype":"application/json","data":{line}}}"#).unwrap_or_default();
    } else {
        write!(text, r#""datacontenttype":"text/plain","data":{}}}"#, quoted(line)).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tests::batch;

    #[test]
    fn a_batch_signs_like_the_example_of_standard_webhooks() {
        // From the specification: github.com/standard-webhooks, its example of a signature.
        let key = WebhookKey::new(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_that_could_be_guessed_is_none() {
        assert_eq!(WebhookKey::new(b"short").err(), Some(InvalidWebhookKey::Short));
        assert_eq!(WebhookKey::new(b"whsec_c2hvcnQ=").err(), Some(InvalidWebhookKey::Short));
        assert_eq!(WebhookKey::new(b"whsec_!").err(), Some(InvalidWebhookKey::Encoding));
        assert!(WebhookKey::new(&[7; 24]).is_ok());
    }

    #[test]
    fn an_event_has_what_cloudevents_demands_and_the_record_as_it_is() {
        let batch = batch(7, 2);
        let text = events(&batch, Rendering::Native);
        assert!(text.contains(r#""data":{"n":7}}"#), "{text}");
        let events: Vec<Value> = serde_json::from_str(&text).unwrap();
        let event = &events[1];
        assert_eq!(
            (event["specversion"].as_str(), event["type"].as_str()),
            (Some("1.0"), Some("cloister.audit.record"))
        );
        assert_eq!(event["id"], format!("{}:8", batch.log));
        assert_eq!((event["subject"].as_str(), event["logindex"].as_str()), (Some("acme"), Some("8")));
        assert_eq!(event["time"], "2026-09-21T14:13:20.008Z");
        assert_eq!(event["leafhash"], batch.items[1].leaf.to_string());
        let names = event.as_object().unwrap().keys();
        assert!(names.clone().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())), "{event}");
    }
}
