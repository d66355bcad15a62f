//! A tool that shares no code with the gateway, on Go's `sumdb/note`, verifies what witnesses have signed.

use std::path::Path;
use std::process::Command;

use super::{Witness, asking, await_witnessed, trust};

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_others_verifies_what_witnesses_have_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Witness::new(folder.path(), "one"), Witness::new(folder.path(), "two"));
    let gateway = asking(&[("one", one.port, &one.key), ("two", two.port, &two.key)], 2).start().await;
    gateway.get("acme", "/orders/1").await;
    let policy = trust(&gateway);
    one.start(&policy);
    two.start(&policy);
    await_witnessed(&gateway);
    let tlog = gateway.log().join("tlog");
    let ask = || {
        let mut command = Command::new("go");
        command.args(["run", "main.go", "--witnesses"]).arg(&tlog).arg(&policy);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auditors"));
        command.envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")]).output().unwrap()
    };
    let output = ask();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "2 of 2 witnesses have signed\n", "{}", String::from_utf8_lossy(&output.stderr));
}
