//! What a change of the policy files would do is known before it does it.

use serde_json::Value;

use crate::harness::{Gateway, POLICIES, run};

/// Runs a command that compares, and answers what it says.
fn compare(gateway: &Gateway, arguments: &[&str]) -> (i32, Value) {
    let folder = gateway.folder.path();
    let arguments = [arguments, &["--config", "cloister.yaml", "--format", "json"]].concat();
    let (code, out, err) = run(&arguments, folder);
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}

fn to_come(gateway: &Gateway, from: &str, to: &str) {
    assert!(POLICIES.contains(from));
    let folder = gateway.folder.path().join("to-come");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("policy.yaml"), POLICIES.replace(from, to)).unwrap();
}

/// What `replay` says of recorded requests is what the same requests get when the files are in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_what_the_same_requests_would_get() {
    let gateway = Gateway::test().start().await;
    let people = [("ada", "clerk"), ("bob", "viewer"), ("eve", "auditor"), ("joe", "nobody")];
    let requests = [("GET", "/orders/1"), ("POST", "/orders/1"), ("POST", "/strict/1"), ("GET", "/nowhere")];
    let ask = async || {
        let mut statuses = Vec::new();
        for (user, role) in people {
            let token = gateway.token("acme", user, &[role]);
            for (method, path) in requests {
                let answer = gateway.send(gateway.request(method, "acme", path).bearer_auth(&token)).await;
                statuses.push(answer.status < 400);
            }
        }
        statuses
    };
    let before = ask().await;
    let log = gateway.log().display().to_string();
    let committed = gateway.records(&[]).finals().len();
    to_come(&gateway, r#"viewer: { allow: ["order:read"] }"#, r#"viewer: { allow: ["order:write"] }"#);
    let (code, said) = compare(&gateway, &["replay", &log, "to-come", "--policies", "policies"]);
    gateway.reload(&std::fs::read_to_string(gateway.folder.path().join("to-come/policy.yaml")).unwrap());
    let after = ask().await;
    let count = |was: bool, is: bool| before.iter().zip(&after).filter(|(b, a)| (**b, **a) == (was, is)).count();
    assert_eq!(code, 1, "{said}");
    assert_eq!(
        (&said["newly_allowed"], &said["newly_denied"]),
        (&count(false, true).into(), &count(true, false).into())
    );
    assert_eq!((count(false, true), count(true, false)), (2, 3), "{said}");
    assert_eq!((&said["requests"], &said["unknown"]), (&committed.into(), &0.into()), "{said}");
    let changes = said["changes"].as_array().unwrap();
    assert!(changes[0]["would_be"] == "allowed" && changes[0]["was"] == "policy.denied", "{said}");
    assert!(changes.iter().all(|change| change["tenant"] == "acme" && change["sub"].as_str().unwrap().len() == 18));

    let (code, same) = compare(&gateway, &["replay", &log, "policies", "--policies", "policies"]);
    assert_eq!(
        (code, &same["newly_denied"]),
        (1, &3.into()),
        "the first half was recorded under the files of before: {same}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_says_who_gains_and_who_loses() {
    let gateway = Gateway::test().start().await;
    to_come(&gateway, r#"deny: ["order:write"]"#, r#"deny: ["order:read"]"#);
    let (code, said) = compare(&gateway, &["diff", "policies", "to-come"]);
    assert_eq!((code, &said["gains"], &said["loses"]), (1, &3.into(), &3.into()), "{said}");
    assert_eq!(said["changes"][0]["who"], "role auditor");
    let (code, said) = compare(&gateway, &["diff", "policies", "policies"]);
    assert_eq!((code, &said["changes"]), (0, &Value::Array(Vec::new())));
    let (code, out, err) = run(&["diff", "policies", "to-come", "--config", "cloister.yaml"], gateway.folder.path());
    assert!(code == 1 && out.contains("loses  role auditor  GET,HEAD {tenant}.example.test/orders/**"), "{out}{err}");
}
