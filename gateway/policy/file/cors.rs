//! Which pages in browsers may ask.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

/// Which pages of other origins in browsers may ask. Preflights are answered by the gateway, and only for these; nothing of
/// `Access-Control-…` that a backend says passes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `origins`")]
pub(crate) struct CorsEntry {
    /// `https://app.example.com`, `https://{tenant}.app.example.com` (the tenant of the host), or `*` for all.
    pub(crate) origins: At<Vec<At<String>>>,
    /// With which methods. Those that the route takes if it is left out.
    pub(crate) methods: Option<At<Vec<At<String>>>>,
    /// With which fields, besides those that need no leave. `[Authorization, Content-Type]` if it is left out.
    pub(crate) headers: Option<Vec<At<String>>>,
    /// Which fields of responses a page may read, besides those that it may read anyway.
    #[serde(default)]
    pub(crate) expose: Vec<At<String>>,
    /// Whether the cookies of whoever looks at the page go with it. Not with `origins: ["*"]`.
    pub(crate) credentials: Option<At<bool>>,
    /// How long a browser may remember the answer. `10m` if it is left out; browsers remember it for two hours at most.
    pub(crate) max_age: Option<At<String>>,
}
