//! Whether a response is about the tenant that asked: where it says so itself.

mod json;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteCount, Pointer};

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

impl Echo {
    /// What a response to a request of `tenant` says, by the values of the header that should name it.
    #[must_use]
    pub fn of_fields<'v>(values: impl Iterator<Item = &'v [u8]>, tenant: &str) -> Echoed {
        let said = |value: &[u8]| if value == tenant.as_bytes() { Echoed::Match } else { Echoed::Differs };
        values.map(said).max().unwrap_or(Echoed::Missing)
    }

    /// What a JSON text says of its tenant at this place. Readers differ about a name that stands twice, so a text in which one on
    /// the way does differs from everything. An empty list names nobody else, and matches.
    #[must_use]
    pub fn of_json(place: &Pointer, text: &[u8], tenant: &str) -> Echoed {
        json::look(place, text, tenant)
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
