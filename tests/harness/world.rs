//! The small world that most stories play in.

use serde_json::{Value, json};

/// Two tenants that are active and one that is not, three roles, and the routes that stories use.
pub const POLICIES: &str = r#"
tenants:
  acme: { status: active }
  globex: { status: active }
  initech: { status: suspended }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
  auditor: { inherits: [clerk], deny: ["order:write"] }
limits:
  generous: { rate: 100000/s, burst: 100000, key: [tenant] }
  strict: { rate: 1/h, burst: 3, key: [tenant, user] }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read", HEAD: "order:read", "*": "order:write" }
    limits: [generous]
  - id: strict
    match: { host: "{tenant}.example.test", path: "/strict/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
    audit: strict
  - id: limited
    match: { host: "{tenant}.example.test", path: "/limited" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    limits: [generous, strict]
  - id: socket
    match: { host: "{tenant}.example.test", path: "/socket" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    upgrade: websocket
  - id: upload
    match: { host: "{tenant}.example.test", path: "/upload" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { PUT: "order:write", POST: "order:write" }
    max_body: 64MiB
  - id: public
    match: { host: "*", path: "/public/**" }
    upstream: backend
    auth: none
"#;

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "tokens of tests live in real time")]
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A second since the Unix epoch as people write it.
pub fn rfc3339(seconds: u64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// The claims of a token that is good for an hour.
pub fn claims(tenant: &str, user: &str, roles: &[&str]) -> Value {
    let now = now();
    json!({
        "iss": "https://idp.example.test/", "aud": "saas-api", "sub": user, "tenant_id": tenant, "roles": roles,
        "iat": now, "nbf": now - 1, "exp": now + 3600, "jti": format!("{tenant}-{user}-{now}"),
    })
}
