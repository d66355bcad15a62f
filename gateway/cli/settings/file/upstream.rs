//! The backends, and what each is told about who asks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// A backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Where it runs; used in turn.
    pub(crate) addresses: At<Vec<At<String>>>,
    /// What it speaks. gRPC needs `h2c`.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// How long it may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    /// What it is told about who asks.
    #[serde(default)]
    pub(crate) assertion: UpstreamAssertion,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// HTTP/1.1. The trailers of a response do not reach the client.
    #[default]
    Http1,
    /// HTTP/2 without TLS. The trailers of a response reach every client that speaks HTTP/2, as gRPC clients do; clients
    /// of HTTP/1.1 get the response without them. Such a backend takes no WebSockets.
    H2c,
}

/// How long to wait for a backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    /// Until a connection stands.
    #[schemars(with = "String")]
    pub(crate) connect: Span,
    /// Until the next bytes of the response.
    #[schemars(with = "String")]
    pub(crate) read: Span,
    /// Until the next bytes of the request are taken.
    #[schemars(with = "String")]
    pub(crate) write: Span,
    /// How long an unused connection is kept.
    #[schemars(with = "String")]
    pub(crate) idle: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self { connect: seconds(1), read: seconds(60), write: seconds(60), idle: seconds(60) }
    }
}

/// What one backend is told about who asks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamAssertion {
    /// The `aud` of its assertions. By default the name of the upstream.
    pub(crate) audience: Option<At<String>>,
    /// What ties an assertion to one request.
    pub(crate) binding: Binding,
    /// The key of this backend's RFC 9421 signatures, at least 32 bytes: `${file:…}` or `${env:…}`.
    pub(crate) key: Option<At<String>>,
}

/// What ties an assertion to one request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Binding {
    /// A fresh assertion for each request, with its method and path inside.
    #[default]
    PerRequest,
    /// An assertion that says who, used again for half of its life, and an RFC 9421 signature that says this request.
    /// Needs `key`.
    Reuse,
    /// An assertion that says who, used again for half of its life, and nothing that says this request: whoever sees one
    /// can use it for any request of that user until it expires.
    InsecureReuse,
}
