use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use futures::future::pending;

use super::*;
use crate::upstream::tests::settings;
use crate::{AddressSettings, Settings, Tried, Upstream};

/// Addresses and their TTL.
type Said = (Vec<[u8; 4]>, u32);

/// A name server that answers every question for IPv4 addresses with these, and knows no others.
struct Server {
    address: SocketAddr,
    answers: Arc<Mutex<Option<Said>>>,
}

impl Server {
    fn start(answers: &[[u8; 4]], ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(Some((answers.to_vec(), ttl)))),
        };
        let answers = Arc::clone(&server.answers);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let Some((ips, ttl)) = answers.lock().unwrap().clone() else { continue };
                drop(socket.send_to(&answer(&question[..length], &ips, ttl), from));
            }
        });
        server
    }

    /// Other answers from now on; `None` for no answer at all.
    fn say(&self, answers: Option<(&[[u8; 4]], u32)>) {
        *self.answers.lock().unwrap() = answers.map(|(ips, ttl)| (ips.to_vec(), ttl));
    }

    fn dns(&self) -> Dns {
        Dns {
            servers: vec![self.address],
            min_ttl: Duration::from_millis(20),
            max_ttl: Duration::from_secs(300),
            timeout: Duration::from_millis(200),
            special: Special::Refused,
        }
    }
}

/// The question, and behind it the answers (RFC 1035 §4.1).
fn answer(question: &[u8], ips: &[[u8; 4]], ttl: u32) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let ips = if question[end - 4..end - 2] == [0, 1] { ips } else { &[] }; // type A
    let count = u8::try_from(ips.len()).unwrap();
    let mut bytes = question[..2].to_vec();
    bytes.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    bytes.extend(&question[12..end]);
    for ip in ips {
        bytes.extend([0xc0, 12, 0, 1, 0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend([0, 4]);
        bytes.extend(ip);
    }
    bytes
}

fn upstream() -> Arc<Upstream> {
    let settings = Settings {
        addresses: vec![AddressSettings { at: "orders.internal:80".parse().unwrap(), weight: 1 }],
        ..settings(&[])
    };
    Arc::new(Upstream::new(settings, Instant::now()))
}

async fn eventually(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs `story` beside the task that looks names up.
async fn beside(server: &Server, upstream: &Arc<Upstream>, story: impl Future<Output = ()>) {
    let resolver = Resolver::new(server.dns()).unwrap();
    let looking = crate::keep_resolved(vec![Arc::clone(upstream)], Some(resolver), pending());
    tokio::select! {
        () = looking => panic!("it does not end by itself"),
        () = story => {}
    }
}

#[tokio::test]
async fn an_answer_is_good_for_its_ttl_within_the_bounds() {
    for (ttl, expected) in [(60, 60), (0, 10), (3, 10), (86_400, 300)] {
        let server = Server::start(&[[10, 0, 0, 2], [10, 0, 0, 1], [10, 0, 0, 2]], ttl);
        let dns = Dns { min_ttl: Duration::from_secs(10), ..server.dns() };
        let answer = Resolver::new(dns).unwrap().look_up("orders.internal").await.unwrap();
        assert_eq!(answer.ips, ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()), "sorted, each once");
        let expected = Duration::from_secs(expected);
        assert!(answer.good_for <= expected && answer.good_for + Duration::from_secs(2) > expected, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_names_this_machine_or_metadata_is_not_believed_unless_a_setting_says_so() {
    for special in [[127, 0, 0, 1], [169, 254, 169, 254], [0, 0, 0, 0]] {
        let server = Server::start(&[[10, 0, 0, 1], special], 60);
        let refused = Resolver::new(server.dns()).unwrap().look_up("orders.internal").await;
        assert!(matches!(refused, Err(ResolveError::Special(ip)) if ip == IpAddr::from(special)), "{refused:?}");
        let dns = Dns { special: Special::Believed, ..server.dns() };
        assert_eq!(Resolver::new(dns).unwrap().look_up("orders.internal").await.unwrap().ips.len(), 2);
    }
}

#[tokio::test]
async fn addresses_come_and_go_with_the_answers_and_those_that_stay_keep_what_is_in_flight() {
    let server = Server::start(&[[10, 0, 0, 1], [10, 0, 0, 2]], 0);
    let upstream = upstream();
    beside(&server, &upstream, async {
        eventually("the name is looked up", || upstream.addresses() == 2).await;
        let mut tried = Tried::default();
        let first = upstream.choose(None, &tried, Instant::now()).unwrap();
        tried.note(&first);
        let second = upstream.choose(None, &tried, Instant::now()).unwrap();
        assert_ne!(first.socket(), second.socket());
        server.say(Some((&[[10, 0, 0, 2], [10, 0, 0, 3], [10, 0, 0, 4]], 0)));
        eventually("the answer has changed", || upstream.addresses() == 3).await;
        assert_eq!(upstream.in_flight(), 1, "10.0.0.2 kept its request, that of 10.0.0.1 ends where it is");
    })
    .await;
}

#[tokio::test]
async fn when_name_servers_fail_the_last_good_answer_stays_and_failures_count() {
    let server = Server::start(&[[10, 0, 0, 1]], 0);
    let upstream = upstream();
    beside(&server, &upstream, async {
        eventually("the name is looked up", || upstream.addresses() == 1).await;
        server.say(None);
        eventually("a look-up has failed", || upstream.look_ups().1 > 0).await;
        server.say(Some((&[[169, 254, 169, 254]], 0)));
        let before = upstream.look_ups().1;
        eventually("a forged answer counts as a failure", || upstream.look_ups().1 > before).await;
        let chosen = upstream.choose(None, &Tried::default(), Instant::now()).unwrap();
        assert_eq!(chosen.socket().to_string(), "10.0.0.1:80");
        assert_eq!(upstream.ails(), None);
    })
    .await;
}
