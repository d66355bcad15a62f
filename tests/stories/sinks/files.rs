use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_what_the_log_holds_after_the_end_of_the_gateway_and_a_rotation() {
    let sink = "{ name: file, file: { path: FOLDER/audit.jsonl }, batch: { wait: 10ms } }";
    let mut gateway = Gateway::test().sink(sink).start().await;
    let (path, rotated) = (gateway.folder.path().join("audit.jsonl"), gateway.folder.path().join("audit.jsonl.1"));
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("the record is in the file", || lines(&path) == records(&gateway));
    std::fs::rename(&path, &rotated).unwrap();
    gateway.get("acme", "/orders/2").await;
    gateway
        .eventually("the record is in the new file", || [lines(&rotated), lines(&path)].concat() == records(&gateway));
    assert_eq!(gateway.metric("cloister_audit_sink_lag_records"), 0.0);
    assert!(gateway.metric("cloister_audit_sink_delivered_total") > 2.0);
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let all: Vec<_> = audit::Reader::open(gateway.log()).unwrap().map(|it| it.unwrap().json).collect();
    let arrived = [lines(&rotated), lines(&path)].concat();
    assert!(arrived.iter().map(String::as_bytes).eq(all.iter().map(Vec::as_slice)), "{arrived:#?}");
    assert_eq!(json(arrived.last().unwrap())["kind"], "log.closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_a_file_goes_on_where_it_was_and_after_an_upgrade_too() {
    let sink = "{ name: file, file: { path: FOLDER/audit.jsonl }, batch: { wait: 10ms } }";
    let mut gateway = Gateway::test().sink(sink).start().await;
    let path = gateway.folder.path().join("audit.jsonl");
    for round in 0..5 {
        for _ in 0..20 {
            gateway.get("acme", "/orders/1").await;
        }
        if round < 4 {
            gateway.process().signal("KILL");
            gateway.process().wait();
            gateway.start_again();
        }
    }
    let mut before = gateway.upgrade();
    gateway.get("acme", "/orders/1").await;
    assert!(before.wait().success());
    gateway.eventually("everything is in the file", || once(lines(&path)) == records(&gateway));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_rendered_as_the_sink_says_with_their_place_in_the_log() {
    let gateway = Gateway::test()
        .sink("{ name: ocsf, rendering: ocsf, file: { path: FOLDER/ocsf }, batch: { wait: 10ms } }")
        .sink("{ name: cef, rendering: cef, tenants: [acme], file: { path: FOLDER/cef }, batch: { wait: 10ms } }")
        .start()
        .await;
    let served = gateway.get("acme", "/orders/1").await;
    gateway.get("globex", "/orders/1").await;
    gateway.send(gateway.request("GET", "acme", "/orders/1")).await;
    let path = |name: &str| gateway.folder.path().join(name);
    gateway.eventually("all events are there", || lines(&path("ocsf")).len() == records(&gateway).len());
    gateway.eventually("those of one tenant are there", || !lines(&path("cef")).is_empty());
    let records = records(&gateway);
    for (index, (event, record)) in lines(&path("ocsf")).iter().zip(&records).enumerate() {
        let (event, record) = (json(event), json(record));
        let (at, is_refused) = (&event["unmapped"]["cloister"], record["reason"] == "auth.missing");
        assert_eq!(at["leaf_index"], index);
        let class = match (record["kind"].as_str(), is_refused) {
            (Some(kind), _) if kind.starts_with("log.") => 6002,
            (Some(_), _) => 3004,
            (None, true) => 3002,
            (None, false) => 6003,
        };
        assert_eq!(event["class_uid"], class, "{record}");
    }
    let events = lines(&path("cef"));
    assert!(
        events.iter().all(|event| event.starts_with("CEF:0|Cloister|") && event.contains("cs1=acme")),
        "{events:?}"
    );
    assert!(events.iter().any(|event| event.contains(&served.request_id())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_whose_file_cannot_be_written_says_why_and_no_request_waits_for_it() {
    let gateway =
        Gateway::test().sink("{ name: lost, file: { path: /dev/full }, batch: { wait: 10ms } }").start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    gateway.eventually("it fails", || gateway.metric("cloister_audit_sink_failing") == 1.0);
    assert!(
        gateway
            .admin("/metrics")
            .1
            .contains("cloister_audit_sink_failing{sink=\"lost\",why=\"local\",class=\"default\"} 1")
    );
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert!(gateway.said().contains("/dev/full"), "{}", gateway.said());
    assert!(gateway.metric("cloister_audit_sink_lag_records") > 0.0);
}

#[test]
fn what_is_wrong_with_sinks_is_said_all_at_once_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = crate::harness::config_text(folder.path());
    let sinks = "audit:\n  sinks:\n    - name: Siem\n      file: { path: out }\n    - { name: a, stdout: {}, file: { path: /a } }\n    \
                 - { name: b }\n    - { name: c, stdout: {}, rendring: ocsf }\n    - { name: d, file: { path: /a }, batch: { records: 0 } }\n    \
                 - { name: d, file: { path: /a }, tenants: [] }\n  directory:";
    let text = text.replace("audit: { directory:", sinks);
    let text = text.lines().map(|line| match line.strip_prefix("  directory:") {
        Some(rest) => format!("  directory:{}", rest.trim_end_matches(" }")),
        None => line.to_owned(),
    });
    let text = text.collect::<Vec<_>>().join("\n");
    let config = folder.path().join("cloister.yaml");
    std::fs::write(&config, &text).unwrap();
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let config = config.display().to_string();
    let (code, out, err) = crate::harness::run(&["check", "--config", &config, "--policies", policies], folder.path());
    assert_eq!(code, 2, "{text}\n{out}{err}");
    let said = format!("{out}{err}");
    for part in [
        "the name of a sink has 1 to 32 small letters",
        "the path of a file begins with `/`",
        "a sink has one place where records go",
        "nothing says where the records go",
        "unknown key `rendring`",
        "did you mean `rendering`",
        "from 1 to 10000",
        "records of nobody would go there",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}
