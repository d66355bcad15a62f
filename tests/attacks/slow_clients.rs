//! Clients that take their time: each is sent away when its deadline has passed, however it fills the time until then, and
//! whoever asks properly is served meanwhile.

use tokio::io::AsyncWriteExt as _;

use super::arena::{Arena, Attack, Sent};
use super::expect::assert_none;
use super::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, SETTINGS, Step, WINDOW_UPDATE, block,
    converse, frame, is_answered,
};
use crate::harness::{Gateway, Recorder};

/// Every deadline is short, so that a table is done in a second; what is sent comes every 50 ms.
const GUARD: &str = "{ handshake: 500ms, head: 500ms, idle: 500ms, body_grace: 500ms, min_body_rate: 1MiB }";

const GOOD: &str = "GET /public/1 HTTP/1.1\r\nHost: acme.example.test\r\n\r\n";
const HALF: &str = "GET /public/1 HTTP/1.1\r\nHost: acme";

/// What is sent at once, what is sent again and again, and the reasons in the log behind that of what was served.
type Row = (&'static str, Sent, &'static [&'static str]);

fn table() -> Vec<Row> {
    let plain = |first: &str, drip: &str| Sent::Slow1(first.as_bytes().to_vec(), drip.as_bytes().to_vec());
    let tls = |first: &[u8], drip: &[u8]| Sent::SlowTls(first.to_vec(), drip.to_vec());
    let http2 = |first: &[u8], drip: &[u8]| Sent::Slow2(first.to_vec(), drip.to_vec());
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat();
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let head = [(":method", "GET"), (":scheme", "https"), (":path", "/public/1"), (":authority", "acme.example.test")];
    let head = block(&head.map(|(name, value)| field(name, value)));
    let begun = |frames: &[u8]| [&hello, frames].concat();
    let good = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
    // Fifty answers for which the client has no room, and what gives the first of them room for one more letter.
    let closed = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])[..]].concat();
    let asked = (0..50).flat_map(|number| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head));
    let (asked, letter) = (asked.collect::<Vec<_>>(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
    const TIMEOUT: &str = "request.malformed.timeout";
    const LETTERS: [&str; 50] = {
        let mut all = [TIMEOUT; 50];
        all[0] = "allowed"; // of two letters
        all
    };
    vec![
        ("says nothing", plain("", ""), &[]),
        ("half a request line", plain("GET /pub", ""), &[TIMEOUT]),
        ("half a head", plain(HALF, ""), &[TIMEOUT]),
        ("a head without its end", plain("GET / HTTP/1.1\r\nHost: a\r\n", ""), &[TIMEOUT]),
        ("a request line, letter by letter", plain("GET /", "a"), &[TIMEOUT]),
        ("field after field", plain("GET / HTTP/1.1\r\n", "X-Own: 1\r\n"), &[TIMEOUT]),
        ("a value, letter by letter", plain("GET / HTTP/1.1\r\nX-Own: ", "a"), &[TIMEOUT]),
        ("empty lines", plain("", "\r\n"), &[TIMEOUT]),
        ("nothing behind a request", plain(GOOD, ""), &["allowed"]),
        // What comes in one piece with a request is the parser's before the guard can count it: closed as idle, not on record.
        ("half a head behind a request", plain(&[GOOD, HALF].concat(), ""), &["allowed"]),
        ("letters behind a request", plain(&[GOOD, "GET /"].concat(), "a"), &["allowed", TIMEOUT]),
        (
            "half a head behind a refusal",
            plain(&[&GOOD.replace("public", "orders"), HALF].concat(), ""),
            &["auth.missing"],
        ),
        ("no handshake", tls(b"", b""), &[]),
        ("half a handshake", tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""), &[]),
        ("a handshake, byte by byte", tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00"), &[]),
        ("no preface", http2(b"", b""), &[]),
        ("half a preface", http2(b"PRI * HTTP/2.0\r\n", b""), &[TIMEOUT]),
        ("a preface and nothing", http2(&hello, b""), &[]),
        ("pings", http2(&hello, &frame(PING, 0, 0, &[0; 8])), &[]),
        ("settings again and again", http2(&hello, &frame(SETTINGS, 0, 0, &[])), &[]),
        ("window after window", http2(&hello, &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])), &[]),
        ("priorities of nothing", http2(&hello, &frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])), &[]),
        ("pings behind a request", http2(&begun(&good), &frame(PING, 0, 0, &[0; 8])), &["allowed"]),
        ("windows that are never opened", http2(&[&closed[..], &asked].concat(), b""), &[TIMEOUT; 50]),
        ("windows that open for a letter", http2(&[&closed[..], &asked].concat(), &letter), &LETTERS),
        (
            "a head that never ends",
            http2(&begun(&frame(HEADERS, END_STREAM, 1, &head)), b""),
            &["request.malformed.timeout"],
        ),
        (
            "a head, piece by piece",
            http2(&begun(&frame(HEADERS, END_STREAM, 1, &head)), &frame(CONTINUATION, 0, 1, &[])),
            &["request.malformed.unparsed"],
        ),
    ]
}

/// On several threads: whoever waits for the records must not keep the backend from answering.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_take_their_time_are_sent_away() {
    let arena = Arena::open(Gateway::test().guard(GUARD)).await;
    let rows = table();
    let attacks: Vec<_> =
        rows.iter().map(|(name, sent, _)| Attack { name: (*name).into(), sent: sent.clone() }).collect();
    let slow = arena.run_leaving(&attacks, |index| rows[index].2.len());
    let good = async {
        for _ in 0..20 {
            let answer = arena.gateway.send(arena.gateway.request("GET", "acme", "/public/1")).await;
            assert_eq!(answer.status, 200);
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    };
    let (outcomes, ()) = futures::join!(slow, good);
    assert_none(rows.iter().zip(&outcomes).filter(|((_, _, expected), outcome)| outcome.reasons() != *expected).map(
        |((name, _, expected), outcome)| format!("{name}: the log says {:?}, not {expected:?}", outcome.reasons()),
    ));
}

/// Without TLS, behind a proxy that says whose the connection is: the one request ends, whoever's it was, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_behind_a_proxy_ends_its_own_stream_alone() {
    let recorder = Recorder::start().await;
    let setup = Gateway::test().listener("h2c: true, proxy_protocol: [\"127.0.0.1\"]").upstream(recorder.address);
    let setup = setup.guard("{ body_grace: 300ms }").timeouts("{ connect: 1s, read: 5s, write: 200ms, idle: 5s }");
    let gateway = setup.start().await;
    let bearer = format!("Bearer {}", gateway.token("acme", "ada", &["clerk"]));
    let head = |method: &str, length: &str| {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":path", "/orders/1"),
            (":authority", "acme.example.test"),
            ("authorization", &bearer),
            ("content-length", length),
        ];
        block(&fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())))
    };
    let frames = [
        frame(HEADERS, END_HEADERS, 1, &head("POST", "1000")),
        frame(DATA, 0, 1, b"abc"),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, &head("GET", "0")),
    ];
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n").await.unwrap();
    let answer = converse(stream, &[Step::Frames(frames.concat())], 1).await;
    assert!(is_answered(&answer, 3), "the other is served");
    let records = gateway.records(&[]);
    let told: Vec<_> = records.finals().iter().map(|record| (record["reason"].clone(), record["ip"].clone())).collect();
    let said = |reason: &str| (reason.into(), "192.0.2.0/24".into());
    assert_eq!(told, [said("allowed"), said("request.malformed.timeout")]);
    assert!(recorder.requests().iter().all(|request| request.method == "GET" || !request.whole));
}
