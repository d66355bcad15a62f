//! Whether a response is about the tenant that asked: where it says so itself.

mod json;

use std::str::FromStr;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use terms::ByteCount;

/// Where the responses of a route name their tenant, and what becomes of one that names another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Echo {
    /// Where.
    pub place: EchoPlace,
    /// Whether a mismatch is blocked.
    pub mode: EchoMode,
    /// What becomes of a successful response that names none.
    pub missing: Missing,
    /// The longest body that is looked at.
    pub max_body: ByteCount,
}

/// Where a response names its tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EchoPlace {
    /// In this field of its head.
    Header(HeaderName),
    /// In its JSON, here.
    Json(Pointer),
}

/// What becomes of a response that is about another tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum EchoMode {
    /// The client gets 502 in its place.
    #[default]
    Block,
    /// It passes, and the record says so.
    Shadow,
}

/// What becomes of a successful response that names no tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It passes.
    Allow,
    /// It is treated as one of another tenant.
    #[default]
    Block,
}

/// What a response says of its tenant, from the best to the worst.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Echoed {
    /// It names the tenant that asked, everywhere.
    Match,
    /// It names none, somewhere.
    Missing,
    /// It cannot be read: too long, compressed, in part, or not JSON.
    Unreadable,
    /// It names another tenant, or the same name twice.
    Differs,
}

/// A place in JSON (RFC 6901), with `*` for every element of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer(Vec<Step>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Each,
    Key(Box<str>),
}

/// Why a text is no place in JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPointer {
    /// More steps than JSON may be deep here.
    #[error("a place in JSON has at most 16 steps")]
    Deep,
    /// A `~` that is neither `~0` nor `~1`.
    #[error("`~` is written `~0`, and a `/` inside of a name `~1`")]
    Escape,
    /// It does not begin with a slash.
    #[error("a place in JSON is written `/tenant/id` or `/items/*/tenant`")]
    Start,
}

impl Echo {
    /// What a response to a request of `tenant` says, by the values of the header that should name it.
    #[must_use]
    pub fn of_fields<'v>(values: impl Iterator<Item = &'v [u8]>, tenant: &str) -> Echoed {
        let said = |value: &[u8]| if value == tenant.as_bytes() { Echoed::Match } else { Echoed::Differs };
        values.map(said).max().unwrap_or(Echoed::Missing)
    }

    /// Whether a response that says this may go to the client. `success`: whether its status is one of success. An error
    /// page is seldom JSON and seldom names a tenant; only one that names another is held back.
    #[must_use]
    pub fn passes(&self, echoed: Echoed, success: Success) -> bool {
        match (self.mode, echoed) {
            (EchoMode::Shadow, _) | (EchoMode::Block, Echoed::Match) => true,
            (EchoMode::Block, Echoed::Missing) => self.missing == Missing::Allow || success == Success::No,
            (EchoMode::Block, Echoed::Unreadable) => success == Success::No,
            (EchoMode::Block, Echoed::Differs) => false,
        }
    }
}

/// Whether a status is one of success (2xx).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Success {
    /// It is not.
    No,
    /// It is.
    Yes,
}

impl Echoed {
    /// Every word, for metrics that stand at zero from the start.
    pub const ALL: [Self; 4] = [Self::Match, Self::Missing, Self::Unreadable, Self::Differs];

    /// The word in metrics and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Differs => "differs",
        }
    }
}

impl FromStr for Pointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let steps = text.strip_prefix('/').ok_or(InvalidPointer::Start)?.split('/').map(|step| {
            if step == "*" {
                return Ok(Step::Each);
            }
            let mut after = step.split('~').skip(1);
            if !after.all(|rest| rest.starts_with(['0', '1'])) {
                return Err(InvalidPointer::Escape);
            }
            Ok(Step::Key(step.replace("~1", "/").replace("~0", "~").into()))
        });
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        if steps.len() > 16 { Err(InvalidPointer::Deep) } else { Ok(Self(steps)) }
    }
}
