//! `tests/run` installs the languages. One that is missing is a failure: it would have told us something. `dotnet` is not
//! among them, since nothing that is installed from has it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tokio::task::JoinSet;

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
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
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
