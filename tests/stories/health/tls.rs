//! Checks go over the TLS that requests go over.

use super::in_state;
use crate::harness::{Authority, Gateway, TlsBackend};

#[tokio::test(flavor = "multi_thread")]
async fn a_check_believes_whom_requests_believe_and_shows_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let [server, other, clients] = ["server", "other", "clients"].map(|name| Authority::new(folder.path(), name));
    let backend = TlsBackend::start(&server, &[&clients]).await;
    let (certificate, files) = clients.client("gateway.test", 7);
    let settings = |ca: &Authority, name: &str, check: &str| {
        let (address, ca) = (backend.address, ca.file());
        let tls = format!("tls: {{ ca: {ca}, server_name: {name}, {files} }}");
        format!("{{ addresses: [\"{address}\"], {tls}, health: {{ every: 50ms, {check} }} }}")
    };
    let setup = Gateway::test()
        .beside("good", &settings(&server, "localhost", "check: http, path: /"))
        .beside("handshake", &settings(&server, "localhost", "check: tcp"))
        .beside("stranger", &settings(&other, "localhost", "check: tcp"))
        .beside("namesake", &settings(&server, "orders.test", "check: http, path: /"));
    let gateway = setup.unready().start().await;
    gateway.eventually("all were checked", || gateway.metric("cloister_upstream_checks_total") > 20.0);
    for (upstream, unhealthy) in [("good", 0.0), ("handshake", 0.0), ("stranger", 1.0), ("namesake", 1.0)] {
        assert_eq!(in_state(&gateway, upstream, "unhealthy"), unhealthy, "{upstream}");
    }
    let (status, text) = gateway.admin("/readyz");
    assert!(text.contains("stranger: every address fails its checks"), "{text}");
    assert_eq!(status, 200, "others are well: {text}");
    let came = backend.came();
    assert!(!came.is_empty() && came.iter().all(|came| came.client.as_ref() == Some(&certificate)));
    assert!(came.iter().all(|came| came.tenant.is_none()));
}
