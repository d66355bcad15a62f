//! A client library that knows DPoP, which is not ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{POLICY, certificate, script, tools};
use crate::harness::{Gateway, claims};

#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_gets_in_with_its_proofs_and_reads_what_it_is_told() {
    let fresh = r#"
  - id: fresh
    match: { host: "*", path: "/fresh/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token], bound_to: [dpop], dpop_nonce: true }
    allow: { GET: "order:read" }
"#;
    let gateway = Gateway::test().policies(&format!("{}{fresh}", POLICY.trim_end())).tls().start().await;
    let (plain, tls) = (gateway.address, gateway.tls_address.unwrap().port());
    let mut node = Command::new("node");
    node.args([&script("dpop.mjs"), &format!("http://{plain}"), &format!("https://localhost:{tls}")]);
    node.arg(tools()).env("NODE_EXTRA_CA_CERTS", certificate(&gateway));
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let seen: Value = tokio::task::block_in_place(|| {
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let thumbprint = lines.next().expect("a thumbprint; tests/run installs the client").unwrap();
        let mut claims = claims("acme", "ada", &["clerk"]);
        claims["cnf"] = json!({ "jkt": thumbprint });
        writeln!(node.stdin.take().unwrap(), "{}", gateway.issuer.sign(&claims)).unwrap();
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    });
    assert!(node.wait().unwrap().success());
    for name in ["plain", "tls"] {
        let expected = json!({
            "read": [200], "escaped": [200], "write": [200],
            "nonce": ["dpop use_dpop_nonce", 200], "next": [200],
            "bearer": ["dpop invalid_token"], "stranger": ["dpop invalid_dpop_proof"],
        });
        assert_eq!(seen[name], expected, "{name}");
    }
    assert_eq!(gateway.backend.last().field("dpop"), None);
}
