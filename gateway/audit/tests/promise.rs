use terms::Author;

use super::*;

#[test]
fn what_is_finished_is_read_back_as_it_was_and_satisfies_the_published_fields() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let sub = journal.pseudonym(&ISSUER, &"ada@example.com".parse().unwrap());
    let request = Entry { subject: Some(sub), ..entry(1) };
    journal.begin(&request).unwrap().finish(&outcome());
    let failed =
        Outcome { status: Some(502), reason: Some(Reason::UpstreamUnavailable), end: End::UpstreamFailed, ..outcome() };
    journal.begin(&entry(2)).unwrap().finish(&failed);
    journal.whole(&refusal(3), &outcome()).unwrap();
    drop(journal.begin(&entry(4)).unwrap());
    let new = Digest::from([1; 32]);
    let what = Files::Policy;
    journal.note(&Note::Changed { what, old: None, new, version: None, by: Cause::Unknown }).unwrap();
    let of_each = [
        TokensOf::Issuer(&ISSUER),
        TokensOf::Session(&ISSUER),
        TokensOf::Subject(&ISSUER, sub),
        TokensOf::Tenant(&TENANT),
        TokensOf::Token(&ISSUER),
    ];
    let by = [None, Some(Author::Admin), Some(Author::Command(1_000)), Some(Author::Issuer), None];
    for (of, by) in of_each.into_iter().zip(by) {
        journal.note(&Note::Tokens { turn: Turn::Revoked, of, before: Some(1_795_000_000), by }).unwrap();
    }
    let made = KeyChange {
        turn: KeyTurn::Rotated,
        key: "k2",
        replaces: Some("k1"),
        tenant: &TENANT,
        roles: "viewer clerk",
        expires: Some(1_795_000_000),
        by: Author::Command(1_000),
        done: 1_794_000_000,
    };
    journal.note(&Note::ApiKey(made)).unwrap();
    journal.note(&Note::ApiKey(KeyChange { turn: KeyTurn::Created, replaces: None, expires: None, ..made })).unwrap();
    journal.note(&Note::ApiKey(KeyChange { turn: KeyTurn::Revoked, replaces: None, ..made })).unwrap();
    journal.note(&Note::Secret { setting: "admin.token", refused: None, by: Cause::File(Some(1_000)) }).unwrap();
    journal
        .note(&Note::Secret { setting: "admin.token", refused: Some("it is empty"), by: Cause::File(None) })
        .unwrap();
    let causes = [
        Cause::Command(1_000),
        Cause::Schedule,
        Cause::Signal(Some(Sender { user: 1_000, process: 4_711 })),
        Cause::Signal(None),
        Cause::Start(0),
        Cause::Unknown,
    ];
    for by in causes {
        journal.note(&Note::Refused { what, old: Some(new), why: "line 3", by }).unwrap();
    }
    journal.note(&Note::KeyRotated { of: KeyOf::Log, old: Some("a+b+c"), new: "a+d+e", by: Cause::Schedule }).unwrap();
    journal.note(&Note::KeyRetired { old: "a+b+c", new: "a+d+e", checkpoint: "a\n7\nx\n\n\u{2014} a y\n" }).unwrap();
    journal
        .note(&Note::Retention { tenant: &TENANT, old: "default", new: "r6y", by: Cause::File(Some(1_000)) })
        .unwrap();
    let thread = start(committer); // now, so that all of it comes in one batch, in which the log's own records stand first
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(()));

    let records = records(&folder);
    let mut request = records.iter().find(|record| record["id"] == id(1).to_string()).unwrap().clone();
    let of_chain = ["tseq", "tprev", "salt"].map(|field| request.as_object_mut().unwrap().remove(field).unwrap());
    assert_eq!(
        of_chain[0], 6,
        "those that say what became of tokens, API keys and the class of the tenant stand before it"
    );
    let expected = serde_json::json!({
        "v": 1, "id": id(1).to_string(), "time": "2026-09-21T14:13:20.123Z", "stage": "final", "instance": "edge-1",
        "tenant": "acme", "sub": sub.as_str(), "iss": "main", "ip": "203.0.113.0/24", "method": "GET",
        "host": "acme.app.example.com", "proto": "1.1", "route": "invoices", "rule": "billing_reader",
        "policy": "abababababababab", "upstream": "billing", "us": 4, "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "decision": "allow", "reason": "allowed", "status": 200, "attempts": 1, "in": 0, "out": 512, "ms": 7,
        "end": "complete",
    });
    assert_eq!(request, expected);
    let failed = records.iter().find(|record| record["id"] == id(2).to_string()).unwrap();
    assert_eq!(failed["reason"], "upstream.unavailable");
    assert_eq!(failed["decision"], "allow");
    let ends = [(1, "complete"), (2, "upstream_failed"), (3, "complete"), (4, "abandoned")];
    assert_eq!(finals(&folder), ends.map(|(n, end)| (n, end.to_owned())));
    let kinds: Vec<_> = records.iter().filter_map(|record| record["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "log.opened",
            "policy.changed",
            "tokens.revoked",
            "tokens.revoked",
            "tokens.revoked",
            "tokens.revoked",
            "tokens.revoked",
            "api_key.rotated",
            "api_key.created",
            "api_key.revoked",
            "secret.changed",
            "secret.refused",
            "policy.refused",
            "policy.refused",
            "policy.refused",
            "policy.refused",
            "policy.refused",
            "policy.refused",
            "key.rotated",
            "key.retired",
            "retention.changed",
            "log.closed"
        ]
    );

    let report = verified(&folder);
    assert_eq!((report.records, report.finals, report.own, report.closed), (26, 4, 22, true));
    assert!(report.torn.is_none());
    let schema: Value = serde_json::from_str(record_schema()).unwrap();
    for record in &records {
        let fields = &schema["oneOf"][usize::from(record["kind"].is_string())];
        for (name, value) in record.as_object().unwrap() {
            let field = &fields["properties"][name];
            let allowed = field["enum"].as_array().is_none_or(|words| words.contains(value));
            assert!(field.is_object() && allowed, "{name}: {value}");
        }
        for name in fields["required"].as_array().unwrap() {
            assert!(record[name.as_str().unwrap()] != Value::Null, "{name} in {record}");
        }
    }
}

#[test]
fn a_subject_a_path_and_a_query_string_are_in_no_byte_of_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let thread = start(committer);
    let canary = "canary-4711";
    let sub = journal.pseudonym(&ISSUER, &canary.parse().unwrap());
    for n in 0..50 {
        let request = Entry { subject: Some(sub), client: Some("2001:db8:47:11:c0de::1".parse().unwrap()), ..entry(n) };
        journal.begin(&request).unwrap().finish(&outcome());
    }
    let open = journal.begin(&entry(99)).unwrap();
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    drop(open);
    thread.join().unwrap().unwrap();
    let audit = folder.path().join("audit");
    let mut looked_at = 0;
    for folder in [audit.clone(), audit.join("segments"), audit.join("lanes")] {
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() {
                let bytes = std::fs::read(&file).unwrap();
                looked_at += bytes.len();
                for secret in [canary.as_bytes(), b"c0de", b"203.0.113.77"] {
                    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file:?}");
                }
            }
        }
    }
    assert!(looked_at > 100_000);
    assert_eq!(records(&folder)[1]["ip"], "2001:0db8:0047::/48");
}

#[test]
fn a_query_finds_by_every_field_and_a_subject_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let thread = start(committer);
    let ada: terms::Subject = "ada".parse().unwrap();
    for n in 0..10 {
        let name = if n < 3 { "ada" } else { "eve" };
        let request = Entry {
            subject: Some(journal.pseudonym(&ISSUER, &name.parse().unwrap())),
            at: at() + Duration::from_secs(n),
            ..entry(n)
        };
        journal.begin(&request).unwrap().finish(&outcome());
    }
    journal.whole(&refusal(10), &outcome()).unwrap();
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    let directory = folder.path().join("audit");
    let count = |query: Query| query.run(&directory).unwrap().map(Result::unwrap).count();
    let all = Query::default();
    assert_eq!(count(all.clone()), 11);
    assert_eq!(count(Query { subject: Some(ada.clone()), ..all.clone() }), 3);
    assert_eq!(count(Query { subject: Some("bob".parse().unwrap()), ..all.clone() }), 0);
    assert_eq!(count(Query { tenant: Some("acme".parse().unwrap()), ..all.clone() }), 10);
    assert_eq!(count(Query { tenant: Some("globex".parse().unwrap()), ..all.clone() }), 0);
    assert_eq!(count(Query { reason: Some(Reason::AuthMissing), ..all.clone() }), 1);
    assert_eq!(count(Query { decision: Some(Decision::Deny), ..all.clone() }), 1);
    assert_eq!(count(Query { status: Some(404), ..all.clone() }), 0);
    assert_eq!(count(Query { route: Some("invoices".into()), limit: Some(4), ..all.clone() }), 4);
    let from = Some(at() + Duration::from_secs(2));
    let to = Some(at() + Duration::from_secs(5));
    assert_eq!(count(Query { from, to, ..all.clone() }), 3);
    std::fs::remove_file(directory.join("log.key")).unwrap();
    assert!(matches!(Query { subject: Some(ada), ..all }.run(&directory), Err(QueryError::Key(_))));
}

#[test]
fn a_follower_sees_what_is_committed_and_nothing_else_across_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    let mut reader = Reader::follow(&folder.path().join("audit")).unwrap();
    assert!(reader.next().is_none());
    let mut seen = 0;
    for n in 0..400 {
        journal.begin(&entry(n)).unwrap().finish(&outcome());
        assert!(reader.next().is_none(), "it is not on disk yet");
        committer.turn();
        let stored = reader.next().unwrap().unwrap();
        assert_eq!(stored.row().unwrap().request_id(), Some(id(n)));
        seen += 1;
        // That a segment was closed for good comes with what is first in the next.
        let sealed = reader.by_ref().map(|stored| serde_json::from_slice::<Value>(&stored.unwrap().json).unwrap());
        assert!(sealed.into_iter().all(|record| record["kind"] == "segment.sealed"));
    }
    let segments = std::fs::read_dir(folder.path().join("audit/segments")).unwrap().count();
    assert!(seen == 400 && segments > 2, "{segments}");
    assert!(verified(&folder).finals == 400);
}

#[test]
fn a_reader_that_is_told_what_is_on_disk_reads_no_batch_that_may_be_cut_off_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    let mut reader = Reader::open(&folder.path().join("audit")).unwrap();
    let mut read = Vec::new();
    for n in 0..400 {
        journal.begin(&entry(n)).unwrap().finish(&outcome());
        let before = journal.stats().records;
        committer.turn();
        // What has come since is there, but nobody has said yet that it stays; also where another segment has begun.
        reader.stop_at(before);
        read.extend(reader.by_ref().map(Result::unwrap));
        assert_eq!(read.last().map_or(0, |stored| stored.index + 1), before);
    }
    reader.stop_at(u64::MAX);
    read.extend(reader.map(Result::unwrap));
    let all: Vec<_> = Reader::open(&folder.path().join("audit")).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, all);
}

#[test]
fn a_second_writer_is_refused_and_the_first_is_not_disturbed() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let second = Journal::open(settings(folder.path()), clock());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    journal.begin(&entry(1)).unwrap().finish(&outcome());
    drop((journal, committer));
    assert!(Journal::open(settings(folder.path()), clock()).is_ok());
}

#[test]
fn threads_that_come_and_go_share_lanes_and_nothing_is_lost_or_doubled() {
    const EACH: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { ring_bytes: 1 << 20, segment_bytes: 8 << 20, threads: 8, ..settings(folder.path()) };
    let (journal, committer) = Journal::open(settings, clock()).unwrap();
    let committing = start(committer);
    for round in 0..2 {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let journal = Arc::clone(&journal);
                thread::spawn(move || {
                    for n in 0..EACH / 2 {
                        let request = entry((round * 8 + number) * EACH + n);
                        // Back pressure is an answer, too: the gateway would send 503.
                        while journal.begin(&request).map(|open| open.finish(&outcome())).is_err() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    journal.flush_and_close(Duration::from_secs(60)).unwrap();
    committing.join().unwrap().unwrap();
    let stats = journal.stats();
    let report = verified(&folder);
    assert_eq!((report.finals, stats.finals, stats.open), (8 * EACH, 8 * EACH, 0));
    assert_eq!((stats.unrecorded, stats.pending_bytes), (0, 0));
    assert_eq!(report.records, stats.records);
}

#[test]
fn a_request_may_be_finished_on_another_thread_and_its_place_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let committing = start(committer);
    let (send, receive) = std::sync::mpsc::channel::<Open>();
    let other = thread::spawn(move || receive.iter().for_each(|open| open.finish(&outcome())));
    for n in 0..500 {
        let mut begun = journal.begin(&entry(n));
        while begun.is_err() {
            thread::yield_now(); // all 16 are with the other thread
            begun = journal.begin(&entry(n));
        }
        send.send(begun.unwrap()).unwrap();
    }
    drop(send);
    other.join().unwrap();
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    assert_eq!(verified(&folder).finals, 500);
    assert_eq!(journal.stats().open, 0);
}
