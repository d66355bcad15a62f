//! A log that was found to be another one is not gone on with, until all of it is shown to be right again.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Gateway, run};

fn recheck(gateway: &Gateway, why: &str) -> (i32, String) {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let asking = || run(&["audit", "recheck", "--reason", why, "--config", &config], Path::new("/"));
    let (code, out, err) = tokio::task::block_in_place(asking);
    (code, out + &err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_doubts_its_log_serves_again_once_all_of_it_was_shown_to_be_right() {
    let mut gateway = Gateway::test().start().await;
    for number in 0..300 {
        gateway.get("acme", &format!("/orders/{number}")).await;
    }
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    // Far from the edge of the log, where a start does not look.
    let file = gateway.log().join("tlog/tile/entries/000");
    let good = fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&file, &bad).unwrap();
    gateway.start_again_by(Command::new("env"));
    gateway.admin = gateway.process().address("admin");
    gateway.eventually("it has found that", || gateway.metric("cloister_audit_reread_differences") > 0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 503);

    let (code, said) = recheck(&gateway, "is it still so?");
    assert!(code == 1 && said.contains("not as it must be: 1"), "{said}");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 503);
    fs::write(&file, &good).unwrap();
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 503, "that it looks well again is not enough");
    let (code, said) = recheck(&gateway, "the file was put back");
    assert!(code == 0 && said.contains("are what was signed for"), "{said}");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert_eq!(gateway.metric("cloister_audit_reread_differences"), 0.0);
    let records = gateway.records(&["--all"]);
    let said = records.all().iter().filter(|record| record["kind"] == "log.rechecked");
    let said: Vec<_> =
        said.map(|it| (it["by"].as_str().unwrap(), it["found"].as_u64(), it["count"].as_u64())).collect();
    assert_eq!(said, [("schedule", Some(1), Some(0)), ("command", Some(1), Some(0)), ("command", Some(0), Some(1))]);
}
