//! The same of backends that speak HTTP/2, in frames that no library would send.

use super::{ask, field, status};
use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame,
};
use crate::harness::{Gateway, H2Raw, POLICIES, Then};

/// How it ends up at a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The client gets this status and this body.
    Passes(u16, &'static str),
    /// It is answered with this status, and recorded with this reason.
    Refused(u16, &'static str),
    /// Its head goes on, its body never comes to an end, and the log has this reason.
    Broken(&'static str),
    /// The client has all that there could be, and the log has this reason if there was time to hear of it.
    Late(&'static str),
}
use Fate::{Broken, Late, Passes, Refused};

const MALFORMED: Fate = Refused(502, "upstream.malformed");
const UNAVAILABLE: Fate = Refused(502, "upstream.unavailable");

const PUSH_PROMISE: u8 = 5;
const PADDED: u8 = 0x8;

type Frames = Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>;

/// The method, what the backend does, how it does it, what becomes of its connection, and of the response.
type Row = (&'static str, &'static str, Frames, Then, Fate);

/// Fields divided by `|`, as `name=value`.
fn fields(text: &str) -> Vec<u8> {
    let bytes = |text: &str| text.chars().map(|character| character as u8).collect::<Vec<_>>();
    let field = |field: &str| {
        let (name, value) = field.split_once('=').expect("a field is `name=value`");
        (bytes(name), bytes(value))
    };
    block(&text.split('|').map(field).collect::<Vec<_>>())
}

fn head(text: &'static str) -> impl Fn(u32) -> Vec<u8> {
    move |stream| frame(HEADERS, END_HEADERS, stream, &fields(text))
}

fn last(text: &'static str) -> impl Fn(u32) -> Vec<u8> {
    move |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(text))
}

fn data(text: &'static str) -> impl Fn(u32) -> Vec<u8> {
    move |stream| frame(DATA, 0, stream, text.as_bytes())
}

fn end(text: &'static str) -> impl Fn(u32) -> Vec<u8> {
    move |stream| frame(DATA, END_STREAM, stream, text.as_bytes())
}

fn raw(kind: u8, flags: u8, payload: &'static [u8]) -> impl Fn(u32) -> Vec<u8> {
    move |stream| frame(kind, flags, stream, payload)
}

fn of_connection(kind: u8, flags: u8, payload: &'static [u8]) -> impl Fn(u32) -> Vec<u8> {
    move |_| frame(kind, flags, 0, payload)
}

fn nothing(_: u32) -> Vec<u8> {
    Vec::new()
}

/// Frames one after the other.
macro_rules! frames {
    ($($frames:expr),* $(,)?) => {
        Box::new(move |stream: u32| [$($frames(stream)),*].concat()) as Frames
    };
}

#[rustfmt::skip] // a table
fn responses() -> Vec<Row> {
    let get = |what, frames, fate| ("GET", what, frames, Then::Keep, fate);
    let fine = |what, frames| get(what, frames, Passes(200, "ok"));
    // A head that is wrong, and a body that is not.
    let wrong = |what, text: &'static str| get(what, frames![head(text), end("ok")], MALFORMED);
    vec![
        fine("a length", frames![head(":status=200|content-length=2"), end("ok")]),
        fine("no length", frames![head(":status=200"), end("ok")]),
        fine("pieces", frames![head(":status=200"), data("o"), data(""), data("k"), end("")]),
        fine("trailers", frames![head(":status=200"), data("ok"), last("x-sum=1")]),
        fine("padding", frames![head(":status=200"), raw(DATA, PADDED | END_STREAM, b"\x03ok\0\0\0")]),
        fine("a head in pieces", frames![|stream| frame(HEADERS, 0, stream, &fields(":status=200")), |stream| frame(CONTINUATION, END_HEADERS, stream, &fields("x-a=b")), end("ok")]),
        fine("frames that nobody knows", frames![raw(0x42, 0, b"x"), head(":status=200"), raw(0x42, 0, b"x"), end("ok")]),
        fine("a priority", frames![head(":status=200"), raw(PRIORITY, 0, &[0, 0, 0, 0, 9]), end("ok")]),
        fine("an announcement", frames![head(":status=103|link=</a.css>"), head(":status=200"), end("ok")]),
        get("no body", frames![last(":status=200")], Passes(200, "")),
        get("a 204", frames![last(":status=204")], Passes(204, "")),
        get("a 304 with a length", frames![last(":status=304|content-length=6")], Passes(304, "")),
        ("HEAD", "a HEAD", frames![last(":status=200|content-length=2")], Then::Keep, Passes(200, "")),
        // pseudo-fields
        wrong("no status", "x-a=b"),
        wrong("two statuses", ":status=200|:status=404"),
        wrong("a status behind a field", "x-a=b|:status=200"),
        wrong("a status of two digits", ":status=20"),
        wrong("a status of four digits", ":status=2000"),
        wrong("a status with a sign", ":status=+20"),
        wrong("a status of letters", ":status=abc"),
        wrong("an empty status", ":status="),
        wrong("a status that is none", ":status=600"),
        wrong("a status above all", ":status=999"),
        wrong("a status below all", ":status=099"),
        wrong("a 101", ":status=101|x-a=b"),
        fine("a path, at which nobody looks", frames![head(":status=200|:path=/poison"), end("ok")]),
        fine("a method, at which nobody looks", frames![head(":status=200|:method=GET"), end("ok")]),
        wrong("what nobody knows", ":status=200|:poison=1"),
        // fields
        wrong("a name in capitals", ":status=200|X-Own=1"),
        wrong("a name with a space", ":status=200|x own=1"),
        wrong("a name with a line end", ":status=200|x\r\npoison=1"),
        wrong("a name with a colon", ":status=200|x:poison=1"),
        wrong("an empty name", ":status=200|=1"),
        wrong("a value with a line end", ":status=200|x-a=b\r\nx-poison: 1"),
        wrong("a value with a whole response", ":status=200|x-a=b\r\n\r\nHTTP/1.1 200 OK\r\n\r\npoison"),
        wrong("a value with an LF", ":status=200|x-a=b\nx-poison: 1"),
        wrong("a value with a CR", ":status=200|x-a=b\rx-poison: 1"),
        wrong("a value with a NUL", ":status=200|x-a=b\0"),
        wrong("a value with an escape", ":status=200|x-a=\u{1b}[31m"),
        wrong("a connection", ":status=200|connection=close"),
        wrong("a connection that nominates", ":status=200|connection=x-request-id"),
        wrong("a keep-alive", ":status=200|keep-alive=timeout=5"),
        wrong("a connection of a proxy", ":status=200|proxy-connection=close"),
        wrong("a coding", ":status=200|transfer-encoding=chunked"),
        wrong("an upgrade", ":status=200|upgrade=websocket"),
        // lengths
        get("a length that is too short", frames![head(":status=200|content-length=1"), end("ok")], Broken("upstream.malformed")),
        get("a length that is too long", frames![head(":status=200|content-length=9"), end("ok")], Broken("upstream.malformed")),
        get("a length and nothing", frames![last(":status=200|content-length=2")], MALFORMED),
        wrong("two lengths", ":status=200|content-length=2|content-length=3"),
        wrong("one length twice", ":status=200|content-length=2|content-length=2"),
        wrong("one length in a list", ":status=200|content-length=2, 2"),
        wrong("a length with a sign", ":status=200|content-length=+2"),
        wrong("a length below zero", ":status=200|content-length=-2"),
        wrong("a length beyond all numbers", ":status=200|content-length=99999999999999999999"),
        wrong("an empty length", ":status=200|content-length="),
        wrong("a 204 with a length", ":status=204|content-length=2"),
        get("a 204 with a body", frames![head(":status=204"), end("poison")], Passes(204, "")),
        get("a 304 with a body", frames![head(":status=304"), end("poison")], Passes(304, "")),
        ("HEAD", "a body for a HEAD", frames![head(":status=200"), end("poison")], Then::Keep, Late("upstream.malformed")),
        // announcements
        get("an announcement that is all", frames![last(":status=103")], MALFORMED),
        get("a body of an announcement", frames![head(":status=103"), end("poison")], MALFORMED),
        fine("a thousand announcements, which stay behind", frames![|stream| head(":status=103|link=</poison>")(stream).repeat(1000), head(":status=200"), end("ok")]),
        get("an announcement with a length", frames![head(":status=103|content-length=5"), head(":status=200"), end("ok")], Broken("upstream.malformed")),
        // trailers
        get("a status in the trailers", frames![head(":status=200"), data("ok"), last(":status=404")], Passes(200, "ok")),
        get("a path in the trailers", frames![head(":status=200"), data("ok"), last(":path=/poison")], Passes(200, "ok")),
        get("capitals in the trailers", frames![head(":status=200"), data("ok"), last("X-A=b")], Broken("upstream.malformed")),
        get("a connection in the trailers", frames![head(":status=200"), data("ok"), last("connection=close")], Broken("upstream.malformed")),
        get("trailers that do not end it", frames![head(":status=200"), data("ok"), head("x-a=b"), end("poison")], Broken("upstream.malformed")),
        get("two trailers", frames![head(":status=200"), data("ok"), last("x-a=b"), last("x-poison=b")], Passes(200, "ok")),
        // frames out of order
        get("a body before its head", frames![data("poison"), head(":status=200"), end("ok")], MALFORMED),
        get("a head that never ends", frames![|stream| frame(HEADERS, 0, stream, &fields(":status=200"))], Refused(504, "upstream.timeout")),
        get("a body in a head", frames![|stream| frame(HEADERS, 0, stream, &fields(":status=200")), end("poison")], MALFORMED),
        get("a head of somebody else", frames![|stream| head(":status=200")(stream + 2), head(":status=200"), end("ok")], MALFORMED),
        get("a head of nobody", frames![|_| head(":status=200")(0)], MALFORMED),
        get("a second response", frames![head(":status=200"), end("ok"), head(":status=200"), end("poison")], Passes(200, "ok")),
        get("a body behind the end", frames![head(":status=200"), end("ok"), end("poison")], Passes(200, "ok")),
        get("a promise", frames![|stream| frame(PUSH_PROMISE, END_HEADERS, stream, &[&[0, 0, 0, 2][..], &fields(":method=GET|:path=/poison|:scheme=http|:authority=a")].concat()), head(":status=200"), end("ok")], MALFORMED),
        get("a window of nothing", frames![raw(WINDOW_UPDATE, 0, &[0; 4]), head(":status=200"), end("ok")], MALFORMED),
        get("settings of half a value", frames![of_connection(SETTINGS, 0, &[0; 5]), head(":status=200"), end("ok")], MALFORMED),
        get("a frame that is too long", frames![|stream| frame(0x42, 0, stream, &[0; 1_100_000]), head(":status=200"), end("ok")], MALFORMED),
        get("no HTTP/2", frames![|_| b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison".to_vec()], MALFORMED),
        // heads that are too large
        get("many fields", frames![|stream| frame(HEADERS, END_HEADERS, stream, &fields(&format!(":status=200{}", "|x-a=b".repeat(1000)))), end("ok")], MALFORMED),
        get("a bomb", frames![|stream| frame(HEADERS, END_HEADERS, stream, &bomb()), end("ok")], MALFORMED),
        get("a number that never ends", frames![raw(HEADERS, END_HEADERS, &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), end("ok")], MALFORMED),
        // ends
        get("a reset for a head", frames![raw(RST_STREAM, 0, &[0, 0, 0, 2])], UNAVAILABLE),
        get("a refusal", frames![raw(RST_STREAM, 0, &[0, 0, 0, 7])], UNAVAILABLE),
        get("a reset in the body", frames![head(":status=200"), data("o"), raw(RST_STREAM, 0, &[0, 0, 0, 2])], Broken("upstream.unavailable")),
        get("a reset without an error in the body", frames![head(":status=200"), data("o"), raw(RST_STREAM, 0, &[0, 0, 0, 0])], Broken("upstream.unavailable")),
        get("a goodbye before the head", frames![of_connection(GOAWAY, 0, &[0; 8])], UNAVAILABLE),
        get("a goodbye in the body", frames![head(":status=200"), data("o"), of_connection(GOAWAY, 0, &[0, 0, 0, 0, 0, 0, 0, 2])], Broken("upstream.unavailable")),
        ("GET", "an end in the body", frames![head(":status=200"), data("o")], Then::Close, Broken("upstream.unavailable")),
        ("GET", "an end in the body of a length", frames![head(":status=200|content-length=2"), data("o")], Then::Close, Broken("upstream.unavailable")),
        ("GET", "an end for a head", frames![nothing], Then::Close, UNAVAILABLE),
        get("silence", frames![nothing], Refused(504, "upstream.timeout")),
        get("silence in the body", frames![head(":status=200"), data("o")], Broken("upstream.timeout")),
    ]
}

/// One field that is kept, and used for all that a frame takes.
fn bomb() -> Vec<u8> {
    let mut long = fields(&format!("x-bomb={}", "a".repeat(4000)));
    long[0] = 0x40;
    [fields(":status=200"), long, vec![0x80 | 62; 12_000]].concat()
}

/// Whether an answer came to its end: the length that it says, or the last chunk.
fn whole(answer: &str) -> Option<String> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    match field(answer, "content-length") {
        Some(length) => (body.len() == length.parse::<usize>().ok()?).then(|| body.into()),
        None if field(answer, "transfer-encoding").is_some() => {
            body.ends_with("0\r\n\r\n").then(|| super::body(answer))
        }
        None => Some(body.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_no_response_never_reach_a_client_as_one() {
    let backend = H2Raw::start().await;
    let policies = POLICIES.replace("    upgrade: websocket\n", "");
    let setup = Gateway::test().policies(&policies).h2c(backend.address).defence("retries: { attempts: 1 }");
    let gateway = setup.timeouts("{ connect: 1s, read: 500ms, write: 1s, idle: 5s }").start().await;
    let mut came = Vec::new();
    for (method, what, frames, then, fate) in responses() {
        backend.plays(frames, then);
        let answer = ask(&gateway, method).await;
        came.push((method, what, fate, answer));
    }
    let records = gateway.records(&[]);
    let mut wrong = Vec::new();
    for (method, what, fate, answer) in came {
        // What announces a response comes before it.
        let answer = answer.rsplit_once("HTTP/1.1 ").map_or("", |(_, last)| last);
        let answer = format!("HTTP/1.1 {answer}");
        let record = field(&answer, "x-request-id").map(|id| records.of(id));
        let reason = record.map_or("", |record| record["reason"].as_str().unwrap());
        let body = if method == "HEAD" || [204, 304].contains(&status(&answer)) {
            answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
        } else {
            whole(&answer)
        };
        let so = match fate {
            Passes(expected, text) => {
                status(&answer) == expected && body.as_deref() == Some(text) && reason == "allowed"
            }
            Refused(expected, why) => status(&answer) == expected && reason == why,
            Late(why) => status(&answer) == 200 && body.as_deref() == Some("") && [why, "allowed"].contains(&reason),
            Broken(why) => status(&answer) == 200 && body.is_none() && reason == why,
        };
        if !so || answer.contains("poison") {
            wrong.push(format!(
                "{what}: {fate:?}: {} {reason} {body:?} {:?}",
                status(&answer),
                record.map(|record| &record["end"])
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
