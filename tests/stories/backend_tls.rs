//! TLS to backends, and whose requests share a connection.

use crate::harness::{Authority, Gateway, TlsBackend, config_text, run};

/// `acme` goes to `first`, `globex` to `second`; everybody may ask `/open`.
const POLICY: &str = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: { by_tenant: { acme: first, globex: second } }
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - { id: open, match: { host: "*", path: /open }, upstream: first, auth: none }
"#;

async fn statuses(gateway: &Gateway, tenants: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for tenant in tenants {
        statuses.push(gateway.get(tenant, "/orders/1").await.status);
    }
    statuses
}

/// The pool of the framework compares of a client certificate its serial number alone. Two authorities give out the same.
#[tokio::test(flavor = "multi_thread")]
async fn two_client_certificates_with_one_serial_number_never_share_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let [server, ca_a, ca_b] = ["server", "a", "b"].map(|name| Authority::new(folder.path(), name));
    let backend = TlsBackend::start(&server, &[&ca_a, &ca_b]).await;
    let (first, first_files) = ca_a.client("client.test", 7);
    let (second, second_files) = ca_b.client("client.test", 7);
    let settings = |files: &str| {
        let (address, ca) = (backend.address, server.file());
        format!("{{ addresses: [\"{address}\"], tls: {{ ca: {ca}, server_name: localhost, {files} }} }}")
    };
    let gateway = Gateway::test()
        .policies(POLICY)
        .beside("first", &settings(&first_files))
        .beside("second", &settings(&second_files))
        .start()
        .await;
    let tenants = ["acme", "globex", "acme", "globex", "globex", "acme"];
    assert_eq!(statuses(&gateway, &tenants).await, [200; 6]);
    for (tenant, certificate) in [("acme", &first), ("globex", &second)] {
        let came = backend.of(tenant);
        assert_eq!(came.len(), 3);
        assert!(came.iter().all(|came| came.client.as_ref() == Some(certificate)), "{tenant} came as itself");
    }
    let connections: Vec<usize> = backend.came().iter().map(|came| came.connection).collect();
    assert!(connections.iter().max() < Some(&5), "connections are used again, or this shows nothing: {connections:?}");
}

/// Nor does it compare which authority a connection was verified by.
#[tokio::test(flavor = "multi_thread")]
async fn who_believes_another_authority_is_not_served_over_a_connection_that_this_one_verified() {
    let folder = tempfile::tempdir().unwrap();
    let [server, other] = ["server", "other"].map(|name| Authority::new(folder.path(), name));
    let backend = TlsBackend::start(&server, &[]).await;
    let settings = |ca: &Authority| {
        let (address, ca) = (backend.address, ca.file());
        format!("{{ addresses: [\"{address}\"], tls: {{ ca: {ca}, server_name: localhost }} }}")
    };
    let gateway = Gateway::test()
        .policies(POLICY)
        .beside("first", &settings(&server))
        .beside("second", &settings(&other))
        .start()
        .await;
    assert_eq!(statuses(&gateway, &["acme", "globex", "acme", "globex"]).await, [200, 502, 200, 502]);
    assert!(backend.of("globex").is_empty(), "not a byte of it left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_backend_is_verified_unless_a_setting_says_that_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server");
    let backend = TlsBackend::start(&server, &[]).await;
    let address = backend.address;
    for (tls, status) in [
        (format!("{{ ca: {}, server_name: localhost }}", server.file()), 200),
        (format!("{{ ca: {}, server_name: orders.internal }}", server.file()), 502),
        ("{ server_name: localhost }".to_owned(), 502),
        ("{ server_name: orders.internal, insecure_skip_verify: true }".to_owned(), 200),
    ] {
        let settings = format!("{{ addresses: [\"{address}\"], tls: {tls} }}");
        let gateway =
            Gateway::test().policies(POLICY).beside("first", &settings).beside("second", &settings).start().await;
        let answer = gateway.get("acme", "/orders/1").await;
        assert_eq!(answer.status, status, "{tls}");
        if status == 502 {
            assert_eq!(gateway.reason(&answer), "upstream.unavailable");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_share_connections_or_not_as_the_pool_says_and_never_with_the_public() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server");
    let h2 = format!("protocol: h2, tls: {{ ca: {}, server_name: localhost }}", server.file());
    let shared_h2 = format!("{h2}, pool: shared");
    for (pool, apart) in
        [("", false), ("pool: shared", false), ("pool: per_tenant", true), (h2.as_str(), true), (&shared_h2, false)]
    {
        let backend = match pool.contains("tls") {
            true => TlsBackend::agreeing_to(&["h2"], &server, &[]).await,
            false => TlsBackend::plain().await,
        };
        let settings = format!("{{ addresses: [\"{}\"], {pool} }}", backend.address);
        let policy = POLICY.replace("{ by_tenant: { acme: first, globex: second } }", "first");
        let gateway = Gateway::test().policies(&policy).beside("first", &settings).start().await;
        assert_eq!(statuses(&gateway, &["acme", "globex", "acme", "globex", "acme", "globex"]).await, [200; 6]);
        for _ in 0..3 {
            assert_eq!(gateway.send(gateway.request("GET", "acme", "/open")).await.status, 200);
        }
        let of = |tenant: Option<&str>| {
            let came = backend.came().into_iter().filter(|came| came.tenant.as_deref() == tenant);
            came.map(|came| came.connection).collect::<std::collections::BTreeSet<_>>()
        };
        let (acme, globex, public) = (of(Some("acme")), of(Some("globex")), of(None));
        assert_eq!(acme.is_disjoint(&globex), apart, "{pool}: {acme:?} {globex:?}");
        assert!(public.is_disjoint(&acme) && public.is_disjoint(&globex), "{pool}: {public:?} {acme:?} {globex:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_and_a_new_certificate_of_ours_are_taken_over_while_requests_come() {
    let folder = tempfile::tempdir().unwrap();
    let [server, other, clients] = ["server", "other", "clients"].map(|name| Authority::new(folder.path(), name));
    let backend = TlsBackend::start(&server, &[&clients]).await;
    let (first, files) = clients.client("client.test", 7);
    let believed = folder.path().join("believed.pem");
    std::fs::copy(other.file(), &believed).unwrap();
    let (address, ca) = (backend.address, believed.display());
    let upstream = format!("{{ addresses: [\"{address}\"], tls: {{ ca: {ca}, server_name: localhost, {files} }} }}");
    let gateway = Gateway::test().policies(POLICY).beside("first", &upstream).beside("second", &upstream).start().await;
    let [read, faulty] = ["cloister_certificate_reload_total", "cloister_certificate_faulty"].map(|name| {
        let gateway = &gateway;
        move || gateway.metric(name)
    });
    assert_eq!(statuses(&gateway, &["acme"]).await, [502], "another authority signed the backend's certificate");

    std::fs::copy(server.file(), &believed).unwrap();
    gateway.eventually("the new authority is believed", || read() == 1.0);
    assert_eq!(statuses(&gateway, &["acme", "acme"]).await, [200; 2]);

    std::fs::write(&believed, "half a fi").unwrap();
    gateway.eventually("a file that is none is refused", || faulty() == 2.0);
    assert_eq!(statuses(&gateway, &["acme"]).await, [200], "the last good one stays");
    std::fs::copy(server.file(), &believed).unwrap();
    gateway.eventually("the fault is mended", || faulty() == 0.0);

    let before = read();
    let (second, _) = clients.client("client.test", 7); // the same files, the same serial number, another key
    gateway.eventually("our new certificate is taken over", || read() > before);
    assert_eq!(statuses(&gateway, &["acme"]).await, [200]);
    let came: Vec<_> = backend.of("acme").into_iter().filter_map(|came| came.client).collect();
    assert_eq!(came, [first.clone(), first.clone(), first, second], "no connection of before is used again");
}

/// What was to be HTTP/2 must not become HTTP/1 because a handshake has agreed on nothing: gRPC would be lost, and whoever
/// says what is spoken could choose how the end of a request is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_to_speak_http2_is_asked_in_http2_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server");
    for (agrees_to, expected) in [(&["h2"][..], 200), (&["h2", "http/1.1"], 200), (&[], 502), (&["http/1.1"], 502)] {
        let backend = TlsBackend::agreeing_to(agrees_to, &server, &[]).await;
        let (address, ca) = (backend.address, server.file());
        let upstream =
            format!("{{ addresses: [\"{address}\"], protocol: h2, tls: {{ ca: {ca}, server_name: localhost }} }}");
        let gateway = Gateway::test().policies(POLICY).beside("first", &upstream).beside("second", &upstream);
        let gateway = gateway.start().await;
        assert_eq!(statuses(&gateway, &["acme", "globex", "acme"]).await, [expected; 3], "{agrees_to:?}");
        let came = backend.came();
        assert_eq!(came.len(), if expected == 200 { 3 } else { 0 }, "{agrees_to:?}");
        assert!(came.iter().all(|came| came.version == hyper::Version::HTTP_2), "{agrees_to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_a_backend_does_not_answer_has_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // the system accepts, and nobody reads
    let (address, ca) = (silent.local_addr().unwrap(), server.file());
    let upstream = format!(
        "{{ addresses: [\"{address}\"], tls: {{ ca: {ca}, server_name: localhost }}, retries: {{ attempts: 1 }}, \
         timeouts: {{ connect: 30s, tls: 300ms }} }}"
    );
    let gateway = Gateway::test().policies(POLICY).beside("first", &upstream).beside("second", &upstream).start().await;
    let started = std::time::Instant::now();
    assert_eq!(statuses(&gateway, &["acme"]).await, [504]);
    let took = started.elapsed();
    assert!((std::time::Duration::from_millis(300)..std::time::Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[test]
fn what_keeps_tls_from_being_spoken_is_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("policies")).unwrap();
    std::fs::write(path.join("policies/policy.yaml"), crate::harness::POLICIES).unwrap();
    std::fs::write(path.join("empty.pem"), "").unwrap();
    let good = config_text(path);
    let authority = Authority::new(path, "ca");
    let (_, client) = authority.client("client.test", 1);
    let (_, other) = Authority::new(path, "other").client("client.test", 1);
    let mixed = format!("{}, {}", client.split(", ").next().unwrap(), other.split(", ").nth(1).unwrap());
    for (tls, told) in [
        ("tls: { server_name: localhost, ca: missing.pem }".to_owned(), "cannot read `missing.pem`"),
        ("tls: { server_name: localhost, ca: empty.pem }".to_owned(), "`empty.pem` holds no certificate in pem"),
        ("tls: { server_name: \"a b\" }".to_owned(), "is not a name that a certificate can be for"),
        ("tls: {}".to_owned(), "nothing says which name the certificate"),
        (format!("tls: {{ server_name: localhost, {} }}", client.split(", ").next().unwrap()), "go together"),
        (format!("tls: {{ server_name: localhost, {mixed} }}"), "cannot be used"),
        ("protocol: h2".to_owned(), "is spoken over TLS"),
        ("tls: { server_name: localhost }\n    protocol: h2c".to_owned(), "is spoken without TLS"),
    ] {
        std::fs::write(
            path.join("cloister.yaml"),
            good.replacen("    timeouts:", &format!("    {tls}\n    timeouts:"), 1),
        )
        .unwrap();
        let (code, out, err) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], path);
        assert!(code == 2 && format!("{out}{err}").contains(told), "{tls}: {code}\n{out}{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

#[test]
fn a_system_without_root_certificates_is_told_of_instead_of_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("policies")).unwrap();
    std::fs::write(path.join("policies/policy.yaml"), crate::harness::POLICIES).unwrap();
    std::fs::write(path.join("cloister.yaml"), config_text(path)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cloister"))
        .args(["check", "--config", "cloister.yaml", "--policies", "policies"])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env_remove("SSL_CERT_DIR")
        .current_dir(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("root certificates") && !said.contains("panicked"), "{said}");
}
