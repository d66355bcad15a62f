use std::str::FromStr;

use terms::{IssuerId, RequestId, TenantId};

use crate::Pseudonym;
use crate::line::Line;

/// Something that a backend says has happened. The record says so, too (`by: backend`): it is never taken for what the
/// gateway has seen itself.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What it is called.
    pub id: RequestId,
    /// Who says so. At most 64 characters are kept.
    pub backend: &'a str,
    /// The tenant that it is about: it stands in the chain of that tenant.
    pub tenant: &'a TenantId,
    /// Who acted, as records of requests have it, and which issuer knows the subject.
    pub subject: Option<(&'a IssuerId, Pseudonym)>,
    /// What was done. At most 64 characters are kept.
    pub action: &'a str,
    /// With what. At most 768 characters are kept, as they are escaped.
    pub resource: Option<&'a str>,
    /// Whether it was done.
    pub outcome: EventOutcome,
    /// More of it, each value bounded.
    pub details: &'a [(DetailName, Detail)],
}

/// Whether what a backend tells of was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventOutcome {
    /// It was not.
    Failure,
    /// It was.
    Success,
}

/// What a detail is called: 1 to 32 of small letters, digits and `_`, the first a letter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DetailName(String);

/// Why a text is no name of a detail.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a name has 1 to 32 of small letters, digits and `_`, and begins with a letter")]
pub struct InvalidDetailName;

/// What a detail says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Detail {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
    /// At most 768 characters are kept, as they are escaped.
    Text(String),
}

impl FromStr for DetailName {
    type Err = InvalidDetailName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let is_whole = begins && text.len() <= 32 && text.bytes().all(is_name);
        is_whole.then(|| Self(text.to_owned())).ok_or(InvalidDetailName)
    }
}

/// What follows the beginning of an own record. ORDER: the tenant comes before the details, which may have one, too; the
/// place in the chain comes after them, when the record is put into the log.
pub(crate) fn put(line: &mut Line, event: &Event<'_>) {
    let Event { id, backend, tenant, subject, action, resource, outcome, details } = event;
    line.hex(r#","event":""#, id.as_u128(), 32);
    line.word(r#","tenant":""#, tenant.as_str());
    if let Some((issuer, hidden)) = subject {
        line.word(r#","sub":""#, hidden.as_str());
        line.word(r#","iss":""#, issuer.as_str());
    }
    line.raw(r#","by":"backend""#);
    line.text(r#","backend":""#, backend, 64);
    line.text(r#","action":""#, action, 64);
    if let Some(resource) = resource {
        line.text(r#","resource":""#, resource, 768);
    }
    let outcome = match outcome {
        EventOutcome::Failure => "failure",
        EventOutcome::Success => "success",
    };
    line.word(r#","outcome":""#, outcome);
    if details.is_empty() {
        return;
    }
    line.raw(r#","details":{"#);
    for (at, (DetailName(name), detail)) in details.iter().enumerate() {
        line.raw(if at == 0 { "\"" } else { ",\"" });
        line.raw(name);
        match detail {
            Detail::Flag(flag) => line.raw(if *flag { r#"":true"# } else { r#"":false"# }),
            Detail::Number(number) => {
                line.raw(if *number < 0 { r#"":-"# } else { r#"":"# });
                line.decimal(number.unsigned_abs());
            }
            Detail::Text(text) => line.text(r#"":""#, text, 768),
        }
    }
    line.raw("}");
}
