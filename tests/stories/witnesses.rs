//! Others have seen the log grow, and say so by their signature; and what they have seen cannot be taken back.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::post;

use crate::harness::{Gateway, Setup, run};

mod slow;

/// `cloister witness run`. It ends with its test.
struct Witness {
    folder: PathBuf,
    port: u16,
    key: String,
    child: Option<Child>,
}

impl Witness {
    /// Has a key and a place, and does not run yet.
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        let text = folder.display().to_string();
        let name = format!("witness.example/{name}");
        let (code, key, err) = run(&["witness", "key", "--dir", &text, "--name", &name], Path::new("/"));
        assert_eq!(code, 0, "{err}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port, key: key.trim_end().to_owned(), child: None }
    }

    fn start(&mut self, logs: &Path) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloister"));
        command.args(["witness", "run", "--dir"]).arg(&self.folder).arg("--logs").arg(logs);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// A gateway that asks these every second.
fn asking(witnesses: &[(&str, u16, &str)], quorum: u16) -> Setup {
    let seat = |(name, port, key): &(&str, u16, &str)| {
        format!("{{ name: {name}, url: \"http://127.0.0.1:{port}\", key: \"{key}\" }}")
    };
    let list: Vec<_> = witnesses.iter().map(seat).collect();
    let list = list.join(", ");
    Gateway::test().audit_settings(&format!("witnesses: {{ quorum: {quorum}, every: 1s, list: [{list}] }}"))
}

fn audit(gateway: &Gateway, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run(&[&["audit"], arguments].concat(), gateway.folder.path());
    (code, out + &err)
}

/// Whom auditors and witnesses are to trust.
fn trust(gateway: &Gateway) -> PathBuf {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let (code, policy) = audit(gateway, &["trust", "--config", &config]);
    assert_eq!(code, 0, "{policy}");
    let path = gateway.folder.path().join("trust");
    fs::write(&path, policy).unwrap();
    path
}

/// What is on record now has been seen by enough witnesses.
fn await_witnessed(gateway: &Gateway) {
    let records = gateway.metric("cloister_audit_records");
    gateway.eventually("enough witnesses have signed", || gateway.metric("cloister_witnessed_records") >= records);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_witnesses_is_enough_and_an_auditor_sees_which() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Witness::new(folder.path(), "one"), Witness::new(folder.path(), "two"));
    let gateway = asking(&[("one", one.port, &one.key), ("two", two.port, &two.key)], 1).start().await;
    gateway.get("acme", "/orders/1").await;
    let policy = trust(&gateway);
    let text = fs::read_to_string(&policy).unwrap();
    assert!(text.ends_with("group enough 1 one two\nquorum enough\n"), "{text}");
    let log = gateway.log().display().to_string();
    let policy_text = policy.display().to_string();
    let verify = || audit(&gateway, &["verify", "--dir", &log, "--policy", &policy_text]);
    gateway.eventually("there is a checkpoint", || gateway.metric("cloister_checkpoint_records") > 0.0);
    let (code, said) = verify();
    assert!(code == 26 && said.contains("too few of the policy's witnesses"), "nobody has seen it yet: {said}");

    one.start(&policy);
    await_witnessed(&gateway);
    let (code, said) = verify();
    assert!(code == 0 && said.contains("witness.example/one") && !said.contains("witness.example/two"), "{said}");
    two.start(&policy);
    gateway.eventually("both have signed", || verify().1.contains("witness.example/two"));
    // One that is killed, and comes back after the log has grown.
    one.kill();
    for number in 0..300 {
        gateway.get("acme", &format!("/orders/{number}")).await;
    }
    await_witnessed(&gateway);
    one.start(&policy);
    gateway.eventually("it has caught up", || {
        let (code, said) = verify();
        code == 0 && said.contains("witness.example/one")
    });
    // A receipt has what they have signed.
    let (code, receipt) = audit(&gateway, &["proof", "--dir", &log, "--index", "0"]);
    assert!(code == 0 && receipt.contains("witness.example/"), "{receipt}");
    // Without both the gateway goes on.
    one.kill();
    two.kill();
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert_eq!(gateway.metric("cloister_log_forks_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_set_back_with_all_that_guards_it_is_stopped_by_its_witness() {
    let folder = tempfile::tempdir().unwrap();
    let mut witness = Witness::new(folder.path(), "one");
    let mut gateway = asking(&[("one", witness.port, &witness.key)], 1).start().await;
    gateway.get("acme", "/orders/1").await;
    witness.start(&trust(&gateway));
    await_witnessed(&gateway);
    let stop = |gateway: &mut Gateway| {
        gateway.process().signal("TERM");
        assert!(gateway.process().wait().success());
    };
    stop(&mut gateway);
    let (log, state) = (gateway.log().to_path_buf(), gateway.folder.path().join("state"));
    let earlier = folder.path().join("earlier");
    let copy = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    };
    fs::create_dir(&earlier).unwrap();
    copy(&log, &earlier.join("log"));
    copy(&state, &earlier.join("state"));
    gateway.start_again();
    for number in 0..20 {
        gateway.get("acme", &format!("/orders/{number}")).await;
    }
    await_witnessed(&gateway);
    stop(&mut gateway);
    fs::remove_dir_all(&log).unwrap();
    fs::remove_dir_all(&state).unwrap();
    copy(&earlier.join("log"), &log);
    copy(&earlier.join("state"), &state);
    gateway.start_again();
    gateway.eventually("the witness says no", || gateway.metric("cloister_log_forks_total") >= 1.0);
    gateway.eventually("nobody is sent there any more", || gateway.admin("/readyz").0 == 503);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_that_are_slow_or_forge_hold_nothing_up_and_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut honest = Witness::new(folder.path(), "honest");
    let (silent, forger) = (Witness::new(folder.path(), "silent"), Witness::new(folder.path(), "forger"));
    let black_hole = TcpListener::bind(("127.0.0.1", silent.port)).unwrap(); // accepts, and never answers
    let answers = Router::new().route(
        "/add-checkpoint",
        post(async || "\u{2014} witness.example/forger AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n"),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", forger.port)).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move { axum::serve(listener, answers).await });
    let seats = [
        ("honest", honest.port, honest.key.as_str()),
        ("silent", silent.port, silent.key.as_str()),
        ("forger", forger.port, forger.key.as_str()),
    ];
    let gateway = asking(&seats, 1).start().await;
    let policy = trust(&gateway);
    honest.start(&policy);
    for number in 0..20 {
        assert_eq!(gateway.get("acme", &format!("/orders/{number}")).await.status, 200);
    }
    gateway.eventually_within(std::time::Duration::from_secs(40), "the honest one counts", || {
        gateway.metric("cloister_witnessed_records") > 0.0
    });
    assert!(gateway.metric("cloister_witness_failures_total") >= 2.0);
    let (code, said) = audit(
        &gateway,
        &["verify", "--dir", &gateway.log().display().to_string(), "--policy", &policy.display().to_string()],
    );
    assert!(code == 0 && !said.contains("forger") && !said.contains("silent"), "{said}");
    drop(black_hole);
}
