//! Tools that share no code with the gateway, one on Go's `sumdb/note`, verify what witnesses have signed.

use std::path::Path;
use std::process::Command;

use super::{Witness, asking, await_witnessed, trust};

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_others_verify_what_witnesses_have_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Witness::new(folder.path(), "one"), Witness::new(folder.path(), "two"));
    let gateway = asking(&[("one", one.port, &one.key), ("two", two.port, &two.key)], 2).start().await;
    gateway.get("acme", "/orders/1").await;
    let policy = trust(&gateway);
    one.start(&policy);
    two.start(&policy);
    await_witnessed(&gateway);
    let tlog = gateway.log().join("tlog");
    let ask = |tool: &[&str]| {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg("--witnesses").arg(&tlog).arg(&policy);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auditors"));
        let output = command
            .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("PYTHONDONTWRITEBYTECODE", "1")])
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for tool in [&["go", "run", "main.go"][..], &["python3", "auditor.py"]] {
        let (said, wrong) = ask(tool);
        assert_eq!(said, "2 of 2 witnesses have signed\n", "{tool:?}: {wrong}");
    }
}
