//! `tests/run` installs the clients. One that is missing is a failure: it would have told us something.

mod dpop;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Gateway, GrpcBackend};

/// Clients reach it by the name `localhost` or by its address; only the token names the tenant.
const POLICY: &str = r#"
tenants: { acme: { status: active } }
roles: { clerk: { allow: ["order:read", "order:write"] } }
routes:
  - id: orders
    match: { host: "*", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { GET: "order:read", "*": "order:write" }
  - id: calls
    match: { host: "*", path: "/orders.Orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { POST: "order:write" }
  - id: upload
    match: { host: "*", path: "/upload" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { POST: "order:write" }
  - id: socket
    match: { host: "*", path: "/socket" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { GET: "order:read" }
    upgrade: websocket
"#;

/// The clients that are in no package of Debian's.
fn tools() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_cloister")).parent().and_then(Path::parent).unwrap();
    target.join("tools/clients")
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client to its end, and gives what it printed.
async fn run(mut command: Command) -> String {
    let said = format!("{command:?}");
    let run = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    let output = run.unwrap_or_else(|error| panic!("{said}: {error}; tests/run installs it"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said} ended with {}: {out}{err}", output.status);
    out.into_owned()
}

async fn json_of(command: Command) -> Value {
    let out = run(command).await;
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn certificate(gateway: &Gateway) -> String {
    gateway.folder.path().join("tls.pem").display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_served_over_every_version_of_http() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (plain, tls) = (gateway.address, gateway.tls_address.unwrap().port());
    let tls = format!("https://localhost:{tls}");
    for (flags, url, version) in [
        (vec!["--http1.0"], format!("http://{plain}"), "1.1"), // RFC 9110 §2.5: we answer as the version that we are
        (vec!["--http1.1"], format!("http://{plain}"), "1.1"),
        (vec!["--http1.1"], tls.clone(), "1.1"),
        (vec!["--http2"], tls, "2"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--cacert", &certificate(&gateway)]).args(&flags);
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        curl.args(["--write-out", " %{http_version} %{response_code}", &format!("{url}/orders/1")]);
        assert_eq!(run(curl).await, format!("ok {version} 200"), "{flags:?} {url}");
        // More than a kilobyte, so that curl asks first: `Expect: 100-continue` over HTTP/1.1.
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--cacert", &certificate(&gateway)]).args(&flags);
        curl.args(["--header", &format!("Authorization: Bearer {token}"), "--header", "Expect: 100-continue"]);
        curl.args(["--data-binary", &"x".repeat(100_000), &format!("{url}/upload")]);
        assert_eq!(run(curl).await, "100000", "{flags:?} {url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn httpx_reads_writes_and_streams_over_both_versions() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let url = format!("https://localhost:{}", gateway.tls_address.unwrap().port());
    let mut python = Command::new(tools().join("venv/bin/python"));
    python.args([&script("python.py"), "http", &url, &certificate(&gateway), &token]);
    let seen = json_of(python).await;
    for (name, version) in [("h1", "HTTP/1.1"), ("h2", "HTTP/2")] {
        let expected = json!({
            "version": version, "status": 200, "body": "ok",
            "nobody": [401, "application/problem+json", "Bearer"],
            "upload": [200, "200000"],
            "events": ["data: 0", "data: 1", "data: 2"],
            "cookies": 200,
        });
        assert_eq!(seen[name], expected, "{name}");
    }
    assert_eq!(gateway.backend.last().field("cookie"), Some("a=1; b=2"), "one field, however they came");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_calls_streams_and_is_told_why_not() {
    let backend = GrpcBackend::start().await;
    let policy = POLICY.replace("    upgrade: websocket\n", ""); // such a backend takes none
    let gateway = Gateway::test().policies(&policy).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let address = format!("localhost:{}", gateway.tls_address.unwrap().port());
    let mut python = Command::new(tools().join("venv/bin/python"));
    python.args([&script("python.py"), "grpc", &address, &certificate(&gateway), &token]);
    let expected = json!({
        "get": "seven", "cost": "7", "list": ["0", "1", "2"], "code": "OK",
        "nobody": "UNAUTHENTICATED", "nowhere": "UNIMPLEMENTED", "late": "DEADLINE_EXCEEDED",
    });
    assert_eq!(json_of(python).await, expected);
}

/// A server whose health service is not ours.
struct HealthServer {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl HealthServer {
    fn start() -> Self {
        let mut python = Command::new(tools().join("venv/bin/python"));
        python.arg(script("health.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().unwrap_or_else(|error| panic!("{error}; tests/run installs it"));
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = said.next().unwrap().unwrap().parse().unwrap();
        Self { process, said, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn set(&mut self, service: &str, status: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{service} {status}").unwrap();
        assert_eq!(self.said.next().unwrap().unwrap(), "set");
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_service_of_grpcio_is_understood() {
    let mut server = HealthServer::start();
    server.set("orders.Orders", "SERVING");
    let policy = POLICY.replace("    upgrade: websocket\n", ""); // such a backend takes none
    let upstream = |service: &str| {
        let (address, health) = (server.address, format!("check: grpc, service: {service}, every: 50ms"));
        format!("{{ addresses: [\"{address}\"], protocol: h2c, health: {{ {health} }} }}")
    };
    let setup = Gateway::test().policies(&policy).h2c(server.address).unready();
    let setup = setup.beside("whole", &upstream("\"\"")).beside("unknown", &upstream("orders.Odrers"));
    let gateway = setup.defence("health: { check: grpc, service: orders.Orders, every: 50ms }").start().await;
    let ails = |upstream: &str| gateway.admin("/readyz").1.contains(&format!("{upstream}: every address fails"));
    gateway.eventually("a service that is not known is not served", || ails("unknown"));
    gateway.eventually("all were asked", || gateway.metric("cloister_upstream_checks_total") >= 9.0);
    assert!(!ails("backend") && !ails("whole"));
    server.set("orders.Orders", "NOT_SERVING");
    gateway.eventually("the service is out", || ails("backend"));
    let (_, text) = gateway.admin("/readyz");
    assert!(text.contains("NOT_SERVING") && text.contains("grpc-status 5") && !ails("whole"), "{text}");
    server.set("orders.Orders", "SERVING");
    gateway.eventually("the service is back", || !ails("backend"));
}

#[tokio::test(flavor = "multi_thread")]
async fn node_fetches_and_speaks_over_web_sockets() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (plain, tls) = (gateway.address, gateway.tls_address.unwrap().port());
    let mut node = Command::new("node");
    node.args([&script("node.mjs"), &format!("http://{plain}"), &format!("https://localhost:{tls}"), &token]);
    node.arg(tools()).env("NODE_EXTRA_CA_CERTS", certificate(&gateway));
    let seen = json_of(node).await;
    for name in ["plain", "tls"] {
        let expected = json!({
            "status": 200, "body": "ok", "nobody": [401, "unauthenticated"], "upload": [200, "200000"],
            "events": ["data: 0", "data: 1", "data: 2"],
            "sockets": ["one 300000 1000"], "refused": 401,
        });
        assert_eq!(seen[name], expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nghttp_and_h2load_find_nothing_to_complain_about() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let url = format!("https://localhost:{}/orders/1", gateway.tls_address.unwrap().port());
    let bearer = format!("authorization: Bearer {token}");

    let mut nghttp = Command::new("nghttp");
    nghttp.args(["--no-verify-peer", "--verbose", "--header", &bearer, &url]);
    let said = run(nghttp).await;
    assert!(said.contains(":status: 200") && !said.contains("RST_STREAM") && !said.contains("[ERROR]"), "{said}");

    let mut h2load = Command::new("h2load");
    h2load.args(["-n", "2000", "-c", "10", "-m", "20", "-H", &bearer, &url]);
    let said = run(h2load).await;
    assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_finds_our_tls_as_it_should_be() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let address = format!("localhost:{}", gateway.tls_address.unwrap().port());
    for (flags, expected, unexpected) in [
        (vec!["-tls1_3", "-alpn", "h2"], "ALPN protocol: h2", "Verify return code: 1"),
        (vec!["-tls1_2", "-alpn", "http/1.1"], "ALPN protocol: http/1.1", "Verify return code: 1"),
        (vec!["-tls1_2"], "Secure Renegotiation IS supported", "Compression: zlib"),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-CAfile", &certificate(&gateway), "-servername", "localhost"]);
        openssl.args(&flags);
        let said = run(openssl).await;
        assert!(said.contains(expected) && !said.contains(unexpected), "{flags:?}: {said}");
    }
    for old in ["-tls1", "-tls1_1"] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, old, "-cipher", "ALL:@SECLEVEL=0"]).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || openssl.output()).await.unwrap().unwrap();
        assert!(!output.status.success(), "{old} is not spoken");
    }
}
