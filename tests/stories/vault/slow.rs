//! Against a real OpenBao.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use token::forge::Issuer;

use super::said;
use crate::harness::{ADMIN_TOKEN, Gateway, OpenBao, PATIENCE, Setup, Verifying, memory, named, private};

const KEYS: [&str; 3] = [
    "the first key in Vault, 0123456789ab",
    "the second key in Vault, 0123456789",
    "the third key in Vault, 0123456789ab",
];

fn approle(bao: &OpenBao, role: &str, folder: &Path) -> String {
    format!(
        "vault: {{ address: \"{}\", refresh: 1s, auth: {{ approle: {{ role_id: \"{role}\", secret_id: \"${{file:{}/secret_id}}\" }} }} }}\n",
        bao.url,
        folder.display()
    )
}

fn signing(setup: Setup) -> Setup {
    setup.defence(
        "assertion: { binding: reuse, key_id: \"orders-{sha256}\", key: \"${vault:secret/cloister/orders#hmac}\" }",
    )
}

/// Nothing of these is in what the gateway has said, shown or written, and no token of OpenBao's either.
fn never_told(gateway: &Gateway, secrets: &[&str]) {
    let pages = ["/metrics", "/readyz"].map(|page| gateway.admin(page).1);
    let mut texts = vec![gateway.said()];
    texts.extend(pages);
    texts.extend(texts_below(gateway.folder.path()));
    for text in &texts {
        for secret in secrets {
            assert!(!text.contains(secret), "`{secret}` was told: {text}");
        }
        let token = text.match_indices("s.").find(|(at, _)| {
            let rest = text.get(at + 2..).unwrap_or_default();
            let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let is_within = text.get(..*at).is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()));
            length == 24 && !is_within
        });
        assert_eq!(token, None, "a token was told: {text}");
    }
}

fn texts_below(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    entries.flat_map(|path| if path.is_dir() { texts_below(&path) } else { vec![text(&path)] }).collect()
}

/// Waits without being in the way of what goes on beside.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_vault_changes_under_load_and_no_request_is_refused() {
    let (bao, backend, folder) = (OpenBao::start().await, Verifying::start().await, tempfile::tempdir().unwrap());
    let role = json!({ "token_policies": "cloister", "token_ttl": "3s", "token_max_ttl": "1h" });
    let (role, secret) = bao.role(&role).await;
    private(&folder.path().join("secret_id"), &secret);
    bao.write("cloister/orders", &json!({ "hmac": KEYS[0] })).await;
    backend.knows(&named("orders", KEYS[0]), KEYS[0]);
    let setup = Gateway::test().upstream(backend.address).settings(&approle(&bao, &role, folder.path()));
    let mut gateway = signing(setup).start().await;
    let over = AtomicBool::new(false);
    let load = (0..4).map(|user| {
        let (gateway, over, backend) = (&gateway, &over, &backend);
        async move {
            let token = gateway.token("acme", &format!("user-{user}"), &["viewer"]);
            while !over.load(Ordering::Relaxed) {
                let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token)).await;
                assert_eq!(answer.status, 200, "{:?}", backend.refused());
            }
        }
    });
    let change = async {
        for key in &KEYS[1..] {
            backend.knows(&named("orders", key), key);
            bao.write("cloister/orders", &json!({ "hmac": key })).await;
            until("the new key signs", || backend.seen().contains(&named("orders", key))).await;
        }
        until("the token was renewed", || gateway.metric("cloister_vault_renewals_total") >= 2.0).await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures::future::join_all(load), change);
    assert_eq!((backend.refused(), backend.seen().len()), (Vec::new(), 3));
    assert!(backend.accepted() > 50);
    assert_eq!(gateway.metric("cloister_vault_logins_total"), 1.0, "renewed, and not asked for again");
    never_told(&gateway, &[&KEYS[..], &[secret.as_str()]].concat());
    let memory = memory(gateway.process().id());
    let left: Vec<_> = KEYS[..2].iter().filter(|key| memory.contains(*key)).collect();
    assert_eq!(left, Vec::<&&str>::new(), "what was replaced is in memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_logged_out_logs_in_again_with_the_secret_id_that_is_there_now() {
    let (bao, folder) = (OpenBao::start().await, tempfile::tempdir().unwrap());
    let (role, first) = bao.role(&json!({ "token_policies": "cloister", "secret_id_num_uses": 1 })).await;
    let second = bao.ask("POST", "auth/approle/role/cloister/secret-id", &json!({})).await;
    private(&folder.path().join("secret_id"), &first);
    bao.write("cloister/orders", &json!({ "hmac": KEYS[0] })).await;
    let setup = Gateway::test().settings(&approle(&bao, &role, folder.path()));
    let gateway = signing(setup).start().await;
    bao.take_back_tokens().await;
    gateway.eventually("it is known", || gateway.admin("/readyz").1.contains("Vault refused the login"));
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "the last good key signs on");
    private(&folder.path().join("secret_id"), second["data"]["secret_id"].as_str().unwrap());
    gateway.eventually("it is somebody again", || gateway.metric("cloister_vault_logins_total") == 2.0);
    gateway.eventually("all is well", || !gateway.admin("/readyz").1.contains("Vault"));
    bao.write("cloister/orders", &json!({ "hmac": KEYS[1] })).await;
    gateway.eventually("what is there is taken over", || gateway.metric("cloister_secret_reload_total") == 1.0);
    never_told(&gateway, &[KEYS[0], KEYS[1], first.as_str(), second["data"]["secret_id"].as_str().unwrap()]);
}

/// Kubernetes, as far as OpenBao asks it whose token it was shown.
async fn kubernetes() -> (String, Arc<Mutex<Vec<String>>>) {
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let review = async |State(shown): State<Arc<Mutex<Vec<String>>>>, axum::Json(asked): axum::Json<Value>| {
        shown.lock().unwrap().push(asked["spec"]["token"].as_str().unwrap().into());
        let reviewed = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": { "authenticated": true, "user": { "username": "system:serviceaccount:default:cloister", "uid": "u" } },
        });
        (axum::http::StatusCode::CREATED, axum::Json(reviewed))
    };
    let router =
        Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", post(review)).with_state(Arc::clone(&shown));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, shown)
}

fn account(number: u32) -> String {
    let claims = json!({
        "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:default:cloister", "jti": number.to_string(),
        "iat": crate::harness::now() - 10, "nbf": crate::harness::now() - 10, "exp": crate::harness::now() + 3_600,
        "kubernetes.io": { "namespace": "default", "serviceaccount": { "name": "cloister", "uid": "u" } },
    });
    Issuer::es256("cluster").sign(&claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_account_is_read_again_for_each_login() {
    let (bao, folder) = (OpenBao::start().await, tempfile::tempdir().unwrap());
    let (cluster, shown) = kubernetes().await;
    bao.policy().await;
    bao.ask("POST", "sys/auth/kubernetes", &json!({ "type": "kubernetes" })).await;
    let ca = rcgen::generate_simple_self_signed(["cluster".to_owned()]).unwrap().cert.pem(); // wanted, and not used without TLS
    let config = json!({ "kubernetes_host": cluster, "token_reviewer_jwt": account(0), "disable_local_ca_jwt": true, "kubernetes_ca_cert": ca });
    bao.ask("POST", "auth/kubernetes/config", &config).await;
    let role = json!({
        "bound_service_account_names": "cloister", "bound_service_account_namespaces": "default",
        "token_policies": "cloister", "token_ttl": "4s", "token_max_ttl": "6s",
    });
    bao.ask("POST", "auth/kubernetes/role/cloister", &role).await;
    bao.write("cloister/orders", &json!({ "hmac": KEYS[0] })).await;
    let (first, second) = (account(1), account(2));
    std::fs::write(folder.path().join("token"), &first).unwrap();
    let section = format!(
        "vault: {{ address: \"{}\", refresh: 1s, auth: {{ kubernetes: {{ role: cloister, token: {}/token }} }} }}\n",
        bao.url,
        folder.path().display()
    );
    let gateway = signing(Gateway::test().settings(&section)).start().await;
    assert_eq!(*shown.lock().unwrap(), [first.as_str()]);
    std::fs::write(folder.path().join("token"), &second).unwrap();
    gateway.eventually("it has shown the new one", || shown.lock().unwrap().last() == Some(&second));
    gateway.eventually("its answer has arrived", || gateway.metric("cloister_vault_logins_total") >= 2.0);
    assert_eq!(gateway.metric("cloister_vault_failures_total"), 0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    never_told(&gateway, &[KEYS[0], first.as_str(), second.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_vault_is_away_or_has_nothing_the_last_good_values_serve() {
    let (bao, folder) = (OpenBao::start().await, tempfile::tempdir().unwrap());
    let (role, secret) = bao.role(&json!({ "token_policies": "cloister" })).await;
    private(&folder.path().join("secret_id"), &secret);
    bao.write("cloister/orders", &json!({ "hmac": KEYS[0] })).await;
    bao.write("cloister/keys", &json!({ "of": "nobody" })).await;
    let section = approle(&bao, &role, folder.path()).replace("refresh: 1s", "refresh: 1s, timeout: 500ms");
    let gateway = signing(Gateway::test().settings(&section)).start().await;
    let faulty = || {
        let (_, text) = gateway.admin("/metrics");
        text.contains("cloister_secret_faulty{secret=\"upstreams.backend.assertion.key\"} 1")
    };
    let serves = async || gateway.get("acme", "/orders/1").await.status == 200;

    bao.signal("STOP");
    gateway.eventually("it is known", || gateway.admin("/readyz").1.contains("Vault did not answer in time"));
    let (status, _) = gateway.admin("/readyz");
    assert!(status == 200 && !faulty() && serves().await, "nobody has said anything of the secret");
    assert!(gateway.metric("cloister_vault_failures_total") >= 1.0);
    bao.signal("CONT");
    gateway.eventually("it answers again", || !gateway.admin("/readyz").1.contains("Vault did not"));

    let path = "secret/data/cloister/orders";
    for (what, method, path, body, says) in [
        ("deleted", "DELETE", path, json!({}), "was deleted"),
        ("another field", "POST", path, json!({ "data": { "mac": KEYS[1] } }), "has no field `hmac`"),
        ("a number", "POST", path, json!({ "data": { "hmac": 1 } }), "is not a text"),
        ("too short", "POST", path, json!({ "data": { "hmac": "short" } }), "at least 32 bytes"),
        ("empty", "POST", path, json!({ "data": { "hmac": "\n" } }), "is empty"),
        ("gone", "DELETE", "secret/metadata/cloister/orders", json!({}), "has no secret"),
        ("not for us", "DELETE", "sys/policies/acl/cloister", json!({}), "must have `read` on this path"),
    ] {
        bao.ask(method, path, &body).await;
        gateway.eventually(what, || faulty() && gateway.admin("/readyz").1.contains(says));
        assert!(serves().await, "{what}");
    }
    bao.policy().await;
    bao.write("cloister/orders", &json!({ "hmac": KEYS[1] })).await;
    gateway.eventually("the next one is in force", || !faulty());
    assert!(serves().await);
    let records = gateway.records(&["--all"]);
    let of = |kind: &str| records.all().iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((of("secret.refused"), of("secret.changed")), (7, 1));
    let said = gateway.said();
    assert!(said.contains("Vault answers again"), "{said}");
    never_told(&gateway, &[&KEYS[..], &[secret.as_str()]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_authority_that_is_written_is_believed_and_without_a_value_nothing_starts() {
    let bao = OpenBao::start_with_tls().await;
    bao.write("cloister/orders", &json!({ "hmac": KEYS[0] })).await;
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("token"), "the-root-token-of-a-test");
    let token = format!("auth: {{ token: \"${{file:{}/token}}\" }}", folder.path().display());
    let section = |more: &str| format!("vault: {{ address: \"{}\", {token}{more} }}\n", bao.url);
    let trusting = section(&format!(", ca: {}", bao.authority().display()));
    let key = "${vault:secret/cloister/orders#hmac}";
    let (code, text) = tokio::task::block_in_place(|| said(&["check", "--vault"], &trusting, key));
    assert_eq!(code, 0, "{text}");
    for (what, section, key, says) in [
        ("nobody vouches for it", section(""), key, "Vault cannot be reached"),
        ("another field", trusting.clone(), "${vault:secret/cloister/orders#mac}", "has no field `mac`"),
        ("no such secret", trusting.clone(), "${vault:secret/cloister/nothing#mac}", "has no secret"),
    ] {
        let (code, text) = tokio::task::block_in_place(|| said(&["run"], &section, key));
        assert_eq!(code, 2, "{what}: {text}");
        assert!(text.contains(says) && text.contains(key) && text.contains("cloister.yaml:"), "{what}: {text}");
    }
    private(&folder.path().join("token"), ADMIN_TOKEN);
    let (code, text) = tokio::task::block_in_place(|| said(&["run"], &trusting, key));
    assert!(code == 2 && text.contains("Vault refused the login (403") && !text.contains(ADMIN_TOKEN), "{text}");
}
