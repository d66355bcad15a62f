//! A report and its records are what the published schemas say, by a validator of others.

use std::path::Path;
use std::process::Command;

use super::report;
use crate::harness::Gateway;

/// Whether the files are as the schema of this name says, and what the validator says of them.
fn valid(schema: &str, files: &[&Path]) -> (bool, String) {
    let target = Path::new(env!("CARGO_BIN_EXE_cloister")).parent().and_then(Path::parent).unwrap();
    let output = Command::new(target.join("tools/clients/venv/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/valid.py"))
        .arg(format!("{}/config/{schema}", env!("CARGO_MANIFEST_DIR")))
        .args(files)
        .output()
        .expect("the environment of the clients, which `tests/run` installs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_and_every_record_of_it_are_as_the_published_schemas_say() {
    let gateway = Gateway::test().start().await;
    for path in ["/orders/1", "/nowhere", "/strict/1", "/limited"] {
        gateway.get("acme", path).await;
    }
    gateway.send(gateway.request("GET", "acme", "/orders/1")).await;
    gateway.records(&[]);
    let (out, _) = report(&gateway, "acme", "report");
    let (is_valid, said) = valid("report.schema.json", &[&out.join("report.json")]);
    assert!(is_valid && said.contains("1 documents"), "{said}");
    let (is_valid, said) = valid("record.schema.json", &[&out.join("records.jsonl")]);
    assert!(is_valid && !said.starts_with("0 documents"), "{said}");

    // What is not as it says is found: else the above says nothing.
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    let other = out.join("other.json");
    std::fs::write(&other, text.replacen("\"requests\": ", "\"requests\": -", 1)).unwrap();
    let (is_valid, said) = valid("report.schema.json", &[&other]);
    assert!(!is_valid && said.contains("requests"), "{said}");
}
