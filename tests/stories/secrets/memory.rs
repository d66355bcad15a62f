//! What is not in the memory of a gateway that runs: secrets that were replaced, or of which something else was made.
//!
//! What remains, and is not looked for: variables of the environment, which the system keeps as they were given; and what is in
//! force as it is, since it is shown to others (client secrets, passwords of Redis and of the directory, the token of Vault).

use crate::harness::{ADMIN_TOKEN, Gateway, PASSWORD, Postgres, Redis, Setup, memory, private};

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
    let memory = memory(gateway.process().id());
    let all = MADE_INTO_OTHERS.iter().flat_map(|turned| turned.values).chain([ROOT]);
    let found: Vec<_> = all.filter(|value| memory.contains(*value)).collect();
    assert_eq!(found, Vec::<&str>::new(), "what is left behind");
    assert!(memory.contains("https://idp.example.test/"), "the memory was looked at");
}

/// The clients of libraries hold the password that they log in with, and let go of the one before.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_were_replaced_are_left_in_no_buffer_of_any_client() {
    const REDIS: [&str; 2] = ["canary-mem-redis-one-0123456789", "canary-mem-redis-two-0123456789"];
    const NEXT: &str = "canary-mem-postgres-two-0123456789";
    let (redis, postgres) = (Redis::start(), Postgres::start().holding_members());
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    redis.say(None, &["ACL", "SETUSER", "default", "resetpass", &format!(">{}", REDIS[0])]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis");
    private(&file, REDIS[0]);
    let settings = redis.settings_with(&format!(", password: \"${{file:{}}}\"", file.display()));
    let settings = settings + &postgres.settings("");
    let mut gateway = Gateway::test().members("directory").settings(&settings).start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);

    redis.say(Some(REDIS[0]), &["ACL", "SETUSER", "default", &format!(">{}", REDIS[1])]);
    postgres.sql(&format!("ALTER ROLE cloister PASSWORD '{NEXT}'"));
    private(&file, REDIS[1]);
    private(&postgres.password_file(), NEXT);
    gateway.eventually("both are taken over", || gateway.metric("cloister_secret_reload_total") == 2.0);
    redis.say(Some(REDIS[1]), &["ACL", "SETUSER", "default", &format!("<{}", REDIS[0])]);
    redis.say(Some(REDIS[1]), &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    redis.say(Some(REDIS[1]), &["CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"]);
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cloister'");
    gateway.eventually("it is well again", || {
        let (status, said) = gateway.admin("/readyz");
        status == 200 && !said.contains("Redis") && gateway.metric("cloister_directory_hears") == 1.0
    });
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let memory = memory(gateway.process().id());
    let left: Vec<_> = [REDIS[0], PASSWORD].into_iter().filter(|value| memory.contains(value)).collect();
    assert_eq!(left, Vec::<&str>::new(), "what is left behind");
    assert!(memory.contains(REDIS[1]) && memory.contains(NEXT), "the memory was looked at");
}
