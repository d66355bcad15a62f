//! What the audit log holds of persons, and that it can be destroyed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Gateway, run, verify};

mod shared;
mod slow;

const AGENT: &str = "canary-agent/1.0 (of-ada)";

/// Runs `cloister …` with the configuration of the gateway.
fn command(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    run(&[arguments, &["--config", &config]].concat(), gateway.folder.path())
}

/// `cloister privacy WHAT` about a user of acme.
fn privacy(gateway: &Gateway, what: &[&str], user: &str, more: &[&str]) -> (i32, String, String) {
    let whom = ["--tenant", "acme", "--issuer", "main", "--subject", user];
    command(gateway, &[&["privacy"], what, &whom, more].concat())
}

/// The name that the log has for a user of acme, if it has one.
fn name(gateway: &Gateway, user: &str) -> Option<String> {
    let (code, out, said) = privacy(gateway, &["hash"], user, &[]);
    assert!(code == 0 || code == 1, "{said}");
    (code == 0).then(|| out.trim().to_owned())
}

async fn ask(gateway: &Gateway, user: &str, path: &str) -> Value {
    let token = gateway.token("acme", user, &["viewer"]);
    let request = gateway.request("GET", "acme", path).bearer_auth(token).header("user-agent", AGENT);
    let answer = gateway.send(request).await;
    let id = answer.request_id();
    gateway.records(&["--id", &id]).of(&id).clone()
}

/// Every file below, with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            let mut bytes = std::fs::read(&path).unwrap_or_default();
            bytes.retain(|byte| *byte != 0); // lanes are mostly that, and nothing that is looked for has any
            found.push((path, bytes));
        }
    }
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_in_no_file_any_more_and_every_proof_holds() {
    let gateway = Gateway::test().start().await;
    let (ada, denied) = (ask(&gateway, "canary-ada", "/orders/1").await, ask(&gateway, "canary-ada", "/limited").await);
    let bob = ask(&gateway, "bob", "/orders/1").await;
    let sub = ada["sub"].as_str().unwrap().to_owned();
    assert!(sub.starts_with("s_") && denied["sub"] == ada["sub"] && bob["sub"] != ada["sub"]);
    assert!(ada["pii"].as_str().unwrap().starts_with("v1.xc20p.") && ada["ip"] == "127.0.0.0/24");
    assert_eq!(name(&gateway, "canary-ada").as_ref(), Some(&sub));
    let out = gateway.folder.path().join("proof");
    let id = ada["id"].as_str().unwrap().to_owned();
    gateway.eventually("there is a proof", || {
        command(&gateway, &["audit", "proof", "--id", &id, "--out", &out.display().to_string()]).0 == 0
    });
    let trust = gateway.folder.path().join("trust.policy");
    std::fs::write(&trust, command(&gateway, &["audit", "trust"]).1).unwrap();

    let reason = ["--reason", "article 17", "--request-ref", "T-42"];
    let (code, said, error) =
        privacy(&gateway, &["erase"], "canary-ada", &[&reason[..], &["--format", "json"]].concat());
    assert_eq!(code, 0, "{error}");
    let receipt: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((receipt["erased"].as_str(), &receipt["request_ref"]), (Some(sub.as_str()), &"T-42".into()));
    let records = gateway.records(&["--kind", "subject.erased"]);
    let [record] = records.all() else { panic!("{records:?}") };
    assert_eq!((&record["sub"], &record["tenant"]), (&ada["sub"], &"acme".into()));
    assert_eq!(
        (&record["why"], &record["ref"], &record["dek"]),
        (&"article 17".into(), &"T-42".into(), &receipt["key"])
    );
    let index = receipt["record"].as_u64().expect("a gateway has put it on record").to_string();
    gateway
        .eventually("the erasure can be proved", || command(&gateway, &["audit", "proof", "--index", &index]).0 == 0);

    assert_eq!(name(&gateway, "canary-ada"), None);
    let again = ask(&gateway, "canary-ada", "/orders/1").await;
    assert!(again["sub"] != ada["sub"] && again["sub"].as_str().unwrap().starts_with("s_"), "{again}");
    assert_eq!(ask(&gateway, "bob", "/orders/1").await["sub"], bob["sub"]);
    assert_eq!(privacy(&gateway, &["erase"], "canary-ada", &["--reason", "again"]).0, 0);
    assert_eq!(privacy(&gateway, &["erase"], "canary-ada", &["--reason", "again"]).0, 1);

    assert_eq!(verify(gateway.log()).0, 0, "the log is whole");
    let proofs: Vec<_> = files(&out).into_iter().map(|(path, _)| path.display().to_string()).collect();
    let of = |end: &str| proofs.iter().find(|path| path.ends_with(end)).unwrap().as_str();
    let policy = trust.display().to_string();
    let given = ["audit", "verify", "--policy", &policy, "--proof", of(".tlog-proof"), "--record", of(".json")];
    assert_eq!(run(&given, gateway.folder.path()).0, 0, "the proof of an erased person's record");
    let key = receipt["key"].as_str().unwrap();
    for (path, bytes) in files(&gateway.folder.path().join("state")) {
        for gone in [sub.as_str(), key, "canary-ada"] {
            assert!(!holds(&bytes, gone), "`{gone}` is in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_leaves_the_gateway_its_vault() {
    let mut gateway = Gateway::test().start().await;
    ask(&gateway, "ada", "/orders/1").await;
    assert!(name(&gateway, "ada").is_some());
    // What the gateway writes from now on is where the next one finds it, also after a kill.
    let bob = ask(&gateway, "bob", "/orders/1").await;
    gateway.process().signal("KILL");
    gateway.process().wait();
    assert_eq!(name(&gateway, "bob").as_deref(), bob["sub"].as_str());
    gateway.start_again();
    assert_eq!(ask(&gateway, "bob", "/orders/1").await["sub"], bob["sub"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_rotated_beside_a_gateway_which_goes_on_with_the_new_one() {
    let mut gateway = Gateway::test().start().await;
    let ada = ask(&gateway, "ada", "/orders/1").await;
    assert_eq!(privacy(&gateway, &["hold", "add"], "later", &["--reason", "case 7"]).0, 0);
    let key = gateway.folder.path().join("state/subjects.key");
    let old = std::fs::read(&key).unwrap();
    let (code, said, error) = command(&gateway, &["privacy", "rotate-root", "--reason", "every year"]);
    assert!(code == 0 && said.contains("the keys of 1 person"), "{said}{error}");
    assert!(std::fs::read(&key).unwrap() != old && !key.with_extension("key.next").exists());
    // Whom it remembers, whom it does not, and who is new.
    assert_eq!(ask(&gateway, "ada", "/orders/1").await["sub"], ada["sub"]);
    let new = ask(&gateway, "bob", "/orders/1").await;
    assert_eq!(name(&gateway, "bob").as_deref(), new["sub"].as_str());
    assert_eq!(privacy(&gateway, &["erase"], "later", &["--reason", "article 17"]).0, 4, "a hold outlives the root");
    gateway.eventually("it is on record", || gateway.records(&["--kind", "vault.root_rotated"]).all().len() == 1);
    assert_eq!(gateway.records(&["--kind", "vault.root_rotated"]).all()[0]["why"], "every year");
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    gateway.start_again();
    assert_eq!(ask(&gateway, "ada", "/orders/1").await["sub"], ada["sub"]);
    assert_eq!(privacy(&gateway, &["erase"], "ada", &["--reason", "article 17"]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_all_there_is_of_a_person_and_anybody_can_check_it() {
    let gateway = Gateway::test().start().await;
    let mine = [ask(&gateway, "ada", "/orders/1").await, ask(&gateway, "ada", "/strict/1").await];
    ask(&gateway, "bob", "/orders/1").await;
    let archive = gateway.folder.path().join("ada.tar").display().to_string();
    let order = ["--reason", "article 15", "--out", &archive];
    let (code, said, error) = privacy(&gateway, &["export"], "ada", &order);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("has 2 records"), "{said}"); // the strict route's was denied
    assert_eq!(privacy(&gateway, &["export"], "ada", &order).0, 2, "nothing is written over");
    let out = gateway.folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    assert!(Command::new("tar").args(["-xf", &archive, "-C"]).arg(&out).status().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!((&manifest["sub"], &manifest["subject"]), (&mine[0]["sub"], &"ada".into()));
    let sums: String = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| format!("{}  {}\n", file["sha256"].as_str().unwrap(), file["name"].as_str().unwrap()))
        .collect();
    std::fs::write(out.join("sums"), sums).unwrap();
    assert!(Command::new("sha256sum").args(["-c", "--quiet", "sums"]).current_dir(&out).status().unwrap().success());
    let mut ids = HashSet::new();
    for (path, bytes) in files(&out.join("records")) {
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        ids.insert(record["id"].as_str().unwrap().to_owned());
        let number = path.file_stem().unwrap().to_str().unwrap();
        let given = ["audit", "verify", "--policy", "trust.policy", "--proof"];
        let (proof, record) = (format!("proofs/{number}.tlog-proof"), format!("records/{number}.json"));
        assert_eq!(run(&[&given[..], &[&proof, "--record", &record]].concat(), &out).0, 0);
    }
    assert_eq!(ids, mine.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect());
    let personal: Vec<Value> = read("personal.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(personal.len(), 2);
    assert!(personal.iter().all(|it| it["client_ip"] == "127.0.0.1" && it["user_agent"] == AGENT), "{personal:?}");
    let sha256 = Command::new("sha256sum").arg(out.join("manifest.json")).output().unwrap().stdout;
    let sha256 = String::from_utf8(sha256[..64].to_vec()).unwrap();
    let note: tlog::Note = read("manifest.note").parse().unwrap();
    assert_eq!(note.text(), format!("cloister/privacy-export/v1\nsha256 {sha256}\n"));
    let trust: tlog::TrustPolicy = read("trust.policy").parse().unwrap();
    assert!(tlog::Checkpoint::of(&note).is_err(), "what is signed is no checkpoint");
    let [key] = trust.logs() else { panic!("{trust:?}") };
    assert_eq!(note.verify(std::iter::once(key)).unwrap().len(), 1);
    gateway.eventually("it is on record", || {
        let records = gateway.records(&["--kind", "subject.exported"]);
        records.all().iter().any(|record| record["sha256"] == sha256.as_str() && record["count"] == 2)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_persons_and_tenants_from_being_erased_and_the_attempt_is_on_record() {
    let gateway = Gateway::test().start().await;
    let ada = ask(&gateway, "ada", "/orders/1").await;
    let reason = ["--reason", "case 7"];
    let (code, said, error) = privacy(&gateway, &["hold", "add"], "ada", &reason);
    assert!(code == 0 && said.contains("Hold 1"), "{said}{error}");
    for attempt in [
        privacy(&gateway, &["erase"], "ada", &reason),
        command(&gateway, &["privacy", "off-board", "--tenant", "acme", "--reason", "left"]),
    ] {
        assert_eq!(attempt.0, 4, "{attempt:?}");
        assert!(attempt.2.contains("hold 1 forbids it") && attempt.2.contains("case 7"), "{attempt:?}");
    }
    assert_eq!(name(&gateway, "ada").as_deref(), ada["sub"].as_str());
    let (_, list, _) = command(&gateway, &["privacy", "hold", "list", "--format", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["sub"], &list[0]["reason"]), (&ada["sub"], &"case 7".into()));
    assert_eq!(command(&gateway, &["privacy", "hold", "remove", "1", "--reason", "closed"]).0, 0);
    assert_eq!(command(&gateway, &["privacy", "hold", "remove", "1", "--reason", "closed"]).0, 1);
    assert_eq!(command(&gateway, &["privacy", "off-board", "--tenant", "acme", "--reason", "left"]).0, 0);
    assert_eq!(name(&gateway, "ada"), None);
    let since = Instant::now(); // the gateway looks five times a second
    while ask(&gateway, "ada", "/orders/1").await["sub"] == ada["sub"] {
        assert!(since.elapsed() < Duration::from_secs(1), "the gateway still knows the person");
    }
    let kinds =
        ["hold.added", "subject.erase_refused", "tenant.off_board_refused", "hold.removed", "tenant.off_boarded"];
    for kind in kinds {
        gateway.eventually("it is on record", || gateway.records(&["--kind", kind]).all().len() == 1);
    }
    let refused = gateway.records(&["--kind", "subject.erase_refused"]).all()[0].clone();
    assert_eq!((&refused["hold"], &refused["sub"]), (&1.into(), &ada["sub"]));
    assert_eq!(gateway.records(&["--kind", "tenant.off_boarded"]).all()[0]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_vault_a_gateway_serves_no_member_and_says_so() {
    let mut gateway = Gateway::test().start().await;
    let ada = ask(&gateway, "ada", "/orders/1").await;
    let (vault, away) = (gateway.folder.path().join("state/subjects.db"), gateway.folder.path().join("away"));
    std::fs::rename(&vault, &away).unwrap();
    gateway.eventually("it is missed", || gateway.admin("/readyz").0 == 503);
    let refused = ask(&gateway, "ada", "/orders/1").await;
    assert_eq!((&refused["reason"], &refused["status"]), (&"audit.unavailable".into(), &503.into()));
    assert!(refused["tenant"] == "acme" && refused["sub"].is_null(), "{refused}");
    assert_eq!(gateway.send(gateway.request("GET", "acme", "/public/1")).await.status, 200);
    assert!(gateway.metric("cloister_subjects_up") == 0.0 && gateway.metric("cloister_subjects_failures_total") > 0.0);
    std::fs::rename(&away, &vault).unwrap();
    gateway.eventually("it is there again", || gateway.admin("/readyz").0 == 200);
    assert_eq!(ask(&gateway, "ada", "/orders/1").await["sub"], ada["sub"]);

    // It starts with no other, and none is made in its place.
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    std::fs::rename(&vault, &away).unwrap();
    let folder = gateway.folder.path().display().to_string();
    let (config, policies) = (format!("{folder}/cloister.yaml"), format!("{folder}/policies"));
    let start = ["run", "--config", &config, "--policies", &policies];
    let (code, _, said) = run(&start, gateway.folder.path());
    assert!(code == 2 && said.contains("subjects.db` is gone"), "{said}");
    assert!(!vault.exists());
    std::fs::rename(&away, &vault).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let other = gateway.folder.path().join("root");
    std::fs::write(&other, "another root, which is long enough").unwrap();
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let rooted = text.replacen("audit: {", &format!("audit: {{ privacy: {{ root: \"${{file:{folder}/root}}\" }},"), 1);
    assert_ne!(rooted, text);
    std::fs::write(&config, rooted).unwrap();
    let (code, _, said) = run(&start, gateway.folder.path());
    assert!(code == 2 && said.contains("audit.privacy.root"), "{said}");
    std::fs::write(&config, text).unwrap();
    gateway.start_again();
    assert_eq!(ask(&gateway, "ada", "/orders/1").await["sub"], ada["sub"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_from_a_backup_is_refused_until_it_is_mended() {
    let mut gateway = Gateway::test().start().await;
    let (ada, bob) = (ask(&gateway, "ada", "/orders/1").await, ask(&gateway, "bob", "/orders/1").await);
    let stop = |gateway: &mut Gateway| {
        gateway.process().signal("TERM");
        assert!(gateway.process().wait().success());
    };
    stop(&mut gateway);
    let state = gateway.folder.path().join("state");
    // All that lies there, as whoever backs it up must take it along.
    let files = ["subjects.db", "subjects.db-wal", "subjects.db-shm"];
    let backup = files.map(|file| std::fs::read(state.join(file)).ok());
    gateway.start_again();
    assert_eq!(privacy(&gateway, &["erase"], "ada", &["--reason", "article 17"]).0, 0);
    stop(&mut gateway);
    for (file, bytes) in files.iter().zip(backup) {
        drop(std::fs::remove_file(state.join(file)));
        if let Some(bytes) = bytes {
            std::fs::write(state.join(file), bytes).unwrap();
        }
    }
    let folder = gateway.folder.path().display().to_string();
    let (config, policies) = (format!("{folder}/cloister.yaml"), format!("{folder}/policies"));
    let (code, _, said) = run(&["run", "--config", &config, "--policies", &policies], gateway.folder.path());
    assert!(code == 2 && said.contains("was set back") && said.contains("cloister privacy mend"), "{said}");
    assert_eq!(privacy(&gateway, &["hash"], "ada", &[]).0, 2, "nor does a command believe it");
    let (code, said, error) = command(&gateway, &["privacy", "mend"]);
    assert!(code == 0 && said.contains("Erased again: 1 person"), "{said}{error}");

    // And from now on without anything personal.
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("audit: {", "audit: { privacy: { fields: [] },", 1)).unwrap();
    gateway.start_again();
    let again = ask(&gateway, "ada", "/orders/1").await;
    assert!(again["sub"] != ada["sub"] && again["pii"].is_null(), "{again}");
    assert_eq!(ask(&gateway, "bob", "/orders/1").await["sub"], bob["sub"]);
    gateway.eventually("it is on record again", || gateway.records(&["--kind", "subject.erased"]).all().len() == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_is_in_no_byte_that_is_kept() {
    let ours = "{ trusted_proxies: [\"127.0.0.1\"] }";
    let mut gateway = Gateway::test().clients(ours).start().await;
    let token = gateway.token("acme", "canary-subject", &["clerk"]);
    let good = |request: reqwest::RequestBuilder| {
        let request =
            request.bearer_auth(&token).header("user-agent", "canary-agent").header("cookie", "c=canary-cookie");
        let request = request.header("x-forwarded-for", "203.0.113.77").header("referer", "http://canary-referer/");
        request.header("x-canary", "canary-field").header("x-api-key-not", "canary-key").body("canary-body")
    };
    for (method, path) in [
        ("GET", "/orders/canary-path?q=canary-query"),
        ("POST", "/orders/canary-path?q=canary-query"),
        ("POST", "/strict/canary-path"),
        ("GET", "/limited?canary-query"),
        ("GET", "/nowhere/canary-path"),
        ("GET", "/public/canary-path?canary-query"),
    ] {
        gateway.send(good(gateway.request(method, "acme", path))).await;
        gateway.send(good(gateway.request(method, "globex", path))).await;
        gateway.send(gateway.request(method, "acme", path).bearer_auth("canary.bad.token")).await;
    }
    let exported = gateway.records(&[]);
    let sealed = exported.finals().iter().filter(|record| record["pii"].is_string()).count();
    assert!(sealed >= 4, "{exported:?}");
    let metrics = gateway.admin("/metrics").1;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let mut seen = files(gateway.log());
    seen.extend(files(&gateway.folder.path().join("state")));
    assert!(seen.iter().any(|(path, _)| path.ends_with("subjects.db")) && seen.len() > 8, "{seen:?}");
    seen.push(("metrics".into(), metrics.into_bytes()));
    seen.push(("what it said".into(), gateway.process().said().into_bytes()));
    let (head, signature) = token.rsplit_once('.').unwrap();
    let secrets = ["canary", "203.0.113.77", signature, head, "Y2FuYXJ5", "NhbmFye", "jYW5hcn", "63616e617279"];
    for secret in secrets {
        for (path, bytes) in &seen {
            assert!(!holds(bytes, secret), "`{secret}` is in {}", path.display());
        }
    }
    gateway.start_again();
}
