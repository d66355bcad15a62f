use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use secrets::{Secret, VaultPlace};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Auth, Settings, Vault, VaultError};

const TOKEN: &str = "s.canary-token";
const VALUE: &str = "canary-value-of-vault";

/// A Vault that takes every question to the letter, and answers as it is told.
struct Scripted {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// By method and path: status, and body.
    answers: Mutex<BTreeMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    async fn start() -> Self {
        Self::with_tls(None).await
    }

    async fn with_tls(tls: Option<TlsAcceptor>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::<State>::default();
        let serving = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&serving), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                state.serve(stream).await;
                            }
                        }
                        None => state.serve(stream).await,
                    }
                });
            }
        });
        let scripted = Self { address, state };
        scripted.says("GET /v1/auth/token/lookup-self", 200, r#"{"data":{"ttl":0,"renewable":false}}"#);
        scripted
    }

    fn says(&self, question: &str, status: u16, body: &str) {
        self.state.answers.lock().unwrap().insert(question.into(), (status, body.into()));
    }

    fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    fn vault(&self) -> Vault {
        self.vault_as(Auth::Token(Box::new(|| Ok(Secret::new(TOKEN.as_bytes().to_vec())))), None)
    }

    fn vault_as(&self, auth: Auth, ca: Option<Vec<u8>>) -> Vault {
        let (address, namespace) = (self.address.clone(), Some("team/a".into()));
        Vault::new(Settings { address, ca, namespace, auth, timeout: Duration::from_millis(700) }).unwrap()
    }
}

impl State {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).await.is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let question = head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
        let login = question.ends_with("/login");
        assert!(head.contains("\r\nx-vault-request: true\r\n"), "{head}");
        assert!(head.contains("\r\nx-vault-namespace: team/a\r\n"), "{head}");
        assert_eq!(head.contains("\r\nx-vault-token: "), !login, "{head}");
        self.asked.lock().unwrap().push(format!("{head}{}", String::from_utf8(body).unwrap()));
        let (status, body) =
            self.answers.lock().unwrap().get(&question).cloned().unwrap_or((404, r#"{"errors":[]}"#.into()));
        if status == 0 {
            return std::future::pending().await;
        }
        let more = if status == 307 { "location: http://127.0.0.1:9/v1/elsewhere\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} x\r\n{more}content-length: {}\r\n\r\n", body.len());
        drop(stream.write_all(head.as_bytes()).await);
        drop(stream.write_all(body.as_bytes()).await);
        drop(stream.flush().await);
    }
}

fn place(text: &str) -> VaultPlace {
    text.parse().unwrap()
}

fn version(fields: &str) -> String {
    format!(
        r#"{{"request_id":"x","data":{{"data":{fields},"metadata":{{"version":3,"deletion_time":"","destroyed":false}}}}}}"#
    )
}

async fn value(vault: &Vault, at: &str) -> Result<String, VaultError> {
    let mut found = vault.read(&[place(at)]).await?;
    found.remove(&place(at)).unwrap().map(|value| String::from_utf8(value.expose().clone()).unwrap())
}

#[tokio::test]
async fn every_fault_has_its_name_and_remedy_and_none_repeats_a_value_or_a_token() {
    let scripted = Scripted::start().await;
    let question = "GET /v1/kv/data/orders";
    let good = version(&format!(r#"{{"hmac":"{VALUE}","port":1,"list":["{VALUE}"],"none":null}}"#));
    let deleted = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z","destroyed":false}}}"#;
    let huge = version(&format!(r#"{{"hmac":"{}"}}"#, "k".repeat(300 << 10)));
    let denied = format!(r#"{{"errors":["permission denied for {TOKEN}"]}}"#);
    for (what, status, body, field, says, outage) in [
        ("sealed", 503, r#"{"errors":["Vault is sealed"]}"#, "hmac", "is sealed", true),
        ("denied", 403, denied.as_str(), "hmac", "must have `read` on this path", false),
        ("absent", 404, r#"{"errors":[]}"#, "hmac", "has no secret `kv/orders`", false),
        ("deleted", 404, deleted, "hmac", "was deleted", false),
        ("deleted, said with 200", 200, deleted, "hmac", "was deleted", false),
        ("another field", 200, &good, "mac", "has no field `mac`", false),
        ("a number", 200, &good, "port", "is not a text", false),
        ("a list", 200, &good, "list", "is not a text", false),
        ("nothing", 200, &good, "none", "is not a text", false),
        ("a redirect", 307, "", "hmac", "another address should be asked", true),
        ("huge", 200, &huge, "hmac", "longer than 256 KiB", true),
        ("slow", 0, "", "hmac", "did not answer in time", true),
        (
            "version 1 of KV",
            200,
            r#"{"data":{"hmac":"canary-value-of-vault"}}"#,
            "hmac",
            "no secret of KV, version 2",
            true,
        ),
        ("a page", 200, "<html>canary-value-of-vault", "hmac", "no secret of KV, version 2", true),
        ("nothing at all", 200, "", "hmac", "no secret of KV, version 2", true),
        ("broken", 500, "canary-value-of-vault", "hmac", "the answer of Vault was 500", true),
        ("too often", 429, "", "hmac", "the answer of Vault was 429", true),
    ] {
        scripted.says(question, status, body);
        let vault = scripted.vault();
        let error = value(&vault, &format!("kv/orders#{field}")).await.unwrap_err();
        let said = terms::chain(&error);
        assert!(said.contains(says), "{what}: {said}");
        assert_eq!(error.is_outage(), outage, "{what}");
        let shown = format!("{said}{error:?}{vault:?}");
        assert!(!shown.contains("canary"), "{what}: {shown}");
        assert_eq!(vault.hearing().fault.is_some(), outage, "{what}");
        scripted.says(question, 200, &good);
        assert_eq!(value(&vault, "kv/orders#hmac").await.unwrap(), VALUE, "{what}");
        assert_eq!(vault.hearing().fault, None);
    }
    let gone = Scripted { address: "http://127.0.0.1:1".into(), state: Arc::default() };
    let error = value(&gone.vault(), "kv/orders#hmac").await.unwrap_err();
    assert!(error.is_outage() && error.may_pass() && terms::chain(&error).contains("cannot be reached"));
    assert!(scripted.asked().iter().all(|asked| asked.contains(&format!("\r\nx-vault-token: {TOKEN}\r\n"))));
}

#[tokio::test]
async fn fields_of_one_secret_are_of_one_version_and_asked_for_once() {
    let scripted = Scripted::start().await;
    scripted.says("GET /v1/team/kv/data/a/b", 200, &version(r#"{"one":"1","two":"2"}"#));
    let places = [place("team/kv:a/b#one"), place("team/kv:a/b#two"), place("team/kv:a/b#three")];
    let found = scripted.vault().read(&places).await.unwrap();
    let text = |place| found[place].as_ref().map(|value| value.expose().clone()).ok();
    assert_eq!(places.each_ref().map(text), [Some(b"1".to_vec()), Some(b"2".to_vec()), None]);
    assert_eq!(scripted.asked().len(), 2, "who we are, and the secret");
}

fn approle() -> Auth {
    let secret = Box::new(|| Ok(Secret::new(b"canary \"secret\" id".to_vec())));
    Auth::AppRole { mount: "approle".into(), role: "cloister".into(), secret }
}

fn granted(token: &str, lease: u64, renewable: bool) -> String {
    format!(r#"{{"auth":{{"client_token":"{token}","lease_duration":{lease},"renewable":{renewable}}}}}"#)
}

#[tokio::test]
async fn a_role_logs_in_once_and_again_when_its_token_was_taken_back() {
    let scripted = Scripted::start().await;
    let (login, read) = ("POST /v1/auth/approle/login", "GET /v1/kv/data/orders");
    scripted.says(login, 200, &granted("s.one", 3_600, true));
    scripted.says(read, 200, &version(r#"{"hmac":"1"}"#));
    let vault = scripted.vault_as(approle(), None);
    for _ in 0..3 {
        assert_eq!(value(&vault, "kv/orders#hmac").await.unwrap(), "1");
    }
    let asked = scripted.asked();
    assert!(asked[0].ends_with(r#"{"role_id":"cloister","secret_id":"canary \"secret\" id"}"#), "{}", asked[0]);
    assert!(asked[1..].iter().all(|asked| asked.contains("x-vault-token: s.one\r\n")) && asked.len() == 4);

    scripted.says(read, 403, "{}");
    assert!(matches!(value(&vault, "kv/orders#hmac").await, Err(VaultError::Denied(_))));
    let logins = scripted.asked().iter().filter(|asked| asked.starts_with(login)).count();
    assert_eq!((logins, vault.hearing().logins), (2, 2), "it tried once whether another token may");

    scripted.says(login, 400, r#"{"errors":["invalid role or secret ID"]}"#);
    let error = value(&vault, "kv/orders#hmac").await.unwrap_err();
    assert!(error.is_outage() && !error.may_pass(), "{error}");
    let said = format!("{}{error:?}", terms::chain(&error));
    assert!(said.contains("refused the login (400") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_replaced_when_it_cannot_be() {
    let scripted = Scripted::start().await;
    let (login, renew) = ("POST /v1/auth/approle/login", "POST /v1/auth/token/renew-self");
    scripted.says("GET /v1/kv/data/orders", 200, &version(r#"{"hmac":"1"}"#));
    let counted = |vault: &Vault| (vault.hearing().logins, vault.hearing().renewals);
    for (what, lease, renewable, answer, expected) in [
        ("renewed", 2, true, (200, granted("s.one", 2, true)), (1, 1)),
        ("not renewable", 2, false, (200, granted("s.one", 2, true)), (2, 0)),
        ("near the longest that it may live", 5, true, (200, granted("s.one", 1, true)), (2, 0)),
        ("taken back", 2, true, (403, "{}".into()), (2, 0)),
        ("not answered", 2, true, (503, "{}".into()), (1, 0)),
    ] {
        scripted.says(login, 200, &granted("s.one", lease, renewable));
        scripted.says(renew, answer.0, &answer.1);
        let vault = scripted.vault_as(approle(), None);
        value(&vault, "kv/orders#hmac").await.unwrap();
        let due = vault.tend().await.unwrap().expect("it has an end");
        assert_eq!(counted(&vault), (1, 0), "{what}: not before its time");
        let left = due.saturating_duration_since(std::time::Instant::now());
        assert!(left <= Duration::from_secs(lease).mul_f64(0.7), "{what}: {left:?}");
        tokio::time::sleep_until(due.into()).await;
        let tended = vault.tend().await;
        assert_eq!((counted(&vault), tended.is_err()), (expected, answer.0 == 503), "{what}");
        assert_eq!(value(&vault, "kv/orders#hmac").await.unwrap(), "1", "{what}");
    }
}

#[tokio::test]
async fn only_the_certificates_that_are_written_are_believed() {
    let (right, wrong) = (certified(), certified());
    let key = right.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![right.cert.der().clone()], key).unwrap();
    let scripted = Scripted::with_tls(Some(TlsAcceptor::from(Arc::new(tls)))).await;
    scripted.says("GET /v1/kv/data/orders", 200, &version(r#"{"hmac":"1"}"#));
    let ask = async |ca: Option<String>| {
        let auth = Auth::Token(Box::new(|| Ok(Secret::new(TOKEN.as_bytes().to_vec()))));
        value(&scripted.vault_as(auth, ca.map(String::into_bytes)), "kv/orders#hmac").await
    };
    assert_eq!(ask(Some(right.cert.pem())).await.unwrap(), "1");
    let asked = scripted.asked().len();
    for ca in [Some(wrong.cert.pem()), None] {
        let error = ask(ca).await.unwrap_err();
        assert!(error.is_outage() && terms::chain(&error).contains("certificate"), "{}", terms::chain(&error));
    }
    assert_eq!(scripted.asked().len(), asked, "nothing was said to whom we do not know");
}

fn certified() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}
