//! Pages in browsers ask only where a route says so: the requests here have the shapes that browsers send.

use crate::harness::{Answer, Gateway, POLICIES, RawBackend, Setup, Then};

const ROUTES: &str = r#"  - id: shared
    match: { host: "{tenant}.example.test", path: "/shared/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read", PUT: "order:write" }
    limits: [generous, per_address]
    cors:
      origins: ["https://app.example.com", "https://{tenant}.web.example.com"]
      headers: [Authorization, X-Trace]
      expose: [X-Request-Id, ETag]
      credentials: true
  - id: open
    match: { host: "*", path: "/open/**", methods: [GET] }
    upstream: backend
    auth: none
    cors: { origins: ["*"] }
  - id: own
    match: { host: "*", path: "/own/**" }
    upstream: backend
    auth: none
"#;

fn world() -> Setup {
    let limit = "limits:\n  per_address: { rate: 1/h, burst: 30, key: [client_ip] }\n";
    Gateway::test().policies(&format!("{}{ROUTES}", POLICIES.replacen("limits:\n", limit, 1)))
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, method: &str, fields: Option<&str>) -> Answer {
    let request = gateway.request("OPTIONS", "acme", path).header("origin", origin);
    let request = request.header("access-control-request-method", method).header("sec-fetch-mode", "cors");
    gateway
        .send(fields.iter().fold(request, |request, names| request.header("access-control-request-headers", *names)))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_without_a_token_for_what_is_listed_and_refused_for_the_rest() {
    let gateway = world().start().await;
    let (app, own, other) =
        ("https://app.example.com", "https://acme.web.example.com", "https://globex.web.example.com");
    for (origin, method, fields, status) in [
        (app, "GET", None, 204),
        (app, "GET", Some("authorization"), 204),
        (app, "PUT", Some("authorization,x-trace"), 204),
        (own, "PUT", Some("x-trace"), 204),
        (other, "GET", None, 403),
        ("https://app.example.com.evil.com", "GET", None, 403),
        ("https://app.example.com:8443", "GET", None, 403),
        ("http://app.example.com", "GET", None, 403),
        ("null", "GET", None, 403),
        (app, "PUT", Some("authorization,x-secret"), 403),
        (app, "PUT", Some("*"), 403),
        (app, "TRACE", None, 403),
        (app, "DELETE", None, 403),
        (app, "put", None, 403),
        (app, "", None, 403),
    ] {
        let answer = preflight(&gateway, "/shared/1", origin, method, fields).await;
        let what = format!("{origin} {method} {fields:?}");
        assert_eq!(answer.status, status, "{what}");
        if status == 204 {
            assert_eq!(answer.field("access-control-allow-origin"), Some(origin), "{what}");
            assert_eq!(answer.field("access-control-allow-methods"), Some("GET, PUT"));
            assert_eq!(answer.field("access-control-allow-headers"), Some("authorization, x-trace"));
            assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
            assert_eq!(answer.field("access-control-max-age"), Some("600"));
            let vary = answer.field("vary").unwrap();
            assert!(vary.starts_with("origin, ") && answer.body.is_empty(), "{vary}");
            assert_eq!(gateway.reason(&answer), "cors.preflight");
        } else {
            assert_eq!(
                (answer.code().as_str(), gateway.reason(&answer).as_str()),
                ("cors_denied", "cors.denied"),
                "{what}"
            );
            let allowed = answer.field("access-control-allow-origin");
            assert!(allowed.is_none() || [app, own].contains(&origin), "{what}: {allowed:?}");
        }
    }
    assert!(gateway.backend.seen().is_empty(), "no preflight gets as far as a backend");
    let records = gateway.records(&["--reason", "cors.preflight"]);
    let record = &records.finals()[0];
    assert_eq!((record["decision"].as_str(), record["status"].as_u64()), (Some("allow"), Some(204)));
    assert_eq!((record["route"].as_str(), record["method"].as_str()), (Some("shared"), Some("OPTIONS")));
    assert!(record.get("tenant").is_none(), "nobody has shown who they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_quite_a_preflight_goes_the_way_of_every_request() {
    let gateway = world().start().await;
    let options = || gateway.request("OPTIONS", "acme", "/shared/1");
    let (origin, method) = (("origin", "https://app.example.com"), ("access-control-request-method", "GET"));
    for (what, request) in [
        ("no origin", options().header(method.0, method.1)),
        ("no method", options().header(origin.0, origin.1)),
        ("neither", options()),
        ("a body", options().header(origin.0, origin.1).header(method.0, method.1).body("x")),
        (
            "another method",
            gateway.request("GET", "acme", "/shared/1").header(origin.0, origin.1).header(method.0, method.1),
        ),
        ("HEAD", gateway.request("HEAD", "acme", "/shared/1").header(origin.0, origin.1).header(method.0, method.1)),
        (
            "a route without cors",
            gateway.request("OPTIONS", "acme", "/orders/1").header(origin.0, origin.1).header(method.0, method.1),
        ),
    ] {
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.missing"), "{what}");
    }
    let twice = options().header(origin.0, origin.1).header(method.0, "GET").header(method.0, "PUT");
    assert_eq!(gateway.send(twice).await.status, 400);
    assert!(gateway.backend.seen().is_empty());
    // A public route that says nothing of other origins leaves it to its backend.
    let own = preflight(&gateway, "/own/1", "https://any.example.com", "GET", None).await;
    assert_eq!((own.status, gateway.backend.seen().len()), (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_read_what_its_origin_is_listed_for_refusals_included_and_the_backend_has_no_say() {
    let gateway = world().start().await;
    let ask = async |origin: &str, token: Option<String>| {
        let request = gateway.request("GET", "acme", "/shared/1?status=200").header("origin", origin);
        gateway
            .send(match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            })
            .await
    };
    let viewer = || Some(gateway.token("acme", "ada", &["viewer"]));
    let (app, evil) = ("https://app.example.com", "https://evil.example.com");
    for (what, token, status) in [
        ("served", viewer(), 200),
        ("without a token", None, 401),
        ("with a bad one", Some("e30.e30.e30".into()), 401),
        ("without the role", Some(gateway.token("acme", "bob", &[])), 403),
        ("of another tenant", Some(gateway.token("globex", "eve", &["viewer"])), 403),
    ] {
        let answer = ask(app, token.clone()).await;
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.field("access-control-allow-origin"), Some(app), "{what}");
        assert_eq!(answer.field("access-control-allow-credentials"), Some("true"), "{what}");
        assert_eq!(answer.field("access-control-expose-headers"), Some("x-request-id, etag"), "{what}");
        let vary = |answer: &Answer| answer.fields.get_all("vary").iter().any(|value| value == "origin");
        assert!(vary(&answer), "{what}");
        let unlisted = ask(evil, token).await;
        assert_eq!((unlisted.status, unlisted.field("access-control-allow-origin")), (status, None), "{what}");
        assert!(vary(&unlisted), "{what}");
    }
    let backend = RawBackend::start().await;
    backend.plays(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Private-Network: true\r\n\
         Content-Length: 2\r\n\r\nok",
        Then::Keep,
    );
    let loose = world().upstream(backend.address).start().await;
    let request = loose.request("GET", "acme", "/shared/1").header("origin", evil);
    let answer = loose.send(request.bearer_auth(loose.token("acme", "ada", &["viewer"]))).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.fields.keys().any(|name| name.as_str().starts_with("access-control-")), "{answer:?}");

    let open = gateway.send(gateway.request("GET", "acme", "/open/1").header("origin", evil)).await;
    assert_eq!(open.field("access-control-allow-origin"), Some("*"));
    assert_eq!(open.field("access-control-allow-credentials"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_limited_by_address_where_the_route_is() {
    let gateway = world().start().await;
    let mut refused = None;
    for _ in 0..31 {
        let answer = preflight(&gateway, "/shared/1", "https://app.example.com", "GET", None).await;
        if answer.status != 204 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("the bucket is empty");
    assert_eq!((refused.status, gateway.reason(&refused).as_str()), (429, "limit.rate"));
    assert_eq!(refused.field("access-control-allow-origin"), Some("https://app.example.com"));
}
