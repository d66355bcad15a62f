//! Clients that keep a connection and do as little as they can, and those that are merely slow.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::house::{Client, GUARD, House, PATIENCE, ms};
use super::http2::{HEADERS, PREFACE, SETTINGS, answers, frame, get};
use crate::{BodyPace, GuardSettings, Snapshot, UnparsedWhy};

/// What one client does, over TLS and without: says something, then drips, and never stops by itself.
struct Shape {
    name: &'static str,
    alpn: &'static str,
    opening: Vec<u8>,
    /// Sent one after the other, from the first again after the last. Nothing more if there is none.
    drip: Vec<Vec<u8>>,
    /// What it is told, somewhere in what it hears.
    told: &'static str,
    /// What counts it.
    counter: fn(&Snapshot) -> u64,
    unparsed: &'static [UnparsedWhy],
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const LATE: &[UnparsedWhy] = &[UnparsedWhy::HeadTimeout];

fn bytes(text: &str) -> Vec<Vec<u8>> {
    text.bytes().map(|byte| vec![byte]).collect()
}

fn opened(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), frames.concat()].concat()
}

fn shapes() -> Vec<Shape> {
    let idle: fn(&Snapshot) -> u64 = |counters| counters.idle_timeouts;
    let head: fn(&Snapshot) -> u64 = |counters| counters.head_timeouts;
    let upload: fn(&Snapshot) -> u64 = |counters| counters.slow_uploads;
    let one = |name, opening: &str, drip: Vec<Vec<u8>>, told, counter, unparsed| Shape {
        name,
        alpn: "http/1.1",
        opening: opening.into(),
        drip,
        told,
        counter,
        unparsed,
    };
    let two =
        |name, opening, drip, counter, unparsed| Shape { name, alpn: "h2", opening, drip, told: "", counter, unparsed };
    let post = |fields: &str| format!("POST /upload/1000 HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    let sized = post("Content-Length: 1000\r\n");
    let chunked = post("Transfer-Encoding: chunked\r\n");
    let block = get(1, "/")[9..].to_vec();
    vec![
        one("nothing", "", vec![], "", idle, &[]),
        one("half a request line", "GET / HT", vec![], "408", head, LATE),
        one("a head byte for byte", "GET / HTTP/1.1\r\n", bytes("X: aaaaaaaaaaaaaaaaaaaa"), "408", head, LATE),
        one("a head field for field", "GET / HTTP/1.1\r\n", vec![b"X: a\r\n".to_vec()], "408", head, LATE),
        one("empty lines", "", bytes("\r\n"), "", head, LATE),
        one("nothing after a request", GET, vec![], "200", idle, &[]),
        // Read together with the request before it, it is the parser's: the deadline is that of idling.
        one("half a head in one piece with a request", &format!("{GET}GET"), vec![], "200", idle, &[]),
        one(
            "a head that drips after a request",
            GET,
            bytes("GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaa"),
            "408",
            head,
            LATE,
        ),
        one("a body that never comes", &sized, vec![], "", upload, &[]),
        one("half a body", &format!("{sized}{}", "x".repeat(500)), vec![], "", upload, &[]),
        one("a body byte for byte", &sized, bytes("x"), "", upload, &[]),
        one("no chunk", &chunked, vec![], "", upload, &[]),
        one("chunks of one byte", &chunked, vec![b"1\r\nx\r\n".to_vec()], "", upload, &[]),
        one(
            "a chunk's size byte for byte",
            &chunked,
            bytes("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            "",
            upload,
            &[],
        ),
        one("a chunk without its end", &format!("{chunked}3e8\r\nx"), vec![], "", upload, &[]),
        two("half a preface", PREFACE[..10].to_vec(), vec![], head, LATE),
        two("a preface byte for byte", PREFACE[..4].to_vec(), bytes("* HTTP/2.0\r\n\r\nSM\r\n"), head, LATE),
        two("no frame", PREFACE.to_vec(), vec![], idle, &[]),
        two("settings alone", opened(&[]), vec![], idle, &[]),
        two("pings", opened(&[]), vec![frame(6, 0, 0, &[7; 8])], idle, &[]),
        two("settings again and again", opened(&[]), vec![frame(SETTINGS, 0, 0, &[])], idle, &[]),
        two("priorities", opened(&[]), vec![frame(2, 0, 1, &[0, 0, 0, 0, 9])], idle, &[]),
        two("windows", opened(&[]), vec![frame(8, 0, 0, &[0, 0, 0, 1])], idle, &[]),
        two("frames that nobody knows", opened(&[]), vec![frame(0x42, 0, 0, b"x")], idle, &[]),
        two("half a frame's head", opened(&[vec![0; 4]]), vec![], idle, &[]),
        two("headers without an end", opened(&[frame(HEADERS, 1, 1, &block)]), vec![], head, LATE),
        two(
            "continuations without an end, of which the parser takes only so many",
            opened(&[frame(HEADERS, 1, 1, &block)]),
            vec![frame(9, 0, 1, &[0x40, 1, b'a', 1, b'b'])],
            |counters| counters.unparsed,
            &[UnparsedWhy::RefusedStream],
        ),
        two("headers byte for byte", opened(&[vec![0, 4, 0, 1, 5, 0, 0, 0, 1, 0x82]]), vec![vec![0x84]], head, LATE),
        two("nothing after a request", opened(&[get(1, "/")]), vec![], idle, &[]),
        two("pings after a request", opened(&[get(1, "/")]), vec![frame(6, 0, 0, &[7; 8])], idle, &[]),
    ]
}

/// Deadlines short enough to run into.
fn strict() -> GuardSettings {
    GuardSettings { head: ms(250), idle: ms(250), body: BodyPace { grace: ms(250), ..GUARD.body }, ..GUARD }
}

#[tokio::test]
async fn whoever_does_as_little_as_it_can_is_cut_in_every_shape_over_tls_and_without() {
    for tls in [false, true] {
        for shape in shapes() {
            let house = if tls { House::tls(strict()) } else { House::plain(strict()) };
            let heard = if tls {
                drip(house.connect_tls(&[shape.alpn]).await.0, &shape).await
            } else {
                drip(house.connect().await.0, &shape).await
            };
            let name = format!("{} over {} (tls: {tls})", shape.name, shape.alpn);
            assert!(heard.contains(shape.told), "{name}: {heard:?}");
            assert_eq!(house.unparsed().await, shape.unparsed, "{name}: {:?}", house.counters());
            assert_eq!((shape.counter)(&house.counters()), 1, "{name}: {:?}", house.counters());
        }
    }
}

/// Goes through the motions of a shape until the connection ends.
async fn drip<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, shape: &Shape) -> String {
    let (reader, mut writer) = tokio::io::split(stream);
    writer.write_all(&shape.opening).await.unwrap();
    writer.flush().await.unwrap();
    let pieces = shape.drip.clone();
    let dripping = tokio::runtime::Handle::current().spawn(async move {
        for piece in pieces.iter().cycle() {
            tokio::time::sleep(ms(20)).await;
            if writer.write_all(piece).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await; // it holds on
    });
    let heard = Client(tokio::io::join(reader, tokio::io::sink())).rest().await.0;
    dripping.abort();
    heard
}

#[tokio::test]
async fn whoever_takes_nothing_of_what_it_asked_for_is_cut() {
    let ask = b"GET /bytes/30000000 HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec();
    let window = frame(8, 0, 0, &[0x3f, 0, 0, 0]);
    let wide = frame(SETTINGS, 0, 0, &[0, 4, 0x3f, 0, 0, 0]);
    let ask_2 = [PREFACE.to_vec(), wide, window, get(1, "/bytes/30000000")].concat();
    for (alpn, ask) in [("http/1.1", ask), ("h2", ask_2)] {
        for tls in [false, true] {
            let house = if tls { House::tls(strict()) } else { House::plain(strict()) };
            // Held, and never read.
            let (mut plain, mut secure) = (None, None);
            if tls {
                secure.insert(house.connect_tls(&[alpn]).await).send(&ask).await;
            } else {
                plain.insert(house.connect().await).send(&ask).await;
            }
            house.eventually(|house| house.counters().slow_downloads == 1).await;
            house.eventually(|house| house.counters().open == 0).await;
            drop((plain, secure));
        }
    }
}

#[tokio::test]
async fn whoever_is_slow_but_goes_on_gets_what_it_asked_for() {
    let house = House::plain(strict());
    let mut client = house.connect().await;
    client.send("POST /upload/4000 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4000\r\n\r\n").await;
    for _ in 0..40 {
        client.send([b'x'; 100]).await;
        tokio::time::sleep(ms(20)).await; // 5000 bytes a second, where 1024 are asked for
    }
    assert!(client.answer().await.starts_with("/upload/4000 1 "));

    client.send("GET /bytes/8000000 HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut taken = 0;
    let mut piece = vec![0; 256 << 10];
    while taken < 8_000_000 {
        tokio::time::sleep(ms(50)).await;
        taken += tokio::time::timeout(PATIENCE, client.0.read(&mut piece)).await.unwrap().unwrap();
    }
    assert_eq!((house.counters().slow_uploads, house.counters().slow_downloads), (0, 0));
}

#[tokio::test]
async fn a_client_is_not_blamed_for_a_backend_that_is_late() {
    let house = House::plain(strict());
    let mut client = house.connect().await;
    client.send("POST /late/900 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody").await;
    assert!(client.answer().await.starts_with("/late/900 1 "));
    assert_eq!(house.counters().slow_uploads, 0);
}

#[tokio::test]
async fn a_flood_of_frames_that_ask_for_nothing_ends_the_connection() {
    for flood in
        [frame(6, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[]), frame(2, 0, 1, &[0, 0, 0, 0, 9]), frame(0x42, 0, 0, b"x")]
    {
        let house = House::plain(GUARD);
        let mut client = house.connect().await;
        client.send(opened(&[get(1, "/")])).await;
        assert!(answers(&mut client, &[1]).await[&1].starts_with("/ "));
        let (mut reader, mut writer) = tokio::io::split(client.0);
        let reading = async { drop(tokio::io::copy(&mut reader, &mut tokio::io::sink()).await) };
        let many = flood.repeat(1000);
        let flooding = async { while writer.write_all(&many).await.is_ok() {} };
        let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(20), async { tokio::join!(reading, flooding) });
        ended.await.expect("it ends");
        assert_eq!(house.counters().floods, 1, "{flood:?}");
    }
}
