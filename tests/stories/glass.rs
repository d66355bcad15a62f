//! In an emergency people may do what their roles do not allow, if they say why; and what they said can be forgotten.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Answer, Gateway, POLICIES, run, verify};

const WARD: &str = r#"  - id: patients
    match: { host: "{tenant}.example.test", path: "/patients/{id}" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    owner: id
    allow: { GET: "patient:read", PUT: "patient:write" }
  - id: hidden
    match: { host: "{tenant}.example.test", path: "/hidden" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "patient:read" }
    deny_as: 404
"#;

const ROLES: &str = r#"roles:
  physician:
    allow: ["patient:read@own"]
    break_glass: { allow: ["patient:read"], justification: { header: X-Justification, min_length: 15 } }
"#;

const WHY: &str = "Canary: herzstillstand auf Station 3, übernehme";

async fn gateway() -> Gateway {
    Gateway::test().policies(&format!("{}{WARD}", POLICIES.replacen("roles:\n", ROLES, 1))).start().await
}

async fn ask(gateway: &Gateway, path: &str, why: &[&[u8]]) -> Answer {
    let token = gateway.token("acme", "ada", &["physician"]);
    let mut request = gateway.request("GET", "acme", path).bearer_auth(token).header("user-agent", "ward-pc/1");
    for why in why {
        request = request.header("x-justification", *why);
    }
    gateway.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_why_is_let_through_and_on_record_before_the_backend_hears_of_it() {
    let gateway = gateway().await;
    let answer = ask(&gateway, "/patients/bob", &[WHY.as_bytes()]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.request_id();
    let all = gateway.records(&["--id", &id, "--all"]);
    let stages: Vec<_> = all.all().iter().map(|record| record["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["decided", "final"], "the decision was on disk, on a route that promises less");
    for record in all.all() {
        assert_eq!(record["break_glass"], true, "{record}");
        assert!(record["rule"].as_str().unwrap().ends_with(" physician"), "{record}");
        assert!(record["pii"].is_string() && record["reason"] == "allowed", "{record}");
    }
    let own = ask(&gateway, "/patients/ada", &[WHY.as_bytes()]).await;
    assert!(gateway.records(&["--id", &own.request_id()]).of(&own.request_id()).get("break_glass").is_none());
    let found = gateway.records(&["--break-glass"]);
    assert_eq!(found.finals().len(), 1);
    let (_, metrics) = gateway.admin("/metrics");
    assert!(metrics.contains("cloister_break_glass_total{route=\"patients\"} 1"), "{metrics}");
    let seen = gateway.backend.seen();
    assert_eq!(seen.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_why_is_told_where_if_that_would_help_and_else_nothing() {
    let gateway = gateway().await;
    let long = [b'a'; 241];
    for (why, problem) in [
        (&[][..], "missing"),
        (&[&b"  because  "[..]][..], "too_short"),
        (&[&b"a justification\twith a tab"[..]][..], "control"),
        (&[&b"a justification \xfc latin-1"[..]][..], "unreadable"),
        (&[&long[..]][..], "too_long"),
        (&[WHY.as_bytes(), WHY.as_bytes()][..], "unreadable"),
    ] {
        let answer = ask(&gateway, "/patients/bob", why).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (403, "policy.justification"), "{problem}");
        let body: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(body["code"], "justification_required");
        let wanted = &body["justification"];
        assert_eq!((&wanted["header"], &wanted["problem"]), (&"x-justification".into(), &problem.into()), "{body}");
        assert_eq!((&wanted["min_length"], &wanted["max_bytes"]), (&15.into(), &240.into()), "{body}");
        assert!(!answer.text().contains("justification \u{fffd}"), "what was said does not come back");
    }
    let nurse = gateway.token("acme", "eve", &["viewer"]);
    let request =
        gateway.request("GET", "acme", "/patients/bob").bearer_auth(nurse).header("x-justification", WHY.as_bytes());
    let answer = gateway.send(request).await;
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (403, "policy.denied"));
    assert!(!answer.text().contains("justification"), "{}", answer.text());
    let answer = ask(&gateway, "/hidden", &[]).await;
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (404, "policy.justification"));
    assert!(!answer.text().contains("justification"), "{}", answer.text());
    assert_eq!(gateway.backend.seen().len(), 0);
}

/// Every byte of every file below.
fn bytes(folder: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes(&path) } else { std::fs::read(&path).unwrap_or_default() });
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_nowhere_in_the_clear_is_exported_and_is_gone_with_the_person() {
    let gateway = gateway().await;
    let answer = ask(&gateway, "/patients/bob", &[WHY.as_bytes()]).await;
    assert_eq!(answer.status, 200);
    gateway.records(&["--id", &answer.request_id()]).of(&answer.request_id());
    let state = bytes(&gateway.folder.path().join("state"));
    assert!(!state.windows(6).any(|window| window == b"Canary") && !gateway.said().contains("Canary"));
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let privacy = |what: &str, more: &[&str]| {
        let whom =
            ["privacy", what, "--tenant", "acme", "--issuer", "main", "--subject", "ada", "--reason", "an audit"];
        run(&[&whom[..], more, &["--config", &config]].concat(), gateway.folder.path())
    };
    let archive = gateway.folder.path().join("ada.tar").display().to_string();
    let (code, _, error) = privacy("export", &["--out", &archive]);
    assert_eq!(code, 0, "{error}");
    let out = Command::new("tar").args(["-xOf", &archive, "personal.jsonl"]).output().unwrap().stdout;
    let personal = String::from_utf8(out).unwrap();
    assert_eq!(personal.lines().count(), 2, "of the decision and of the end");
    for line in personal.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["justification"], &line["user_agent"]), (&WHY.into(), &"ward-pc/1".into()));
    }
    assert_eq!(privacy("erase", &[]).0, 0);
    assert_ne!(privacy("export", &["--out", &format!("{archive}.2")]).0, 0, "nobody knows any more whose it was");
    assert_eq!(verify(gateway.log()).0, 0);
}
