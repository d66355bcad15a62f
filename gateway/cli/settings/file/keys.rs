//! The keys that sign what backends receive.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// The keys that sign what backends receive, and how they take turns.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SigningKeys {
    /// How long a key signs: `30d` if it is left out, and at least four times `max_age`. The next one is published all that
    /// time, the one before for some minutes more.
    #[schemars(with = "Option<String>")]
    pub(crate) rotate_after: Option<At<Span>>,
    /// How long backends may keep the published keys: `1s` to `1d`, `5m` if it is left out. No key signs that was published
    /// for less than twice as long.
    #[schemars(with = "Option<String>")]
    pub(crate) max_age: Option<At<Span>>,
    /// The keys, where somebody else looks after them: `${file:…}` or `${env:…}`, with what `assertion.jwks` of the state
    /// folder has. They are read again every few seconds, and take no turns by themselves. Made and kept in the state folder
    /// if it is left out.
    pub(crate) secret: Option<At<String>>,
}
