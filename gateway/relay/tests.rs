//! Between stores and a real Redis.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::{Access, Login, Place, Plaintext, Server};
use store::{Revocation, Store};
use tenancy::Revoked;
use terms::{Author, SystemClock};
use tokio::task::JoinHandle;

use crate::Relay;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis on a free port, which keeps nothing on disk.
struct Redis {
    port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let child = Self::spawn(port, &folder);
        let this = Self { port, folder, child };
        this.await_answer();
        this
    }

    fn spawn(port: u16, folder: &tempfile::TempDir) -> Child {
        Self::spawn_with(&["--port", &port.to_string()], folder)
    }

    fn spawn_with(more: &[&str], folder: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(more)
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server`, which `tests/run` installs")
    }

    fn await_answer(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.query(&["PING"]).is_none() {
            assert!(Instant::now() < deadline, "Redis does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and with it all that it knew.
    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(self.port, &self.folder);
        self.await_answer();
    }

    fn query(&self, words: &[&str]) -> Option<redis::Value> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut connection).ok()
    }

    fn server(&self) -> Server {
        self.server_for(None, None)
    }

    fn server_for(&self, user: Option<&str>, password: Option<&str>) -> Server {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let access =
            Access { at: Place::One(&url), user, password, ca: None, identity: None, plaintext: Plaintext::Refused };
        Server::new(Login::new(access).unwrap(), "test")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a gateway has of all this.
struct Gateway {
    store: Arc<Store>,
    relay: Arc<Relay>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start(redis: &Redis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        Self::on(redis, store, folder)
    }

    fn on(redis: &Redis, store: Arc<Store>, folder: tempfile::TempDir) -> Self {
        let relay = Arc::new(Relay::new(redis.server(), Arc::clone(&store), Arc::new(SystemClock), || {}));
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        let task = tokio::spawn(Arc::clone(&relay).run(std::future::pending()));
        Self { store, relay, task, _folder: folder }
    }

    fn revoke(&self, jti: &str) {
        self.store.revoke(&Revocation { revoked: token(jti), until: None, made: 100, author: None }, 100).unwrap();
    }

    async fn has(&self, jtis: &[&str]) {
        let mut expected: Vec<_> = jtis.iter().map(|jti| token(jti)).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut all: Vec<_> = self.store.revocations(100).unwrap().into_iter().map(|it| it.revoked).collect();
            let name = |it: &Revoked| format!("{it:?}");
            all.sort_by_key(name);
            expected.sort_by_key(name);
            if all == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{all:?}, and not {expected:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it, and keeps what it knows.
    fn end(self) -> (Arc<Store>, tempfile::TempDir) {
        self.task.abort();
        (self.store, self._folder)
    }
}

fn token(jti: &str) -> Revoked {
    Revoked::Token { issuer: "main".parse().unwrap(), jti: jti.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_is_told_all_know_within_a_second_and_those_that_come_later_too() {
    let redis = Redis::start();
    let (a, b) = (Gateway::start(&redis), Gateway::start(&redis));
    a.revoke("first");
    b.has(&["first"]).await;
    let began = Instant::now();
    a.revoke("t1");
    b.has(&["first", "t1"]).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    b.store.restore(&token("first"), Author::Admin, 100).unwrap();
    a.has(&["t1"]).await;
    let c = Gateway::start(&redis);
    c.has(&["t1"]).await;
    assert!(c.relay.hearing().silence.unwrap() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_redis_was_away_arrives_when_it_is_back_whatever_it_has_lost() {
    let mut redis = Redis::start();
    let (a, b) = (Gateway::start(&redis), Gateway::start(&redis));
    a.revoke("before");
    b.has(&["before"]).await;
    redis.end();
    a.revoke("a");
    b.revoke("b");
    redis.start_again();
    for gateway in [&a, &b, &Gateway::start(&redis)] {
        gateway.has(&["before", "a", "b"]).await;
    }
    assert!(a.relay.hearing().failures > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_goes_on_where_it_was_or_asks_for_what_is_gone() {
    let redis = Redis::start();
    let (a, b) = (Gateway::start(&redis), Gateway::start(&redis));
    a.revoke("before");
    b.has(&["before"]).await;
    let (store, folder) = b.end();
    store.revoke(&Revocation { revoked: token("alone"), until: None, made: 100, author: None }, 100).unwrap();
    a.revoke("meanwhile");
    a.has(&["before", "meanwhile"]).await;
    let b = Gateway::on(&redis, store, folder);
    for gateway in [&a, &b] {
        gateway.has(&["before", "meanwhile", "alone"]).await;
    }
    let (store, folder) = b.end();
    a.revoke("lost");
    a.has(&["before", "meanwhile", "alone", "lost"]).await;
    while a.store.outbox(1).unwrap().len() == 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    redis.query(&["XTRIM", "test:revocations", "MAXLEN", "=", "0"]).unwrap();
    Gateway::on(&redis, store, folder).has(&["before", "meanwhile", "alone", "lost"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_understands_holds_up_nothing_behind_it() {
    let redis = Redis::start();
    let (a, b) = (Gateway::start(&redis), Gateway::start(&redis));
    a.revoke("t1");
    b.has(&["t1"]).await;
    redis.query(&["XADD", "test:revocations", "*", "turn", "sideways"]).unwrap();
    redis.query(&["XADD", "test:revocations", "*", "turn", "revoked", "made", "x"]).unwrap();
    a.revoke("t2");
    b.has(&["t1", "t2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_needs_no_more_than_the_documentation_says() {
    let redis = Redis::start();
    let rules = "ACL SETUSER cloister on >secret ~test:* +xadd +xread +xrange +xrevrange";
    redis.query(&rules.split(' ').collect::<Vec<_>>()).unwrap();
    let (a, b) = (Gateway::start(&redis), Gateway::start(&redis));
    let by = |server: Server, store: &Arc<Store>| {
        let relay = Arc::new(Relay::new(server, Arc::clone(store), Arc::new(SystemClock), || {}));
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        drop(tokio::spawn(Arc::clone(&relay).run(std::future::pending())));
        relay
    };
    a.task.abort();
    let known = by(redis.server_for(Some("cloister"), Some("secret")), &a.store);
    a.revoke("t1");
    b.has(&["t1"]).await;
    let stranger = by(redis.server_for(Some("cloister"), Some("guess")), &a.store);
    let deadline = Instant::now() + PATIENCE;
    while stranger.hearing().failures == 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((stranger.hearing().silence, known.hearing().failures), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_redis_that_the_authority_knows_is_believed() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (certificate, key) = (folder.path().join("redis.pem"), folder.path().join("redis.key"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words = [
        ("--port", "0"),
        ("--tls-port", &port.to_string()),
        ("--tls-auth-clients", "no"),
        ("--tls-cert-file", certificate.to_str().unwrap()),
        ("--tls-key-file", key.to_str().unwrap()),
    ];
    let words: Vec<_> = words.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let child = Redis::spawn_with(&words, &folder);
    let _redis = Redis { port, folder, child };
    let url = format!("rediss://localhost:{port}");
    let server = |ca: String| {
        let (user, password, ca) = (None, None, Some(ca.into_bytes()));
        let access = Access { at: Place::One(&url), user, password, ca, identity: None, plaintext: Plaintext::Refused };
        Server::new(Login::new(access).unwrap(), "test")
    };
    let deadline = Instant::now() + PATIENCE;
    while server(certified.cert.pem()).connect(Duration::ZERO).await.is_err() {
        assert!(Instant::now() < deadline, "it does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server(other.cert.pem()).connect(Duration::ZERO).await.is_err());
}
