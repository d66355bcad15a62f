//! `tests/run` installs the languages. One that is missing is a failure: it would have told us something. `dotnet` is not
//! among them, since nothing that is installed from has it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Gateway, POLICIES};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Serves the key sets of the vectors, as the admin listener does, and counts how often they are fetched.
async fn keys() -> (String, Arc<AtomicUsize>, JoinSet<()>) {
    let file: Value = serde_json::from_slice(&std::fs::read(root("tests/vectors/requests.json")).unwrap()).unwrap();
    let fetched = Arc::new(AtomicUsize::new(0));
    let page = |name: &str| {
        let (text, fetched) = (file[name].to_string(), Arc::clone(&fetched));
        get(async move || {
            fetched.fetch_add(1, Ordering::Relaxed);
            ([("cache-control", "public, max-age=300"), ("content-type", "application/jwk-set+json")], text)
        })
    };
    let router = Router::new().route("/jwks.json", page("jwks")).route("/signature-keys.json", page("signature_jwks"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, fetched, serving)
}

/// Runs a program to its end, and gives what it printed.
async fn run(mut command: Command) -> String {
    let said = format!("{command:?}");
    let run = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    let output = run.unwrap_or_else(|error| panic!("{said}: {error}; tests/run installs it"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said} ended with {}: {out}{err}", output.status);
    out.into_owned()
}

/// Runs one verifier over all vectors: each has its verdict, and the keys are not fetched again and again for names that are
/// made up.
async fn agrees(command: impl FnOnce(&Path, &str) -> Command) {
    let (url, fetched, _serving) = keys().await;
    let vectors = root("tests/vectors");
    let file: Value = serde_json::from_slice(&std::fs::read(vectors.join("requests.json")).unwrap()).unwrap();
    let said = run(command(&vectors, &url)).await;
    let all = file["cases"].as_array().unwrap().len();
    assert!(said.contains(&format!("{all} passed, 0 failed")), "{said}");
    assert_eq!(fetched.load(Ordering::Relaxed), 2);
}

fn script(program: impl AsRef<Path>, file: &str, vectors: &Path, url: &str) -> Command {
    let mut command = Command::new(program.as_ref());
    command.arg(root("config/verifiers").join(file)).arg(vectors).arg(url);
    command
}

#[tokio::test]
async fn python() {
    let target = Path::new(env!("CARGO_BIN_EXE_cloister")).parent().and_then(Path::parent).unwrap();
    let python = target.join("tools/clients/venv/bin/python");
    agrees(|vectors, url| {
        let mut command = script(python, "python/vectors.py", vectors, url);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
    .await;
}

#[tokio::test]
async fn node() {
    agrees(|vectors, url| script("node", "node/vectors.mjs", vectors, url)).await;
}

#[tokio::test]
async fn php() {
    agrees(|vectors, url| script("php", "php/vectors.php", vectors, url)).await;
}

#[tokio::test]
async fn ruby() {
    agrees(|vectors, url| script("ruby", "ruby/vectors.rb", vectors, url)).await;
}

#[tokio::test]
async fn go() {
    let cache = tempfile::tempdir().unwrap();
    agrees(|vectors, url| {
        let mut command = Command::new("go");
        command.args(["test", "-v", "./..."]).current_dir(root("config/verifiers/go"));
        command.env("VECTORS", vectors).env("KEYS", url).env("GOCACHE", cache.path()).env("GOFLAGS", "-count=1");
        command
    })
    .await;
}

#[tokio::test]
async fn java() {
    let classes = tempfile::tempdir().unwrap();
    let mut compile = Command::new("javac");
    compile.arg("-d").arg(classes.path());
    compile.args(["Cloister.java", "Vectors.java"].map(|file| root("config/verifiers/java").join(file)));
    run(compile).await;
    agrees(|vectors, url| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(classes.path()).arg("Vectors").arg(vectors).arg(url);
        command
    })
    .await;
}

/// Ends with the test.
struct Backend(std::process::Child);

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a backend behind the verifier for Node.
fn verified(binding: &str, more: &[&str]) -> (Backend, SocketAddr) {
    let mut node = Command::new("node");
    node.arg(root("tests/clients/verified.mjs")).args(["backend", binding]).args(more).env("BACKEND_KEY", KEY);
    let mut node = Backend(node.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("node"));
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(node.0.stdout.take().unwrap()), &mut port).unwrap();
    (node, format!("127.0.0.1:{}", port.trim()).parse().unwrap())
}

const KEY: &str = "a key of its own, fedcba9876543210";

/// Tells the backend where the keys are.
async fn introduce(backend: SocketAddr, gateway: &Gateway) {
    let keys = format!("http://{backend}/__keys?http://{}/.well-known/cloister/jwks.json", gateway.admin);
    assert_eq!(reqwest::get(keys).await.unwrap().status(), 200);
}

/// Passes on whatever comes, but for one word on its way to the backend.
async fn meddler(backend: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut meddling = JoinSet::new();
    meddling.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(backend).await.unwrap();
            connections.spawn(async move {
                let ((mut from, mut back), (mut answers, mut to)) = (from.split(), to.split());
                let there = async {
                    let mut buffer = vec![0; 1 << 20];
                    while let Ok(count @ 1..) = from.read(&mut buffer).await {
                        let word = buffer[..count].windows(4).position(|word| word == b"GOOD");
                        buffer[word.map_or(0..0, |at| at..at + 4)].copy_from_slice(&b"EVIL"[..word.map_or(0, |_| 4)]);
                        to.write_all(&buffer[..count]).await.unwrap();
                    }
                };
                tokio::select! { () = there => {}, _ = tokio::io::copy(&mut answers, &mut back) => {} }
            });
        }
    });
    (address, meddling)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_wants_bodies_covered_gets_them_so_and_finds_out_what_was_changed_on_the_way() {
    let (_node, backend) = verified("reuse", &["digest"]);
    let (meddler, _meddling) = meddler(backend).await;
    let route = r#"  - id: covered
    match: { host: "{tenant}.example.test", path: "/covered/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 64KiB
"#;
    let gateway = Gateway::test()
        .policies(&format!("{POLICIES}{route}"))
        .upstream(meddler)
        .listener("h2c: true")
        .environment("BACKEND_KEY", KEY)
        .defence("assertion: { binding: reuse, key: \"${env:BACKEND_KEY}\" }")
        .start()
        .await;
    introduce(backend, &gateway).await;
    let client =
        |builder: reqwest::ClientBuilder| builder.resolve("acme.example.test", gateway.address).build().unwrap();
    let (http1, http2) =
        (client(reqwest::Client::builder()), client(reqwest::Client::builder().http2_prior_knowledge()));
    let send = async |client: &reqwest::Client, path: &str, body: reqwest::Body| {
        let url = format!("http://acme.example.test:{}{path}", gateway.address.port());
        let request = client.put(url).bearer_auth(gateway.token("acme", "ada", &["clerk"])).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for size in [0, 1, 65_536, 65_537] {
        for client in [&http1, &http2] {
            let body = vec![b'x'; size];
            let piece = Ok::<_, std::io::Error>(body.clone());
            for body in [body.into(), reqwest::Body::wrap_stream(futures::stream::iter([piece]))] {
                let (status, told) = send(client, "/covered/1", body).await;
                if size > 65_536 {
                    assert_eq!(status, 413);
                } else {
                    assert_eq!(status, 200, "{size} bytes: {told}");
                    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["bytes"], size);
                }
            }
        }
    }
    for client in [&http1, &http2] {
        assert_eq!(send(client, "/covered/1", "a GOOD body".into()).await.0, 401, "it was changed on the way");
        assert_eq!(send(client, "/covered/1", "a good body".into()).await.0, 200);
        assert_eq!(send(client, "/orders/1", "a good body".into()).await.0, 401, "on a route that covers none");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_behind_its_verifier_answers_what_comes_through_the_gateway_and_nothing_else() {
    for (binding, setting) in [("per_request", "per_request"), ("reuse", "reuse, key: \"${env:BACKEND_KEY}\"")] {
        let (_node, address) = verified(binding, &[]);
        let gateway = Gateway::test()
            .upstream(address)
            .environment("BACKEND_KEY", KEY)
            .defence(&format!("assertion: {{ binding: {setting} }}"))
            .start()
            .await;
        introduce(address, &gateway).await;

        let path = "/orders/1?page=%20a+b&c";
        for _ in 0..2 {
            let answer = gateway.get("acme", path).await;
            assert_eq!(answer.status, 200, "{binding}");
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(told["claims"]["tenant"], "acme");

            // Whoever has seen a request and can reach the backend past the gateway.
            let fields: Vec<_> = told["fields"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            let send = async |path: &str, changed: (&str, &str)| {
                let mut request = reqwest::Client::new().get(format!("http://{address}{path}"));
                for pair in fields.chunks(2).filter(|pair| !pair[0].eq_ignore_ascii_case("connection")) {
                    let value = if pair[0].eq_ignore_ascii_case(changed.0) { changed.1 } else { pair[1] };
                    request = request.header(pair[0], value);
                }
                request.send().await.unwrap().status().as_u16()
            };
            assert_eq!(send("/orders/2", ("", "")).await, 401, "{binding}: another path");
            assert_eq!(send(path, ("x-tenant-id", "globex")).await, 401, "{binding}: another tenant");
            assert_eq!(send(path, ("x-cloister-assertion", "e30.e30.e30")).await, 401, "{binding}: no assertion");
            if binding == "reuse" {
                assert_eq!(send(path, ("", "")).await, 401, "the same once more");
            }
        }
        assert_eq!(reqwest::get(format!("http://{address}{path}")).await.unwrap().status(), 401);
    }
}
