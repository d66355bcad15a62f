//! The index finds what reading everything finds, and hides nothing, whatever became of it.

use std::fs;
use std::path::PathBuf;

use super::*;

const TENANTS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];

/// A log of several segments, with records of every kind that a query can ask for.
fn log(folder: &TempDir) -> PathBuf {
    let (journal, committer) = open(folder);
    let thread = start(committer);
    let routes: [RouteId; 2] = ["invoices".parse().unwrap(), "orders".parse().unwrap()];
    let issuers: [IssuerId; 2] = ["main".parse().unwrap(), "other".parse().unwrap()];
    for n in 0..900_u64 {
        let tenant: TenantId = TENANTS[usize::try_from(n % 17 % 4).unwrap()].parse().unwrap();
        let issuer = &issuers[usize::try_from(n % 2).unwrap()];
        let subject = if n == 421 { "rare".to_owned() } else { format!("user-{}", n % 50) };
        let (decision, reason) =
            if n % 7 == 0 { (Decision::Deny, Reason::PolicyDenied) } else { (Decision::Allow, Reason::Allowed) };
        let entry = Entry {
            tenant: Some(&tenant).filter(|_| n % 11 != 0),
            subject: Some(journal.pseudonym(issuer, &subject.parse().unwrap())),
            issuer: Some(issuer),
            key: (n % 100 == 3).then_some("K3yK3yK3yK3y"),
            route: Some(&routes[usize::try_from(n % 3 % 2).unwrap()]),
            decision,
            reason,
            at: at() + Duration::from_secs(n),
            id: RequestId::new(1_790_000_000_123 + n * 1_000, u128::from(n)),
            ..entry(n)
        };
        let status = if n % 5 == 0 { 404 } else { 200 };
        until("there is room", || journal.whole(&entry, &Outcome { status: Some(status), ..outcome() }).is_ok());
        if n % 60 == 0 {
            let note = Note::Secret { setting: "admin.token", refused: None, by: Cause::Unknown };
            until("there is room", || journal.note(&note).is_ok());
        }
    }
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    folder.path().join("audit")
}

fn index(log: &std::path::Path) -> Vec<u64> {
    let mut indexer = Indexer::open(log).unwrap();
    let wanted = indexer.wanted().unwrap();
    wanted.iter().for_each(|first| assert!(indexer.make(*first).unwrap().records > 0));
    assert!(indexer.wanted().unwrap().is_empty());
    wanted
}

/// Questions of every kind, alone and together.
fn queries() -> Vec<Query> {
    let all = || Query { which: Which::All, ..Query::default() };
    let time = |seconds: u64| Some(at() + Duration::from_secs(seconds));
    let mut queries = vec![
        Query::default(),
        all(),
        Query { kind: Some("secret.changed".into()), ..all() },
        Query { kind: Some("secret.changed".into()), ..Query::default() },
        Query { subject: Some("rare".parse().unwrap()), ..Query::default() },
        Query { subject: Some("user-7".parse().unwrap()), status: Some(404), ..Query::default() },
        Query { subject: Some("nobody".parse().unwrap()), ..Query::default() },
        Query { id: Some(RequestId::new(1_790_000_000_123 + 500_000, 500)), ..all() },
        Query { id: Some(RequestId::new(1, 1)), ..all() },
        Query { key: Some("K3yK3yK3yK3y".into()), ..Query::default() },
        Query { reason: Some(Reason::PolicyDenied), route: Some("orders".into()), ..Query::default() },
        Query { decision: Some(Decision::Deny), status: Some(404), ..Query::default() },
        Query { status: Some(500), ..Query::default() },
        Query { from: time(300), to: time(310), ..Query::default() },
        Query { from: time(300), to: time(600), tenant: Some("umbrella".parse().unwrap()), ..Query::default() },
        Query { from: time(10_000), ..Query::default() },
        Query { route: Some("x".repeat(300)), ..Query::default() },
        Query { places: Some(150..=420), tenant: Some("acme".parse().unwrap()), ..all() },
        Query { places: Some(5_000..=6_000), ..all() },
    ];
    queries.extend(TENANTS.map(|tenant| Query { tenant: Some(tenant.parse().unwrap()), ..Query::default() }));
    let in_order = |order, limit| move |query: &Query| Query { order, limit, ..query.clone() };
    let latest: Vec<_> = queries.iter().map(in_order(Order::Latest, Some(3))).collect();
    let oldest: Vec<_> = queries.iter().map(in_order(Order::Oldest, Some(3))).collect();
    queries.into_iter().chain(latest).chain(oldest).collect()
}

fn answers(log: &std::path::Path) -> Vec<Vec<u64>> {
    let indices = |query: Query| query.run(log).unwrap().map(|stored| stored.unwrap().index).collect();
    queries().into_iter().map(indices).collect()
}

#[test]
fn the_index_finds_what_reading_every_record_finds() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    let read = answers(&log);
    assert!(read.iter().filter(|found| !found.is_empty()).count() > 30);
    let made = index(&log);
    assert!(made.len() > 3, "{made:?}");
    assert_eq!(answers(&log), read);
    let rare = Query { subject: Some("rare".parse().unwrap()), ..Query::default() };
    let mut matches = rare.run(&log).unwrap();
    assert_eq!(matches.by_ref().count(), 1);
    let reach = matches.reach();
    assert!(reach.read == 1 && reach.indexed > 600 && reach.scanned > 0 && !reach.without_key, "{reach:?}");
    let (from, to) = (Some(at() + Duration::from_secs(300)), Some(at() + Duration::from_secs(310)));
    let mut minute = Query { from, to, ..Query::default() }.run(&log).unwrap();
    assert_eq!(minute.by_ref().count(), 10);
    assert!(minute.reach().read < 700, "{:?}", minute.reach());
    // Who sees only the end of it reads only the end of it.
    let mut latest = Query { order: Order::Latest, limit: Some(1), ..Query::default() }.run(&log).unwrap();
    assert_eq!(latest.by_ref().count(), 1);
    let reach = latest.reach();
    assert!(reach.read + reach.scanned < 400, "{reach:?}");
}

#[test]
fn an_index_that_is_damaged_foreign_or_forged_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    let read = answers(&log);
    let made = index(&log);
    let file = |first: u64| log.join(format!("index/{first:020}.idx"));
    let good = fs::read(file(made[1])).unwrap();
    let mut places: Vec<_> = (0..good.len()).step_by(good.len() / 60).collect();
    places.extend(0..32);
    let tenant = Query { tenant: Some("globex".parse().unwrap()), ..Query::default() };
    let found =
        |query: &Query| query.clone().run(&log).unwrap().map(|stored| stored.unwrap().index).collect::<Vec<_>>();
    let expected = found(&tenant);
    for place in places {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        fs::write(file(made[1]), &bytes).unwrap();
        assert_eq!(found(&tenant), expected, "byte {place}");
    }
    for length in [0, 15, 16, 100, good.len() - 1] {
        fs::write(file(made[1]), &good[..length]).unwrap();
        assert_eq!(answers(&log), read, "{length} bytes");
    }
    // That of another segment; and one that says that there is nothing, made with another key.
    fs::copy(file(made[2]), file(made[1])).unwrap();
    assert_eq!(answers(&log), read);
    let key = log.join("log.key");
    let ours = fs::read(&key).unwrap();
    fs::write(&key, [7; 32]).unwrap();
    fs::remove_file(file(made[1])).unwrap();
    let mut forger = Indexer::open(&log).unwrap();
    forger.make(made[1]).unwrap();
    fs::write(&key, ours).unwrap();
    let mut indexer = Indexer::open(&log).unwrap();
    assert_eq!(indexer.wanted().unwrap(), [made[1]], "it is made again");
    assert_eq!(answers(&log), read);
    indexer.make(made[1]).unwrap();
    assert_eq!(fs::read(file(made[1])).unwrap(), good);
    assert!(made.iter().all(|first| indexer.is_right(*first).unwrap()));
}

#[test]
fn an_index_does_not_outlive_the_segment_that_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    let made = index(&log);
    let segment = log.join(format!("segments/{:020}.seg", made[1]));
    let mut permissions = fs::metadata(&segment).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(&segment, permissions).unwrap();
    // A record in the middle was changed, and not the end: it is named where it is read.
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let all: Vec<_> = Query::default().run(&log).unwrap().collect();
    assert!(all.iter().any(|stored| matches!(stored, Err(ReadError::Damaged { .. }))), "damage is said");
    let after = all.iter().filter(|stored| stored.is_ok()).count();
    assert!(after > 600, "and what is around it is found: {after}");
    // It became shorter: its index fits no more.
    fs::write(&segment, &bytes[..middle]).unwrap();
    let mut indexer = Indexer::open(&log).unwrap();
    assert_eq!(indexer.wanted().unwrap(), [made[1]]);
    assert!(indexer.make(made[1]).is_err(), "what cannot be read is not indexed");
    assert!(Query::default().run(&log).unwrap().any(|stored| stored.is_err()));
    // It is gone: so is its index.
    fs::remove_file(&segment).unwrap();
    indexer.wanted().unwrap();
    assert!(!log.join(format!("index/{:020}.idx", made[1])).exists());
    let missing = Query::default()
        .run(&log)
        .unwrap()
        .filter_map(Result::err)
        .any(|error| matches!(error, ReadError::Missing { .. }));
    assert!(missing, "records that are missing are said, also where the segment before is indexed");
}

#[test]
fn without_the_key_of_the_log_everything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    index(&log);
    fs::remove_file(log.join("log.key")).unwrap();
    let mut matches = Query { status: Some(404), ..Query::default() }.run(&log).unwrap();
    assert_eq!(matches.by_ref().count(), 180);
    let reach = matches.reach();
    assert!(reach.without_key && reach.indexed == 0 && reach.scanned > 900, "{reach:?}");
}
