//! Secrets change while the gateway runs, and nobody is refused for it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{ADMIN_TOKEN, Gateway, Idp, Mood, PATIENCE, POLICIES, Verifying, claims, named, private};

const KEYS: [&str; 3] = [
    "the first key of a backend, 0123456789",
    "the second key of a backend, 012345678",
    "the third key of a backend, 0123456789",
];

/// Secrets as Kubernetes mounts them: a link to a link to a folder, and a change is the link in the middle put in place anew.
fn mount(folder: &Path, version: usize, key: &str) {
    let real = folder.join(format!("..version-{version}"));
    std::fs::create_dir(&real).unwrap();
    private(&real.join("key"), key);
    let next = folder.join("..data_tmp");
    symlink(real.file_name().unwrap(), &next).unwrap();
    std::fs::rename(&next, folder.join("..data")).unwrap();
    if version == 0 {
        symlink("..data/key", folder.join("key")).unwrap();
    } else {
        std::fs::remove_dir_all(folder.join(format!("..version-{}", version - 1))).unwrap();
    }
}

fn faulty(gateway: &Gateway, setting: &str) -> f64 {
    let (_, text) = gateway.admin("/metrics");
    let start = format!("cloister_secret_faulty{{secret=\"{setting}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).expect("it is followed").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_key_changes_under_load_and_no_request_is_refused() {
    let backend = Verifying::start().await;
    let mounted = tempfile::tempdir().unwrap();
    mount(mounted.path(), 0, KEYS[0]);
    let key = format!(
        "assertion: {{ binding: reuse, key_id: \"orders-{{sha256}}\", key: \"${{file:{}/key}}\" }}",
        mounted.path().display()
    );
    backend.knows(&named("orders", KEYS[0]), KEYS[0]);
    let gateway = Gateway::test().upstream(backend.address).defence(&key).start().await;
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
        for (version, key) in KEYS.iter().enumerate().skip(1) {
            // As its operator would: the backend first, then the gateway.
            backend.knows(&named("orders", key), key);
            mount(mounted.path(), version, key);
            until("the new key signs", || backend.seen().contains(&named("orders", key))).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures::future::join_all(load), change);
    assert_eq!((backend.refused(), backend.seen().len()), (Vec::new(), 3));
    assert!(backend.accepted() > 20);
    let changed = gateway.records(&["--all"]);
    let changed = changed.all().iter().filter(|record| record["kind"] == "secret.changed");
    assert!(changed.clone().all(|record| record["setting"] == "upstreams.backend.assertion.key"));
    assert_eq!(changed.count(), 2);
}

/// Waits without being in the way of what goes on beside.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn operates(gateway: &Gateway, token: &str) -> bool {
    let asked = reqwest::Client::new().get(format!("http://{}/revocations", gateway.admin)).bearer_auth(token);
    asked.send().await.unwrap().status() == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_leaves_the_last_good_value_in_force_and_is_known() {
    let gateway = Gateway::test().start().await;
    let path = gateway.folder.path().join("admin.token");
    let next = "another token of the operators, 012345";
    for (what, spoil) in [
        ("is empty", (|path| private(path, "\n")) as fn(&Path)),
        ("less than 32 bytes", |path| private(path, "short")),
        ("open to others", |path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap()),
        ("cannot be read", |path| std::fs::remove_file(path).unwrap()),
        ("larger than 64 KiB", |path| private(path, &"k".repeat(70_000))),
    ] {
        private(&path, ADMIN_TOKEN);
        gateway.eventually("all is well", || faulty(&gateway, "admin.token") == 0.0);
        spoil(&path);
        gateway.eventually(what, || faulty(&gateway, "admin.token") == 1.0);
        assert!(operates(&gateway, ADMIN_TOKEN).await && !operates(&gateway, "short").await, "{what}");
        let (status, ready) = gateway.admin("/readyz");
        assert!(status == 200 && ready.contains(what), "{what}: {ready}");
        assert!(gateway.said().contains(what), "{what}");
    }
    private(&path, next);
    gateway.eventually("the next one is in force", || faulty(&gateway, "admin.token") == 0.0);
    assert!(operates(&gateway, next).await && !operates(&gateway, ADMIN_TOKEN).await);
    let records = gateway.records(&["--all"]);
    let of = |kind: &str| records.all().iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((of("secret.refused"), of("secret.changed")), (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_root_waits_for_a_restart_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    private(&root, &"r".repeat(32));
    let setting = format!("root: \"${{file:{}}}\"", root.display());
    let gateway = Gateway::test().assertion(&setting).defence("assertion: { signature: hmac-sha256 }").start().await;
    let backend_saw = async || {
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        gateway.backend.last().field("signature").is_some()
    };
    assert!(backend_saw().await);
    private(&root, &"s".repeat(32));
    gateway.eventually("the change is seen", || faulty(&gateway, "assertion.root") == 1.0);
    assert!(gateway.said().contains("it is in force after a restart"));
    assert!(backend_saw().await);
    private(&root, &"r".repeat(32));
    gateway.eventually("it is what it was", || faulty(&gateway, "assertion.root") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_asked_with_the_new_client_secret_at_once() {
    let idp = Idp::start("{}", Mood::Well).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("client");
    private(&secret, "first-secret");
    let issuer = format!(
        "  opaque:\n    issuer: \"https://opaque.example/\"\n    audiences: [saas-api]\n    introspection: {{ url: \"{}\", client_id: gateway, client_secret: \"${{file:{}}}\" }}\n",
        idp.url("/introspect"),
        secret.display()
    );
    let policies = POLICIES.replace("issuers: [main]", "issuers: [main, opaque]");
    let gateway = Gateway::test().policies(&policies).issuer(&issuer).start().await;
    let shown = async |token: &str| {
        let mut granted = claims("acme", "ada", &["viewer"]);
        granted["iss"] = "https://opaque.example/".into();
        idp.grant(token, &granted);
        let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await;
        assert_eq!(answer.status, 200);
        let asked = idp.asked();
        let field = asked.last().unwrap().lines().find_map(|line| line.strip_prefix("authorization: Basic ")).unwrap();
        use base64::Engine as _;
        String::from_utf8(base64::prelude::BASE64_STANDARD.decode(field).unwrap()).unwrap()
    };
    assert_eq!(shown("one").await, "gateway:first-secret");
    private(&secret, "second-secret");
    gateway.eventually("it is taken over", || gateway.metric("cloister_secret_reload_total") == 1.0);
    assert_eq!(shown("two").await, "gateway:second-secret");
}
