//! How it is known which addresses of a backend are well.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Share, Span};
use yaml::At;

/// What each address is asked, again and again. An address that does not pass gets no requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// How it is asked.
    pub(crate) check: At<Check>,
    /// What is asked for: `/healthz`. With `check: http`, which needs it.
    #[serde(default)]
    pub(crate) path: Option<At<String>>,
    /// The host that is asked for. With `check: http`; the name that its certificate must be for, or else the address, if it
    /// is left out.
    #[serde(default)]
    pub(crate) host: Option<At<String>>,
    /// What a healthy one answers: numbers and ranges. With `check: http`; `["200-299"]` if it is left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Statuses>>")]
    pub(crate) statuses: Option<At<Vec<At<Statuses>>>>,
    /// Which service is asked after. With `check: grpc`; all of them, if it is left out.
    #[serde(default)]
    pub(crate) service: Option<At<String>>,
    /// How long to wait before the next time: `10s` if it is left out. A tenth more or less.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) every: Option<At<Span>>,
    /// How long one check may take: `2s` if it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) timeout: Option<At<Span>>,
    /// After so many failures in a row an address is out: `3` if it is left out.
    #[serde(default)]
    pub(crate) unhealthy: Option<At<u32>>,
    /// After so many successes in a row it is back: `2` if it is left out.
    #[serde(default)]
    pub(crate) healthy: Option<At<u32>>,
}

/// How an address is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    /// By gRPC's health checking protocol. Needs `protocol: h2` or `h2c`.
    Grpc,
    /// By a GET.
    Http,
    /// By a connection, with TLS if there is `tls`.
    Tcp,
}

/// A status, or a range of them: `200`, `"200-299"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a status, or a range of them such as `200-299`")]
pub(crate) enum Statuses {
    /// `200`
    One(u16),
    /// `200-299`
    Range(String),
}

/// When an address is left out for what became of requests. What counts is what counts for the breaker, in a row; and of
/// failures after a connection stood only those of at least two tenants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ejection {
    /// After so many failures in a row: `5` if it is left out.
    pub(crate) consecutive: Option<At<u32>>,
    /// How long: `30s` if it is left out. Twice as long the second time in a row, three times the third, and so on.
    #[serde(rename = "for")]
    #[schemars(with = "Option<String>")]
    pub(crate) span: Option<At<Span>>,
    /// The longest: `5m` if it is left out.
    #[schemars(with = "Option<String>")]
    pub(crate) longest: Option<At<Span>>,
    /// No address is ejected if more than this share of them would be out: `50%` if it is left out. `0%`: none ever is.
    #[schemars(with = "Option<String>")]
    pub(crate) max_share: Option<At<Share>>,
}
