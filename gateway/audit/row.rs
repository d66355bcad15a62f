use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// A record as it is read back, version 1 of the format. What a record does not say is `None`.
///
/// A request's record has an `id` and a `stage`, one of the log's own has a `kind`. A field that this build does not
/// know makes it no record.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are documented where they are published: in `record_schema()`")]
pub struct Row<'a> {
    pub v: u8,
    pub time: &'a str,
    pub instance: &'a str,
    pub id: Option<&'a str>,
    pub stage: Option<&'a str>,
    pub tenant: Option<&'a str>,
    pub sub: Option<&'a str>,
    pub iss: Option<&'a str>,
    pub key: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub method: Option<String>,
    pub host: Option<String>,
    pub proto: Option<&'a str>,
    pub route: Option<&'a str>,
    pub rule: Option<String>,
    pub policy: Option<&'a str>,
    pub upstream: Option<&'a str>,
    pub limit: Option<&'a str>,
    pub limit_store: Option<&'a str>,
    pub us: Option<u64>,
    pub trace: Option<&'a str>,
    pub pii: Option<&'a str>,
    pub mode: Option<&'a str>,
    pub would: Option<&'a str>,
    pub break_glass: Option<bool>,
    pub decision: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub status: Option<u16>,
    pub attempts: Option<u8>,
    #[serde(rename = "in")]
    pub bytes_in: Option<u64>,
    #[serde(rename = "out")]
    pub bytes_out: Option<u64>,
    pub ms: Option<u64>,
    pub echo: Option<&'a str>,
    pub end: Option<&'a str>,
    pub tseq: Option<u64>,
    pub tprev: Option<&'a str>,
    pub salt: Option<&'a str>,
    pub kind: Option<&'a str>,
    pub old: Option<&'a str>,
    pub new: Option<&'a str>,
    pub version: Option<u64>,
    pub why: Option<String>,
    pub setting: Option<String>,
    pub event: Option<&'a str>,
    pub backend: Option<String>,
    pub action: Option<&'a str>,
    pub resource: Option<String>,
    pub outcome: Option<&'a str>,
    pub details: Option<std::collections::BTreeMap<&'a str, serde_json::Value>>,
    pub filter: Option<String>,
    pub found: Option<u64>,
    pub replaces: Option<&'a str>,
    pub roles: Option<String>,
    pub expires: Option<u64>,
    pub done: Option<u64>,
    pub dek: Option<&'a str>,
    pub count: Option<u64>,
    pub hold: Option<u64>,
    pub sha256: Option<&'a str>,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub of: Option<&'a str>,
    pub before: Option<u64>,
    pub by: Option<String>,
    pub uid: Option<u64>,
    pub pid: Option<u64>,
    pub old_key: Option<String>,
    pub new_key: Option<String>,
    pub checkpoint: Option<String>,
    pub old_class: Option<String>,
    pub new_class: Option<String>,
    pub log: Option<&'a str>,
    pub records: Option<u64>,
    pub dropped_bytes: Option<u64>,
    pub replayed: Option<u64>,
    pub interrupted: Option<u64>,
    pub unreadable: Option<u64>,
    pub unrecorded: Option<u64>,
    pub requests: Option<u64>,
    pub finals: Option<u64>,
    pub first: Option<u64>,
    pub bytes: Option<u64>,
    pub size: Option<u64>,
    pub root: Option<&'a str>,
    pub keep: Option<u64>,
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// A request's record lacks what each must have, or has what only the log's own have.
    #[error("the record has not the fields of its kind")]
    Fields,
    /// Not the JSON that records are made of.
    #[error("the record does not parse")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version {0} of the record is not known to this build")]
    Version(u8),
}

impl<'a> Row<'a> {
    /// Reads one record.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(json: &'a [u8]) -> Result<Self, InvalidRecord> {
        let row: Self = serde_json::from_slice(json)?;
        if row.v != 1 {
            return Err(InvalidRecord::Version(row.v));
        }
        let request = row.request_id().is_some()
            && row.decision.is_some()
            && row.reason.is_some_and(|reason| reason.parse::<terms::Reason>().is_ok())
            && match row.stage {
                Some("final") => row.end.is_some(),
                Some("decided" | "opened") => row.end.is_none(),
                _ => false,
            };
        let own = row.kind.is_some() && row.id.is_none() && row.stage.is_none();
        let fits = if row.kind.is_some() { own } else { request };
        fits.then_some(row).ok_or(InvalidRecord::Fields)
    }

    /// What is personal, sealed: what its key is called, and nonce, ciphertext and tag.
    #[must_use]
    pub fn personal(&self) -> Option<(&'a str, Vec<u8>)> {
        let (key, sealed) = self.pii?.strip_prefix("v1.xc20p.")?.split_once('.')?;
        Some((key, URL_SAFE_NO_PAD.decode(sealed).ok()?))
    }

    /// The request that the record is about.
    #[must_use]
    pub fn request_id(&self) -> Option<terms::RequestId> {
        self.id?.parse().ok()
    }
}
