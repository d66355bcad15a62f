//! What becomes of responses on their way to clients.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteCount, Span};
use yaml::At;

/// What becomes of responses on their way to clients. A policy's route may say more in `response_headers`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Response {
    /// How long the head of a backend's response may be, all fields together.
    #[schemars(with = "String")]
    pub(crate) head_bytes: ByteCount,
    /// How long a single field of it may be.
    #[schemars(with = "String")]
    pub(crate) field_bytes: ByteCount,
    /// How many fields it may have.
    pub(crate) fields: u16,
    /// Names of more fields that clients never see.
    pub(crate) remove: Vec<At<String>>,
    /// `Strict-Transport-Security`, over TLS only: for this host, with its subdomains, or for the browsers' own lists.
    pub(crate) hsts: Option<At<Hsts>>,
    /// How long browsers are to remember that.
    #[schemars(with = "String")]
    pub(crate) hsts_max_age: Span,
    /// `X-Content-Type-Options`.
    pub(crate) content_type_options: ContentTypeOptions,
    /// `X-Frame-Options`, where the backend says nothing about frames itself.
    pub(crate) frame_options: FrameOptions,
    /// `Referrer-Policy`, where the backend has none.
    pub(crate) referrer_policy: ReferrerPolicy,
    /// `Cache-Control` of what a caller with a token gets, where the backend has none.
    pub(crate) guarded_cache: GuardedCache,
    /// In which fields clients are told of limits.
    pub(crate) rate_limit_fields: RateLimitFields,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            head_bytes: ByteCount(64 << 10),
            field_bytes: ByteCount(16 << 10),
            fields: 128,
            remove: Vec::new(),
            hsts: None,
            hsts_max_age: Span(Duration::from_secs(365 * 86_400)),
            content_type_options: ContentTypeOptions::default(),
            frame_options: FrameOptions::default(),
            referrer_policy: ReferrerPolicy::default(),
            guarded_cache: GuardedCache::default(),
            rate_limit_fields: RateLimitFields::default(),
        }
    }
}

/// Whom `Strict-Transport-Security` is for (RFC 6797).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hsts {
    /// For nobody: the field is not sent, and a backend's own is taken out.
    None,
    /// For the host that was asked.
    #[default]
    Host,
    /// For its subdomains, too.
    Subdomains,
    /// The same, and browsers may put it on their own lists, which is hard to undo.
    Preload,
}

/// `X-Content-Type-Options`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContentTypeOptions {
    /// Not sent.
    None,
    /// Browsers do not guess what a response is.
    #[default]
    Nosniff,
}

/// In which fields clients are told of limits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RateLimitFields {
    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    #[default]
    Standard,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` as well: of the tightest limit, the last in seconds.
    Older,
}

/// `X-Frame-Options`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FrameOptions {
    /// Not sent.
    None,
    /// Nobody puts a page into a frame.
    Deny,
    /// Pages of the same origin may.
    #[default]
    SameOrigin,
}

/// `Referrer-Policy`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReferrerPolicy {
    /// Not sent.
    None,
    /// No other site learns anything.
    SameOrigin,
    /// Nobody learns anything.
    NoReferrer,
    /// Other sites learn the origin, and nothing over plain HTTP.
    #[default]
    StrictOriginWhenCrossOrigin,
}

/// `Cache-Control` of what a caller with a token gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuardedCache {
    /// Only the caller's own browser may keep it.
    #[default]
    Private,
    /// Nobody may keep it.
    NoStore,
}
