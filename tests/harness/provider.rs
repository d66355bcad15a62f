//! A real OpenID provider, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

pub struct Provider {
    /// Its `iss`, which is where it is.
    pub issuer: String,
    http: reqwest::Client,
    process: Child,
    folder: TempDir,
}

impl Provider {
    /// `tests/run` installs it. One that is missing is a failure: it would have told us something.
    pub fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default()); // another may have done it
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certify(folder.path());
        let script = format!("{}/tests/clients/provider/provider.mjs", env!("CARGO_MANIFEST_DIR"));
        let target = Path::new(env!("CARGO_BIN_EXE_cloister")).parent().and_then(Path::parent).unwrap();
        let mut process = Command::new("node")
            .env("CLIENT_KEYS", folder.path())
            .args([
                script.as_ref(),
                certificate.as_os_str(),
                key.as_os_str(),
                target.join("tools/clients/provider").as_os_str(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("node: {error}; tests/run installs it"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "the provider has ended; tests/run installs what it needs");
        let ca = reqwest::Certificate::from_pem(&std::fs::read(folder.path().join("ca.pem")).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
        Self { issuer: format!("https://localhost:{}", port.trim()), http, process, folder }
    }

    /// The file with the certificate of whoever vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The file with the key that the client `ES256-gateway` has, or another that signs in this way.
    pub fn client_key(&self, algorithm: &str) -> PathBuf {
        self.folder.path().join(algorithm).with_extension("pem")
    }

    /// A token for this client: a JWT, or one that is `opaque`.
    pub async fn token(&self, client: &str, kind: &str) -> String {
        let resource = format!("https://api.example/{kind}");
        let form = [("grant_type", "client_credentials"), ("scope", "orders"), ("resource", &resource)];
        let answer = self.post("/token", client, &form).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Has its client take a token back.
    pub async fn revoke(&self, client: &str, token: &str) {
        self.post("/token/revocation", client, &[("token", token)]).await;
    }

    /// It signs with a new key from now on.
    pub async fn rotate(&self) {
        let answer = self.http.post(format!("{}/rotate", self.issuer)).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    async fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse("form:").unwrap();
        url.query_pairs_mut().extend_pairs(form);
        let request = self.http.post(format!("{}{path}", self.issuer));
        let request = request.basic_auth(client, Some(format!("{client}-secret")));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(url.query().unwrap_or_default().to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Writes a certificate for `localhost` and its key, and that of the authority beside them.
fn certify(folder: &Path) -> (PathBuf, PathBuf) {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let vouching: &rcgen::Certificate = authority.as_ref();
    std::fs::write(folder.join("ca.pem"), vouching.pem()).unwrap();
    let (shown, own) = (folder.join("provider.pem"), folder.join("provider.key"));
    std::fs::write(&shown, certificate.pem()).unwrap();
    std::fs::write(&own, key.serialize_pem()).unwrap();
    (shown, own)
}
