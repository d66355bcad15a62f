//! What a backend answers, before a byte of it goes on to a client: is it one response, and what of it is the client's
//! business?

mod clean;
mod security;
mod sound;

pub(crate) use clean::{clean, clean_trailers};
pub use security::SecurityHeaders;
pub(crate) use security::{Transport, apply, keep_apart, share};
pub(crate) use sound::{Asked, check};

use http::{HeaderName, HeaderValue};

/// How responses are treated on their way to clients.
#[derive(Clone, Debug)]
pub struct ResponseSettings {
    /// How much of a response head is taken.
    pub bounds: ResponseBounds,
    /// Fields that clients never see, besides those that are always taken out.
    pub remove: Vec<HeaderName>,
    /// By which browsers protect people; also on our own refusals.
    pub security: SecurityHeaders,
    /// `Cache-Control` of what a caller with a token gets, where the backend has none.
    pub guarded_cache: HeaderValue,
    /// In which fields clients are told of limits.
    pub rate_limits: RateLimitFields,
}

/// In which fields clients are told of limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateLimitFields {
    /// In `X-RateLimit-…` as well.
    Older,
    /// In `RateLimit` and `RateLimit-Policy`.
    Standard,
}

/// How much of a response head is taken. Nothing here means unlimited: zero lets nothing through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseBounds {
    /// The most bytes of all fields, each counted with its name, its value and four bytes of punctuation.
    pub head_bytes: usize,
    /// The most bytes of one field, counted in the same way.
    pub field_bytes: usize,
    /// The most fields.
    pub fields: usize,
}
