//! What issuers outside are shown of the admin listener: `/notices`, by a public route, and nothing else of it.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::harness::{ADMIN_TOKEN, Gateway, POLICIES, claims, now, raw};

const HOST: &str = "notices.example.test";

/// The recipe of README.md, word by word.
fn recipe() -> (String, String) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = |begin: &str| {
        let (_, rest) = text.split_once(begin).expect("README.md shows it");
        format!("{begin}{}", rest.split_once("```").unwrap().0)
    };
    let upstream = block("upstreams:\n  cloister_admin:");
    (upstream.split_once('\n').unwrap().1.to_owned(), block("limits:\n  notices:"))
}

/// A gateway that takes notices, and shows them as README.md says.
async fn start() -> Gateway {
    let admin: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (upstream, policy) = recipe();
    let upstream =
        upstream.trim().strip_prefix("cloister_admin:").unwrap().replace("127.0.0.1:9901", &admin.to_string());
    let upstream: String =
        upstream.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned() + " ").collect();
    let policies = policy.replace("idp-notices.example.com", HOST);
    let (limits, route) = policies.split_once("routes:\n").unwrap();
    let limit = limits.split_once('\n').unwrap().1;
    let policies = POLICIES.replacen("limits:\n", &format!("limits:\n{limit}"), 1).replacen(
        "routes:\n",
        &format!("routes:\n{route}"),
        1,
    );
    let issuer = "    notices: { audiences: [client-1] }\n    max_lifetime: 2h\n";
    Gateway::test()
        .policies(&policies)
        .issuer(issuer)
        .admin(admin)
        .beside("cloister_admin", upstream.trim())
        .start()
        .await
}

fn logout(gateway: &Gateway, sid: &str) -> String {
    let token = gateway.issuer.sign_as(
        "logout+jwt",
        &json!({
            "iss": "https://idp.example.test/", "aud": "client-1", "iat": now(), "exp": now() + 120, "jti": "n1",
            "sid": sid, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        }),
    );
    format!("logout_token={token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_outside_ends_a_session_by_way_of_a_public_route() {
    let gateway = start().await;
    let mut claims = claims("acme", "ada", &["viewer"]);
    claims["sid"] = "s1".into();
    let token = gateway.issuer.sign(&claims);
    let ask = async || gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token)).await.status;
    assert_eq!(ask().await, 200);
    let say = async |body: String| {
        let request = gateway.request("POST", "notices", "/notices/logout");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        gateway.send(request).await
    };
    assert_eq!(say("logout_token=a.b.c".into()).await.status, 400);
    assert_eq!(ask().await, 200);
    assert_eq!(say(logout(&gateway, "s1")).await.status, 200);
    assert_eq!(ask().await, 401);
    let records = gateway.records(&["--route", "notices"]);
    assert_eq!(records.all().len(), 2, "who was there is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_of_the_admin_listener_is_shown() {
    let gateway = start().await;
    let own = ["/metrics", "/livez", "/readyz", "/version", "/revocations", "/.well-known/cloister/jwks.json"];
    for path in own {
        assert!(gateway.admin(path).0 != 404, "it is there, for those inside: {path}");
    }
    let mut paths =
        vec!["/notices".to_owned(), "/notices/".into(), "/notices/logout/".into(), "/notices/logout/x".into()];
    for page in own {
        let name = page.trim_start_matches('/');
        for before in [
            "/",
            "//",
            "/./",
            "/notices/../",
            "/notices/./../",
            "/notices//../",
            "/notices/x/../../",
            "/notices/%2e%2e/",
            "/notices/%2E%2E/",
            "/notices/.%2e/",
            "/notices/..%2f",
            "/notices/..%2F",
            "/notices/%2e%2e%2f",
            "/notices/..%5c",
            "/notices/..\\",
            "/notices/%252e%252e/",
            "/notices/%252e%252e%252f",
            "/notices/..;/",
            "/notices/;/../",
            "/notices/..%00/",
            "/notices/%c0%ae%c0%ae/",
            "/%6eotices/../",
            "/notices/logout/../../",
            "/notices/",
            "/notices/logout?/../../",
            "/notices/logout#/../../",
        ] {
            paths.push(format!("{before}{name}"));
        }
    }
    let long = paths.len();
    for path in paths {
        for method in ["GET", "POST"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
                 X-Forwarded-Prefix: /\r\nX-Original-Url: /metrics\r\nX-Rewrite-Url: /metrics\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            hidden(&raw(gateway.address, request.as_bytes()).await, &format!("{method} {path}"));
        }
    }
    println!("{long} paths");
    for target in ["http://127.0.0.1/metrics", "http://notices.example.test/notices/../metrics", "*", "metrics"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        hidden(&raw(gateway.address, request.as_bytes()).await, target);
    }
    // A second request in the body of the first one, for whoever reads lengths in another way.
    for field in
        ["Content-Length: 0\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"]
    {
        let request = format!(
            "POST /notices/logout HTTP/1.1\r\nHost: {HOST}\r\n{field}\r\n\r\n0\r\n\r\n\
             GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        );
        hidden(&raw(gateway.address, request.as_bytes()).await, field);
    }
    assert_eq!(gateway.metric("cloister_revocations"), 0.0);
}

/// The answer shows nothing of the admin listener, and is no yes.
fn hidden(answer: &str, what: &str) {
    assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{what}: {answer}");
    for text in ["# HELP", "cloister_", "\"checks\"", "\"keys\"", "\"version\"", "ok\n", "[]", "until"] {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(!body.contains(text), "{what}: {answer}");
    }
}
