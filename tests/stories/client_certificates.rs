//! What clients show, and for which host and tenant it counts.

use bytes::Bytes;
use h2::client::SendRequest;

use crate::harness::{Gateway, Setup, TestAuthority, TlsIdentity};

/// Hosts of globex want a certificate of partners, who speak for globex; everybody may show one, of friends, who speak for
/// acme.
fn setup(partners: &TestAuthority, friends: &TestAuthority) -> Setup {
    Gateway::test()
        .tls_with(
            "client_certificates: { mode: optional, authorities: [friends] }, \
             hosts: { globex.example.test: { client_certificates: { mode: required, authorities: [partners] } } }",
        )
        .more(&format!(
            "authorities:\n  partners: {{ ca: {}, tenants: [globex] }}\n  friends: {{ ca: {}, tenants: [acme] }}\n",
            partners.file().display(),
            friends.file().display()
        ))
}

const ACME: &str = "acme.example.test";
const GLOBEX: &str = "globex.example.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_host_than_the_handshake_was_for_is_sent_back_whatever_its_shape() {
    let (partners, friends) = (TestAuthority::new("partners"), TestAuthority::new("friends"));
    let gateway = setup(&partners, &friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let nobody = TlsIdentity::nobody(&[&root]);
    let fields = |tenant| format!("Authorization: Bearer {}\r\n", gateway.token(tenant, "ada", &["viewer"]));
    for (line, more) in [
        ("GET /orders/1", ""),
        ("HEAD /orders/1", ""),
        ("OPTIONS /orders/1", "Origin: https://a.test\r\nAccess-Control-Request-Method: GET\r\n"),
        ("POST /orders", "Content-Length: 0\r\n"),
        (
            "GET /socket",
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n",
        ),
        ("GET /nowhere", ""),
        ("GET /public", ""),
    ] {
        let fields = format!("{}{more}", fields("globex"));
        for (name, host) in
            [(ACME, GLOBEX), (ACME, "ACME.example.test.evil.test"), (ACME, "example.test"), ("localhost", ACME)]
        {
            let mut client = nobody.connect(address, name).await.unwrap();
            assert_eq!(client.status(line, host, &fields).await, Some(421), "{line} {name} {host}");
        }
        // A host that demands a certificate cannot be reached on a listener without one.
        let plain = format!("{line} HTTP/1.1\r\nHost: {GLOBEX}\r\n{fields}Connection: close\r\n\r\n");
        let answer = crate::harness::raw(gateway.address, plain.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 421 "), "{line}: {answer}");
    }
    for host in [ACME, "ACME.example.test", "acme.example.test:8443"] {
        let mut client = nobody.connect(address, ACME).await.unwrap();
        assert_eq!(client.status("GET /orders/1", host, &fields("acme")).await, Some(200), "{host}");
    }
    let answer = nobody.connect(address, ACME).await.unwrap().request("GET /", GLOBEX, "").await.unwrap();
    let id =
        answer.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
    let id = id.unwrap();
    assert_eq!(gateway.records(&["--id", &id]).of(&id)["reason"], "request.misdirected");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_held_to_its_name_as_well_on_each_of_its_streams() {
    let (partners, friends) = (TestAuthority::new("partners"), TestAuthority::new("friends"));
    let gateway = setup(&partners, &friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let nobody = TlsIdentity::nobody(&[&root]);
    let stream = nobody.connect_with(address, ACME, &[b"h2"]).await.unwrap().0;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let connection = tokio::spawn(connection);
    for (host, tenant, expected) in
        [(ACME, "acme", 200), (GLOBEX, "globex", 421), (ACME, "acme", 200), ("localhost", "acme", 421)]
    {
        let token = gateway.token(tenant, "ada", &["viewer"]);
        assert_eq!(get(&mut send, host, &token).await, expected, "{host}");
    }
    drop(send);
    drop(connection.await);
}

async fn get(send: &mut SendRequest<Bytes>, host: &str, token: &str) -> u16 {
    let request =
        http::Request::get(format!("https://{host}/orders/1")).header("authorization", format!("Bearer {token}"));
    let mut ready = send.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    while let Some(chunk) = body.data().await {
        drop(body.flow_control().release_capacity(chunk.unwrap().len()));
    }
    head.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_counts_for_its_own_tenant_and_host_alone() {
    let (partners, friends) = (TestAuthority::new("partners"), TestAuthority::new("friends"));
    let gateway = setup(&partners, &friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let nobody = TlsIdentity::nobody(&[&root]);
    let (partner, friend) = (partners.client(&root, &[], &["p.test"]), friends.client(&root, &[], &["f.test"]));
    // Who, the host, the tenant of the token, the status; 0 for no connection.
    for (who, client, host, tenant, expected) in [
        ("nobody", &nobody, ACME, "acme", 200),
        ("nobody", &nobody, GLOBEX, "globex", 0),
        ("partner", &partner, GLOBEX, "globex", 200),
        ("partner", &partner, GLOBEX, "acme", 403),
        ("partner", &partner, ACME, "acme", 0), // the other authority's host
        ("friend", &friend, ACME, "acme", 200),
        ("friend", &friend, GLOBEX, "globex", 0),
        ("friend", &friend, "initech.example.test", "initech", 403), // a tenant that friends may not speak for
    ] {
        let token = format!("Authorization: Bearer {}\r\n", gateway.token(tenant, "ada", &["viewer"]));
        let status = match client.connect(address, host).await {
            Ok(mut client) => client.status("GET /orders/1", host, &token).await,
            Err(_) => None,
        };
        assert_eq!(status.unwrap_or(0), expected, "{who} {host} {tenant}");
    }
    let query = gateway.records(&["--reason", "tenant.mismatch"]);
    assert_eq!(query.finals().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_that_is_taken_away_is_gone_on_open_connections_and_in_resumed_sessions() {
    let (partners, mut friends) = (TestAuthority::new("partners"), TestAuthority::new("friends"));
    let gateway = setup(&partners, &friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let client = friends.client(&root, &[], &["f.test"]);
    let token = format!("Authorization: Bearer {}\r\n", gateway.token("acme", "ada", &["viewer"]));
    let mut open = client.connect(address, ACME).await.unwrap();
    assert_eq!(open.status("GET /orders/1", ACME, &token).await, Some(200));
    friends.replace();
    gateway.eventually("the authority is replaced", || gateway.metric("cloister_certificate_reload_total") > 0.0);
    for line in ["GET /orders/1", "GET /public", "HEAD /orders/1"] {
        assert_eq!(open.status(line, ACME, &token).await, Some(403), "{line}");
    }
    let mut resumed = client.connect(address, ACME).await.unwrap();
    assert!(resumed.is_resumed(), "or this shows nothing");
    assert_eq!(resumed.status("GET /orders/1", ACME, &token).await, Some(403));
    assert_eq!(gateway.metric("cloister_client_certificates_refused_total"), 4.0);
    assert_eq!(gateway.records(&["--reason", "auth.invalid.certificate"]).finals().len(), 4);
}
