//! What keeps a backend, and those who ask it, from harm: retries, a circuit breaker, a queue.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// What is tried again if it failed. Only a request that the backend cannot have seen, or one that means the same twice as
/// once and of whose body nothing has left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retries {
    /// How many attempts a request has in all, 5 at most: `3` if it is left out. With 1, nothing is tried again.
    pub(crate) attempts: Option<At<u8>>,
    /// How many retries a hundred requests earn, in percent: `20` if it is left out, 100 at most.
    pub(crate) percent: Option<At<u32>>,
    /// How many retries there are in each second besides: `3` if it is left out.
    pub(crate) per_second: Option<At<u32>>,
    /// The wait before the first retry is a random part of this; it doubles with each.
    #[schemars(with = "String")]
    pub(crate) wait: Span,
    /// The longest wait.
    #[schemars(with = "String")]
    pub(crate) longest_wait: Span,
    /// Statuses that are worth another attempt: of 502, 503 and 504. None if it is left out.
    pub(crate) statuses: Vec<At<u16>>,
}

impl Default for Retries {
    fn default() -> Self {
        let milliseconds = |count| Span(Duration::from_millis(count));
        Self {
            attempts: None,
            percent: None,
            per_second: None,
            wait: milliseconds(25),
            longest_wait: milliseconds(250),
            statuses: Vec::new(),
        }
    }
}

/// When a backend is left alone. What counts is that no connection stands, that it breaks off, is late, or answers 502, 503
/// or 504; of the last three, the tenant with the most is left out, so that no tenant can close a backend to the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Breaker {
    /// Opens after so many failures in a row: `10` if it is left out.
    pub(crate) consecutive: Option<At<u32>>,
    /// Opens when this share of the attempts within the window failed, in percent: `50` if it is left out.
    pub(crate) percent: Option<At<u32>>,
    /// But not for fewer attempts than these: `20` if it is left out.
    pub(crate) minimum: Option<At<u32>>,
    /// How far back it looks.
    #[schemars(with = "String")]
    pub(crate) window: Span,
    /// How long it stays open.
    #[schemars(with = "String")]
    pub(crate) open: Span,
    /// How many attempts must be answered until it closes: `3` if it is left out.
    pub(crate) tries: Option<At<u32>>,
}

impl Default for Breaker {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self { consecutive: None, percent: None, minimum: None, window: seconds(10), open: seconds(5), tries: None }
    }
}

/// Where requests wait that find no place. Free places go to the tenants that wait, by their weights.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Queue {
    /// How many may wait. With 0 nobody waits: who finds no place is turned away.
    pub(crate) length: u32,
    /// How long one waits.
    #[schemars(with = "String")]
    pub(crate) wait: Span,
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 256, wait: Span(Duration::from_secs(1)) }
    }
}
