//! Tools of others follow the key, too.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{await_alone, rotate, trust};
use crate::harness::Gateway;
use crate::stories::auditors::slow::{ask, go, python};

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_others_follow_the_key_from_any_that_the_log_has_had() {
    let mut gateway = Gateway::test().audit_settings("key: { overlap: 1s }").start().await;
    gateway.get("acme", "/orders/1").await;
    let first = trust(&gateway, "first");
    for name in ["second", "third"] {
        let key = rotate(&gateway, &[]);
        gateway.get("acme", "/orders/1").await;
        await_alone(&gateway, &key);
        trust(&gateway, name);
    }
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let folder = gateway.log().join("tlog");
    let policy = |name: &str| gateway.folder.path().join(name);
    let both = |policy: &Path| -> [Result<String, String>; 2] {
        [go(), python()].map(|tool: Command| ask(tool, &folder, policy, &[]))
    };
    let said = both(&first);
    assert!(said[0].is_ok() && said[0] == said[1], "{said:?}");
    assert_eq!(both(&policy("second")), said);
    assert_eq!(both(&policy("third")), said);
    // Without what shows how the key has changed, the newest one is enough, and the first one shows nothing.
    fs::rename(folder.join("keys"), gateway.folder.path().join("keys")).unwrap();
    assert_eq!(both(&policy("third")), said);
    assert!(both(&first).iter().all(Result::is_err));
    // Both keys in one policy, as it is written by hand.
    let together = fs::read_to_string(&first).unwrap().replace("quorum none\n", "")
        + &fs::read_to_string(policy("third")).unwrap();
    fs::write(policy("together"), together).unwrap();
    assert_eq!(both(&policy("together")), said);
    fs::rename(gateway.folder.path().join("keys"), folder.join("keys")).unwrap();
    for file in fs::read_dir(folder.join("keys")).unwrap().map(|file| file.unwrap().path()) {
        let good = fs::read_to_string(&file).unwrap();
        // In the record that it carries.
        let at = good.find("extra ").unwrap() + 40;
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        fs::write(&file, bad).unwrap();
        assert!(both(&first).iter().all(Result::is_err), "{}", file.display());
        fs::write(&file, good).unwrap();
    }
}
