//! Objects in a store that speaks S3, each kept from being changed until a day (Object Lock).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode, Url};
use secrets::{Kept, Secret};
use terms::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::batch::Batch;
use crate::sink::endpoint::{Endpoint, Reply, ask};
use crate::sink::file::lines;
use crate::sink::sigv4::{Credentials, Signed, authorization, sha256};
use crate::sink::{Class, Delivery, Sink, SinkError};

/// Where objects go, and for how long nobody may change them.
#[derive(Clone, Debug)]
pub struct S3 {
    /// The address of the store, without a path.
    pub endpoint: Endpoint,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket, which has Object Lock.
    pub bucket: String,
    /// What the names of all objects begin with.
    pub prefix: String,
    /// What the key is called that signs.
    pub access_key: String,
    /// The key that signs.
    pub secret_key: Kept<Secret<Vec<u8>>>,
    /// How an object is kept.
    pub lock: Lock,
    /// For how long.
    pub retain: Duration,
}

/// How an object is kept from being changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lock {
    /// Nobody may change it, whoever they are.
    Compliance,
    /// Who has a right of its own for that may.
    Governance,
}

pub(crate) struct S3Sink {
    pub(crate) s3: S3,
    pub(crate) clock: Arc<dyn Clock>,
}

impl S3Sink {
    async fn put(&self, batch: &Batch) -> Result<(), SinkError> {
        let (first, last) = batch.range().unwrap_or_default();
        let S3 { bucket, prefix, lock, retain, .. } = &self.s3;
        let path = format!("/{bucket}/{prefix}{}/{first:020}-{last:020}.jsonl", batch.log);
        let body = lines(batch);
        let checksum = STANDARD.encode(digest::digest(&digest::SHA256, &body));
        let until = OffsetDateTime::from(self.clock.now() + *retain).replace_nanosecond(0);
        let until = until.map_err(time::Error::from).and_then(|until| Ok(until.format(&Rfc3339)?));
        let until = until.map_err(|_| SinkError::new(Class::Denied, "`retain` ends beyond the calendar"))?;
        let mode = match lock {
            Lock::Compliance => "COMPLIANCE",
            Lock::Governance => "GOVERNANCE",
        };
        let fields = [
            ("content-type", "application/x-ndjson"),
            ("if-none-match", "*"), // what is there is never written over
            ("x-amz-checksum-sha256", &checksum),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-object-lock-mode", mode),
            ("x-amz-object-lock-retain-until-date", &until),
        ];
        let reply = self.ask(Method::PUT, &path, &fields, body).await?;
        match reply.status {
            StatusCode::PRECONDITION_FAILED => self.is_there(&path, &checksum).await,
            StatusCode::CONFLICT => Err(SinkError::new(Class::Busy, "somebody else writes the same object")),
            // A store does not look at what an object says: what it does not like is how it is asked.
            _ => reply.judge(&self.clock).map_err(|error| {
                let class = if error.class == Class::Refused { Class::Denied } else { error.class };
                SinkError { class, ..error }
            }),
        }
    }

    /// The object is there already: ours, if it says the same.
    async fn is_there(&self, path: &str, checksum: &str) -> Result<(), SinkError> {
        let reply = self.ask(Method::HEAD, path, &[("x-amz-checksum-mode", "ENABLED")], Vec::new()).await?;
        reply.judge(&self.clock)?;
        let found = reply.headers.get("x-amz-checksum-sha256").and_then(|value| value.to_str().ok());
        if found == Some(checksum) {
            return Ok(());
        }
        // FAIL CLOSED: what cannot be shown to be the same is another's.
        Err(SinkError::new(Class::Denied, format!("another object is in the place of `{path}`")))
    }

    async fn ask(&self, method: Method, path: &str, more: &[(&str, &str)], body: Vec<u8>) -> Result<Reply, SinkError> {
        let mut url: Url = self.s3.endpoint.url().clone();
        url.set_path(path);
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let now = OffsetDateTime::from(self.clock.now());
        let at = now.format(format_description!("[year][month][day]T[hour][minute][second]Z"));
        let at = at.map_err(|_| SinkError::new(Class::Denied, "the clock is beyond the calendar"))?;
        let content = sha256(&body);
        let mut fields = more.to_vec();
        fields.extend([("host", host.as_str()), ("x-amz-content-sha256", &content), ("x-amz-date", &at)]);
        let signature = {
            let secret = self.s3.secret_key.glance();
            let credentials =
                Credentials { access_key: &self.s3.access_key, secret_key: secret.expose(), region: &self.s3.region };
            let signed = Signed { method: method.as_str(), path, fields: &fields, content: &content, at: &at };
            authorization(&credentials, &signed)
        };
        let mut request = self.s3.endpoint.request(method, url).header("authorization", signature);
        for (name, value) in fields.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, *value);
        }
        ask(request.body(body)).await
    }
}

impl Sink for S3Sink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}
