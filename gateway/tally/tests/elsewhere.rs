//! Servers that are found by Sentinels, that are several, and that let in whom they know.

use std::path::Path;

use super::*;

/// A server with these words in its configuration, on a free port.
fn server(folder: &Path, sentinel: bool, lines: &[String]) -> Child {
    let file = folder.join(if sentinel { "sentinel.conf" } else { "redis.conf" });
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&file);
    if sentinel {
        command.arg("--sentinel");
    }
    command.current_dir(folder).stdout(Stdio::null()).spawn().expect("`redis-server`, which `tests/run` installs")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Servers that end with their test.
struct All(Vec<(u16, tempfile::TempDir, Child)>);

impl All {
    fn start(&mut self, sentinel: bool, port: u16, more: &[String]) -> u16 {
        let folder = tempfile::tempdir().unwrap();
        let base = ["bind 127.0.0.1".to_owned(), format!("port {port}"), format!("dir {}", folder.path().display())];
        let save = (!sentinel).then(|| "save \"\"".to_owned());
        let lines: Vec<_> = base.into_iter().chain(save).chain(more.iter().cloned()).collect();
        let child = server(folder.path(), sentinel, &lines);
        self.0.push((port, folder, child));
        port
    }

    fn kill(&mut self, port: u16) {
        let (_, _, child) = self.0.iter_mut().find(|(known, _, _)| *known == port).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for All {
    fn drop(&mut self) {
        for (_, _, child) in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn say(port: u16, words: &[&str]) -> Option<redis::Value> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
    command.query(&mut connection).ok()
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(value: Option<redis::Value>) -> String {
    format!("{value:?}")
}

fn tally(access: Access<'_>) -> Tally {
    let server = Server::new(Login::new(access).unwrap(), "test");
    Tally::new(Settings { server, timeout: Duration::from_secs(2) }, Arc::new(SystemClock))
}

fn plain(at: Place<'_>) -> Access<'_> {
    Access { at, user: None, password: None, ca: None, identity: None, plaintext: Plaintext::Refused }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_master_is_lost_the_one_that_the_sentinels_name_is_asked() {
    let mut all = All(Vec::new());
    let quick = ["repl-ping-replica-period 1".to_owned(), "repl-diskless-sync-delay 0".to_owned()];
    let master = all.start(false, free_port(), &quick);
    let replica = all.start(false, free_port(), &[&quick[..], &[format!("replicaof 127.0.0.1 {master}")]].concat());
    await_that("the replica follows", || {
        text(say(replica, &["INFO", "replication"])).contains("master_link_status:up")
    });
    let sentinel = [
        format!("sentinel monitor limits 127.0.0.1 {master} 1"),
        "sentinel down-after-milliseconds limits 500".to_owned(),
        "sentinel failover-timeout limits 3000".to_owned(),
    ];
    let sentinel = all.start(true, free_port(), &sentinel);
    await_that("the sentinel knows the replica", || {
        text(say(sentinel, &["SENTINEL", "REPLICAS", "limits"])).contains(&replica.to_string())
    });
    let urls = [format!("redis://127.0.0.1:{}", free_port()), format!("redis://127.0.0.1:{sentinel}")];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let tally = together::running(tally(plain(Place::Sentinels { master: "limits", urls: &urls }))).await;
    let rate = Numbers::Rate { rate: "1/h".parse().unwrap(), burst: 5 };
    let limits = limits(vec![limit("rate", rate, &[KeyPart::Tenant], OnLoss::Deny, 1)]);
    let now = || asker(0, today());
    for _ in 0..3 {
        spend(&limits, &tally, &[0], &now()).await.unwrap();
    }
    await_that("the replica has heard of it", || !text(say(replica, &["KEYS", "*rate*"])).contains("[]"));
    all.kill(master);
    let deadline = Instant::now() + PATIENCE;
    let left = loop {
        match spend(&limits, &tally, &[0], &now()).await {
            Ok(spent) => break spent.standing.levels()[0].remaining,
            Err(refused) => assert_eq!(refused.reason().as_str(), "limit.unavailable"),
        }
        assert!(Instant::now() < deadline, "{:?}", tally.state());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(left, 1, "what was spent is spent there, too");
    await_that("the replica is the master", || text(say(replica, &["ROLE"])).contains("master"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_levels_in_several_places_are_charged_all_or_none() {
    let mut all = All(Vec::new());
    let lines = |port: u16| {
        // The bus has a port of its own, by default one that may be beyond the last.
        let bus = free_port();
        (port, vec!["cluster-enabled yes".to_owned(), format!("cluster-port {bus}")], bus)
    };
    let nodes: Vec<_> = (0..3).map(|_| lines(free_port())).collect();
    for (port, lines, _) in &nodes {
        all.start(false, *port, lines);
    }
    for (place, (port, _, _)) in nodes.iter().enumerate() {
        await_that("it answers", || say(*port, &["PING"]).is_some());
        let (first, last) = (place * 5_462, (place * 5_462 + 5_461).min(16_383));
        say(*port, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).unwrap();
        say(*port, &["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]).unwrap();
    }
    for (port, _, bus) in &nodes[1..] {
        say(nodes[0].0, &["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus.to_string()]).unwrap();
    }
    for (port, _, _) in &nodes {
        await_that("the cluster is whole", || text(say(*port, &["CLUSTER", "INFO"])).contains("cluster_state:ok"));
    }
    let url = format!("redis://127.0.0.1:{}", nodes[0].0);
    let tally = together::running(tally(plain(Place::Cluster(&[&url])))).await;
    let rate = |burst| Numbers::Rate { rate: "1/h".parse().unwrap(), burst };
    let of = |id: &str, numbers, key: &[KeyPart]| limit(id, numbers, key, OnLoss::Deny, 1);
    let limits = limits(vec![
        of("tenant", rate(10), &[KeyPart::Tenant]),
        of("tenant_day", Numbers::Quota { count: 10, per: Period::Day }, &[KeyPart::Tenant]),
        of("address", rate(3), &[KeyPart::ClientIp]),
        of("route", rate(6), &[KeyPart::Route]),
        of("flights", Numbers::Concurrency(8), &[KeyPart::Tenant, KeyPart::Route]),
    ]);
    let which = [0, 1, 2, 3, 4];
    let mut address = 0;
    let mut passed = 0;
    let mut held = Vec::new();
    while passed < 6 {
        address += 1;
        assert!(address < 10);
        for _ in 0..5 {
            let asker = Asker { client_ip: [192, 0, 2, address].into(), ..asker(0, today()) };
            if let Ok(spent) = spend(&limits, &tally, &which, &asker).await {
                passed += 1;
                held.push(spent);
            }
            together::eventually("what was given back is back", || tally.state().owed == 0).await;
        }
    }
    assert_eq!((passed, address), (6, 2), "three from each address, and six to the route");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left = async |which: &[usize]| {
        let mut left = 0;
        while spend(&limits, &tally, which, &asker(0, today())).await.is_ok() {
            left += 1;
        }
        left
    };
    assert_eq!((left(&[0]).await, left(&[1]).await), (4, 4), "refusals were charged to none");
    let state = tally.state();
    assert_eq!((state.failed, state.unsettled), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_rights_of_the_documentation_counts_and_another_is_told_why_not() {
    let redis = Redis::start();
    let rules = "ACL SETUSER cloister on >secret ~test:* +eval +evalsha +time +get +set +del +exists +pexpire +zadd +zcard +zrem \
                 +zremrangebyscore";
    redis.ask::<()>(&rules.split_whitespace().collect::<Vec<_>>());
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let access = |password| Access { user: Some("cloister"), password: Some(password), ..plain(Place::One(&url)) };
    let known = together::running(tally(access("secret"))).await;
    let limits = limits(together::all_kinds(1));
    for _ in 0..3 {
        let mut spent = spend(&limits, &known, &[0, 1, 2, 3, 4], &asker(0, today())).await.unwrap();
        assert_eq!(spent.standing.lost(), None);
        spent.held.ends(Ended { bytes: 100, status: Some(401) }, Instant::now());
    }
    together::eventually("all is settled", || known.state().owed == 0).await;
    assert_eq!(known.state().problem, None);
    let stranger = tally(access("guess"));
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    drop(tokio::spawn(stranger.clone().run(std::future::pending())));
    together::eventually("it says why", || {
        stranger.state().problem.is_some_and(|problem| problem.to_lowercase().contains("password"))
    })
    .await;
    assert!(!stranger.state().up);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_it_knows_us_by_our_certificate_and_we_know_it_by_its_authority() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let made = || rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (theirs, ours, others) = (made(), made(), made());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let port = free_port();
    let lines = [
        format!("tls-port {port}"),
        format!("tls-cert-file {}", file("redis.pem", theirs.cert.pem())),
        format!("tls-key-file {}", file("redis.key", theirs.signing_key.serialize_pem())),
        format!("tls-ca-cert-file {}", file("clients.pem", ours.cert.pem())),
        "tls-auth-clients yes".to_owned(),
    ];
    let mut all = All(Vec::new());
    all.start(false, 0, &lines);
    let url = format!("rediss://localhost:{port}");
    let access = |believed: &rcgen::CertifiedKey<rcgen::KeyPair>,
                  shown: Option<&rcgen::CertifiedKey<rcgen::KeyPair>>| {
        let identity = shown.map(|shown| Identity {
            certificate: shown.cert.pem().into_bytes(),
            key: shown.signing_key.serialize_pem().into_bytes(),
        });
        Access { ca: Some(believed.cert.pem().into_bytes()), identity, ..plain(Place::One(&url)) }
    };
    let known = together::running(tally(access(&theirs, Some(&ours)))).await;
    let limits = limits(together::all_kinds(1));
    let spent = spend(&limits, &known, &[0, 1, 2, 3, 4], &asker(0, today())).await.unwrap();
    assert_eq!(spent.standing.lost(), None);
    for (what, access) in [
        ("a server that nobody vouches for", access(&others, Some(&ours))),
        ("a certificate that it does not know", access(&theirs, Some(&others))),
        ("no certificate", access(&theirs, None)),
    ] {
        let server = Server::new(Login::new(access).unwrap(), "test");
        let connected = async {
            let mut connection = server.connect(Duration::ZERO).await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        assert!(connected.await.is_err(), "{what}");
    }
}
