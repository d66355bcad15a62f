//! Who the client is, and from where clients may come.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Gateway, POLICIES};

/// Two of the tenants take clients from some networks only.
fn choosy() -> String {
    POLICIES
        .replace("acme: { status: active }", "acme: { status: active, clients: { allow: [\"192.0.2.0/24\"] } }")
        .replace("globex: { status: active }", "globex: { status: active, clients: { deny: [\"192.0.2.128/25\"] } }")
}

/// A request that says it was forwarded for these.
async fn forwarded_for(gateway: &Gateway, tenant: &str, field: &str, value: &str) -> Answer {
    let token = gateway.token(tenant, "ada", &["viewer"]);
    let request = gateway.request("GET", tenant, "/orders/1").bearer_auth(token).header(field, value);
    gateway.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_learns_of_the_client_what_a_believed_proxy_says_and_nothing_that_a_client_says() {
    let ours = "{ trusted_proxies: [\"127.0.0.1\", \"10.0.0.0/8\"] }";
    for (clients, value, plain, forwarded) in [
        ("{}", "203.0.113.7", "127.0.0.1", "for=127.0.0.1;host=\"acme.example.test\";proto=http"),
        (
            ours,
            "127.0.0.1, 203.0.113.7, 10.0.0.2",
            "203.0.113.7, 10.0.0.2, 127.0.0.1",
            "for=203.0.113.7;host=\"acme.example.test\";proto=http, for=10.0.0.2, for=127.0.0.1",
        ),
        (
            ours,
            "2001:db8::7",
            "2001:db8::7, 127.0.0.1",
            "for=\"[2001:db8::7]\";host=\"acme.example.test\";proto=http, for=127.0.0.1",
        ),
        (ours, "203.0.113.7, unknown", "127.0.0.1", "for=127.0.0.1;host=\"acme.example.test\";proto=http"),
    ] {
        let gateway = Gateway::test().clients(clients).start().await;
        assert_eq!(forwarded_for(&gateway, "acme", "x-forwarded-for", value).await.status, 200);
        let seen = gateway.backend.last();
        assert_eq!(seen.field("x-forwarded-for"), Some(plain), "{clients} {value}");
        assert_eq!(seen.field("forwarded"), Some(forwarded), "{clients} {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_believed_proxy_says_that_there_was_tls() {
    for (clients, field, value, proto) in [
        ("{}", "x-forwarded-proto", "https", "http"),
        ("{ trusted_proxies: [\"127.0.0.1\"] }", "x-forwarded-proto", "https", "https"),
        ("{ trusted_proxies: [\"127.0.0.1\"] }", "x-forwarded-proto", "https, http", "http"),
        ("{ trusted_proxies: [\"127.0.0.1\"] }", "forwarded", "for=203.0.113.7;proto=https", "http"),
        ("{ trusted_proxies: [\"127.0.0.1\"], field: forwarded }", "forwarded", "for=203.0.113.7;proto=https", "https"),
    ] {
        let gateway = Gateway::test().clients(clients).start().await;
        assert_eq!(forwarded_for(&gateway, "acme", field, value).await.status, 200);
        assert_eq!(gateway.backend.last().field("x-forwarded-proto"), Some(proto), "{clients} {field}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_at_all_is_told_nothing_of_routes_or_tenants() {
    let clients = "{ trusted_proxies: [\"127.0.0.1\"], deny: [\"203.0.113.0/24\"] }";
    let gateway = Gateway::test().clients(clients).start().await;
    assert_eq!(forwarded_for(&gateway, "acme", "x-forwarded-for", "203.0.114.7").await.status, 200);
    for value in ["203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7:1", "198.51.100.9, 203.0.113.7"] {
        let answer = forwarded_for(&gateway, "acme", "x-forwarded-for", value).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden".into()), "{value}");
        assert_eq!(gateway.reason(&answer), "client.denied");
    }
    let nowhere = gateway.request("GET", "acme", "/nowhere").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(gateway.send(nowhere).await.status, 403);
    assert_eq!(gateway.backend.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_chooses_from_where_its_members_come_and_an_outsider_cannot_tell_it_from_another() {
    let trusted = "{ trusted_proxies: [\"127.0.0.1\"] }";
    let gateway = Gateway::test().policies(&choosy()).clients(trusted).start().await;
    for (tenant, from, reason) in [
        ("acme", "192.0.2.1", "allowed"),
        ("acme", "198.51.100.9", "client.denied"),
        ("globex", "192.0.2.1", "allowed"),
        ("globex", "192.0.2.129", "client.denied"),
        ("globex", "2001:db8::1", "allowed"),
        ("nobody", "198.51.100.9", "tenant.unknown"),
        ("initech", "198.51.100.9", "tenant.suspended"),
    ] {
        let answer = forwarded_for(&gateway, tenant, "x-forwarded-for", from).await;
        assert_eq!(gateway.reason(&answer), reason, "{tenant} {from}");
        if reason != "allowed" {
            assert_eq!((answer.status, answer.code()), (403, "forbidden".into()), "{tenant} {from}");
        }
    }
    let record = gateway.records(&["--reason", "client.denied", "--tenant", "acme"]);
    assert_eq!(record.finals().len(), 1, "the tenant has it in its own records");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_behind_the_proxy_protocol_is_the_client_everywhere() {
    let gateway = Gateway::test().policies(&choosy()).listener("proxy_protocol: [\"127.0.0.1\"]").start().await;
    for (source, status) in [("192.0.2.1", "200"), ("198.51.100.9", "403")] {
        let token = gateway.token("acme", "ada", &["viewer"]);
        let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let request = format!(
            "PROXY TCP4 {source} 198.51.100.2 4660 443\r\nGET /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\n\
             Authorization: Bearer {token}\r\nX-Forwarded-For: 192.0.2.77\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{source}: {answer}");
    }
    assert_eq!(gateway.backend.last().field("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(gateway.records(&["--reason", "client.denied"]).finals().len(), 1);
}
