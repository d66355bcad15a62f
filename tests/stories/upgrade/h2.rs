//! Over TLS and HTTP/2, where a connection is told to go away while it carries many requests.

use std::collections::HashSet;

use super::*;

const CONNECTIONS: usize = 4;
const STREAMS: usize = 4;

/// One client with a connection of its own.
fn client(address: SocketAddr) -> reqwest::Client {
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).resolve("acme.example.test", address);
    client.build().unwrap()
}

/// One request after the other, until it is time to stop: the ids of those that were answered.
async fn ask(
    client: reqwest::Client,
    url: String,
    token: String,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = match client.get(&url).bearer_auth(&token).send().await {
            Ok(answer) => answer,
            // Its connection was told to go away before this was sent: that is for the client to send again.
            Err(error) if terms::chain(&error).contains("operation was canceled") => continue,
            Err(error) => panic!("{}", terms::chain(&error)),
        };
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        ids.push(answer.headers()["x-request-id"].to_str().unwrap().to_owned());
        let body = answer.bytes().await.unwrap_or_else(|error| panic!("in the body: {}", terms::chain(&error)));
        assert!(!body.is_empty());
        answered.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_lets_no_request_of_http_2_fail_and_misses_no_record() {
    let mut gateway = Gateway::test().tls().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let address = gateway.tls_address.unwrap();
    let url = format!("https://acme.example.test:{}/orders/1", address.port());
    let (answered, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut asking = tokio::task::JoinSet::new();
    for client in (0..CONNECTIONS).map(|_| client(address)) {
        for _ in 0..STREAMS {
            asking.spawn(ask(client.clone(), url.clone(), token.clone(), Arc::clone(&answered), Arc::clone(&stop)));
        }
    }
    let count = || answered.load(Ordering::Relaxed);
    for _ in 0..2 {
        let before = count();
        gateway.eventually("there is load", || count() > before + 200);
        let mut old = gateway.upgrade();
        assert!(old.wait().success(), "{}", old.said());
    }
    let before = count();
    gateway.eventually("the last one serves", || count() > before + 200);
    stop.store(true, Ordering::Relaxed);
    let mut ids = HashSet::new();
    while let Some(asked) = asking.join_next().await {
        ids.extend(asked.unwrap());
    }
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let mut finals = finals(&gateway);
    // What a client had sent when it read that its connection goes away is not taken, and on record as that. The client
    // knows it from GOAWAY (RFC 9113 §6.8) and has sent it again.
    finals.retain(|record| record["end"] != "unparsed");
    let others: Vec<_> = finals.iter().filter(|record| !ids.contains(record["id"].as_str().unwrap())).collect();
    assert!(others.is_empty(), "on record and not answered: {others:?}");
    assert_eq!((finals.len(), ids.len() as u64), (ids.len(), count()));
    assert!(finals.iter().all(|record| record["end"] == "complete" && record["proto"] == "2"));
}
