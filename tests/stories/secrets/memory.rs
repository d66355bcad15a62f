//! What is not in the memory of a gateway that runs: secrets that were replaced, or of which something else was made.
//!
//! What remains, and is not looked for: variables of the environment, which the system keeps as they were given; the password of
//! Redis and that of the directory, which their clients keep; what is in force as it is, since it is shown to others (client
//! secrets, the token of Vault); and what somebody has shown or sent over a connection, until its buffer is used again.

use super::{memory, plain};
use crate::harness::{ADMIN_TOKEN, Gateway, Setup, private};

/// A file with a secret, and what is put in its place.
struct Turned {
    file: &'static str,
    values: [&'static str; 2],
}

/// Of all of these something else is made, so that neither value has to stay.
const MADE_INTO_OTHERS: [Turned; 3] = [
    Turned { file: "admin.token", values: [ADMIN_TOKEN, "canary-mem-admin-two-0123456789abcdef"] },
    Turned { file: "hmac", values: ["canary-mem-hmac-one-0123456789abcdef", "canary-mem-hmac-two-0123456789abcdef"] },
    Turned { file: "nonce", values: ["canary-mem-nonce-one-0123456789abcde", "canary-mem-nonce-two-0123456789abcde"] },
];

const ROOT: &str = "canary-mem-root-0123456789abcdef0123";

/// The file is there before the gateway is, beside its folder.
fn with(setup: Setup, folder: &std::path::Path) -> Setup {
    for Turned { file, values } in MADE_INTO_OTHERS {
        private(&folder.join(file), values[0]);
    }
    private(&folder.join("root"), ROOT);
    let at = |name: &str| format!("${{file:{}/{name}}}", folder.display());
    setup
        .defence(&format!("assertion: {{ binding: reuse, key: \"{}\", database: {{}} }}", at("hmac")))
        .assertion(&format!("root: \"{}\"", at("root")))
        .settings(&format!("dpop: {{ nonce_secret: \"{}\" }}\n", at("nonce")))
}

/// Puts the second values in place and waits until they are in force.
fn turn(gateway: &Gateway, folder: &std::path::Path) {
    for Turned { file, values } in MADE_INTO_OTHERS {
        let folder = if file == "admin.token" { gateway.folder.path() } else { folder };
        private(&folder.join(file), values[1]);
    }
    let count = MADE_INTO_OTHERS.len() as f64;
    gateway.eventually("the second values are in force", || gateway.metric("cloister_secret_reload_total") == count);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_something_else_was_made_of_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = with(Gateway::test(), folder.path()).start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    turn(&gateway, folder.path());
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let memory = plain(&memory(gateway.process().id()));
    let all = MADE_INTO_OTHERS.iter().flat_map(|turned| turned.values).chain([ROOT]);
    let found: Vec<_> = all.filter(|value| memory.contains(*value)).collect();
    assert_eq!(found, Vec::<&str>::new(), "what is left behind");
    assert!(memory.contains("https://idp.example.test/"), "the memory was looked at");
}
