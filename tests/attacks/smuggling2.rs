//! The same in HTTP/2, where lengths are clear and names and values are not lines: what HTTP/1 would make of them is.
//!
//! A row is `head » body » trailers`, each a list of `name=value`; `{get}` and `{post}` are the fields of a good request.

use super::arena::{Arena, Attack, Sent};
use super::expect::Expect::{self, Broken, Passes, Refused};
use super::expect::{assert_none, complaint, laxity};
use super::http2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, frame};
use crate::harness::Gateway;

type Row = (&'static str, &'static str, &'static [Expect]);

const TABLE: &[Row] = &[
    ("a good request", "{get}", &[Passes("")]),
    ("a good request with a body", "{post} » abc", &[Passes("abc")]),
    ("a good request with its length", "{post}|content-length=3 » abc", &[Passes("abc")]),
    // pseudo-header fields (RFC 9113 §8.3)
    ("no method", ":scheme=https|:path=/orders/1|:authority=acme.example.test|{token}", &[Refused("unparsed")]),
    ("no path", ":method=GET|:scheme=https|:authority=acme.example.test|{token}", &[Refused("unparsed")]),
    ("no scheme", ":method=GET|:path=/orders/1|:authority=acme.example.test|{token}", &[Refused("unparsed")]),
    ("no authority", ":method=GET|:scheme=https|:path=/orders/1|{token}", &[Refused("unparsed")]),
    (
        "two methods",
        ":method=GET|:method=POST|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "two paths",
        ":method=GET|:scheme=https|:path=/orders/1|:path=/smuggled|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "two authorities",
        ":method=GET|:scheme=https|:path=/orders/1|:authority=acme.example.test|:authority=globex.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "two schemes",
        ":method=GET|:scheme=https|:scheme=http|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a path behind a field",
        ":method=GET|:scheme=https|:authority=acme.example.test|{token}|:path=/orders/1",
        &[Refused("unparsed")],
    ),
    ("a second path behind a field", "{get}|:path=/smuggled", &[Refused("unparsed")]),
    ("a pseudo-header that nobody knows", ":evil=1|{get}", &[Refused("unparsed")]),
    ("a status in a request", ":status=200|{get}", &[Refused("unparsed")]),
    ("a pseudo-header in capitals", ":Method=POST|{get}", &[Refused("unparsed")]),
    ("a pseudo-header with a space", ":method =POST|{get}", &[Refused("unparsed")]),
    // the path
    ("a path with a space", "{at}/orders/1 /x", &[Refused("unparsed")]),
    ("a path with a request line", "{at}/orders/1 HTTP/1.1\r\nX: y", &[Refused("unparsed")]),
    ("a path with a line end", "{at}/orders/1\r\nX: y", &[Refused("unparsed")]),
    ("a path with a tab", "{at}/orders/1\tx", &[Refused("unparsed")]),
    ("a path with a NUL", "{at}/orders/1\0", &[Refused("unparsed")]),
    ("a path in absolute form", "{at}https://acme.example.test/orders/1", &[Refused("unparsed")]),
    ("a path with a fragment, which the parser cuts off", "{at}/orders/1#x", &[Passes("")]),
    ("an empty path", "{at}", &[Refused("unparsed")]),
    ("a path without a slash", "{at}orders/1", &[Refused("unparsed")]),
    ("a path that is a query", "{at}?x", &[Refused("path.form")]),
    ("an asterisk", "{at}*", &[Refused("path.form")]),
    ("a path with an escaped line end", "{at}/orders/1%0d%0aX:%20y", &[Refused("path.control")]),
    ("a path of dots", "{at}/orders/../smuggled", &[Refused("path.dot_segment")]),
    ("a path that begins with two slashes", "{at}//evil.test/orders/1", &[Refused("path.empty_segment")]),
    // the method and the scheme
    (
        "a method with a request line",
        ":method=GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nGET|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a method with a space",
        ":method=GET /x|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "an empty method",
        ":method=|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a method in small letters",
        ":method=get|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("method")],
    ),
    ("TRACE", ":method=TRACE|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}", &[Refused("method")]),
    ("CONNECT", ":method=CONNECT|:authority=acme.example.test:443|{token}", &[Refused("unparsed")]),
    (
        "CONNECT with a path",
        ":method=CONNECT|:scheme=https|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "CONNECT for a websocket",
        ":method=CONNECT|:protocol=websocket|:scheme=https|:path=/socket|:authority=acme.example.test|sec-websocket-version=13|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a protocol of a GET",
        ":method=GET|:protocol=websocket|:scheme=https|:path=/socket|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a scheme with a path",
        ":method=GET|:scheme=https://evil.test/x?|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    (
        "a scheme with a line end",
        ":method=GET|:scheme=https\r\nX: y|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Refused("unparsed")],
    ),
    ("an empty scheme", ":method=GET|:scheme=|:path=/orders/1|:authority=acme.example.test|{token}", &[Passes("")]),
    (
        "a scheme that is not the connection's",
        ":method=GET|:scheme=http|:path=/orders/1|:authority=acme.example.test|{token}",
        &[Passes("")],
    ),
    // the authority
    ("an authority and another host", "{get}|host=globex.example.test", &[Refused("unparsed")]),
    ("an authority and the same host", "{get}|host=acme.example.test", &[Passes("")]),
    ("an authority and two hosts", "{get}|host=acme.example.test|host=acme.example.test", &[Refused("unparsed")]),
    ("a host alone", ":method=GET|:scheme=https|:path=/orders/1|host=acme.example.test|{token}", &[Passes("")]),
    (
        "an authority with a user",
        ":method=GET|:scheme=https|:path=/public/1|:authority=a@acme.example.test",
        &[Refused("unparsed")],
    ),
    (
        "an authority with a path",
        ":method=GET|:scheme=https|:path=/public/1|:authority=acme.example.test/x",
        &[Refused("unparsed")],
    ),
    (
        "an authority with a line end",
        ":method=GET|:scheme=https|:path=/public/1|:authority=acme.example.test\r\nX: y",
        &[Refused("unparsed")],
    ),
    (
        "an authority with a space",
        ":method=GET|:scheme=https|:path=/public/1|:authority=acme.example.test x",
        &[Refused("unparsed")],
    ),
    ("an empty authority", ":method=GET|:scheme=https|:path=/public/1|:authority=", &[Refused("unparsed")]),
    (
        "a list of authorities",
        ":method=GET|:scheme=https|:path=/public/1|:authority=acme.example.test,globex.example.test",
        &[Refused("host")],
    ),
    // fields of the connection (RFC 9113 §8.2.2)
    ("a coding", "{post}|transfer-encoding=chunked » 0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("a coding and a length", "{post}|content-length=5|transfer-encoding=chunked » 0\r\n\r\n", &[Refused("unparsed")]),
    ("a connection", "{get}|connection=close", &[Refused("unparsed")]),
    ("a connection that nominates", "{get}|connection=x-tenant-id", &[Refused("unparsed")]),
    ("a keep-alive", "{get}|keep-alive=timeout=5", &[Refused("unparsed")]),
    ("a connection of a proxy", "{get}|proxy-connection=keep-alive", &[Refused("unparsed")]),
    ("an upgrade", "{get}|upgrade=websocket", &[Refused("unparsed")]),
    ("settings for an upgrade", "{get}|http2-settings=AAMAAABkAAQAAP__", &[Passes("")]),
    ("a TE of more than trailers", "{get}|te=gzip", &[Refused("unparsed")]),
    // names and values
    ("a name in capitals", "{get}|X-Own=1", &[Refused("unparsed")]),
    ("a name with a space", "{get}|x own=1", &[Refused("unparsed")]),
    ("a name with a colon", "{get}|x:own=1", &[Refused("unparsed")]),
    ("a name with a line end", "{get}|x: y\r\nx-own=1", &[Refused("unparsed")]),
    ("a name with a whole request", "{get}|x: y\r\n\r\nGET /smuggled HTTP/1.1\r\nx=1", &[Refused("unparsed")]),
    ("an empty name", "{get}|=1", &[Refused("unparsed")]),
    ("a name with an underscore", "{post}|content_length=3 » abc", &[Refused("field")]),
    ("a value with a line end", "{get}|x=a\r\nx-tenant-id: globex", &[Refused("unparsed")]),
    ("a value with a whole request", "{get}|x=a\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("a value with an LF", "{get}|x=a\nTransfer-Encoding: chunked", &[Refused("unparsed")]),
    ("a value with a CR", "{get}|x=a\rTransfer-Encoding: chunked", &[Refused("unparsed")]),
    ("a value with a NUL", "{get}|x=a\0b", &[Refused("unparsed")]),
    ("a value with a space in front", "{get}|x= a", &[Passes("")]),
    ("a value with a space behind", "{get}|x=a ", &[Passes("")]),
    ("a value beyond ASCII", "{get}|x=caf\u{e9}", &[Passes("")]),
    // lengths
    ("a length that is too short", "{post}|content-length=1 » abc", &[Broken("allowed")]),
    ("a length that is too long", "{post}|content-length=100 » abc", &[Broken("allowed")]),
    ("a length of zero and a body, which is reset", "{post}|content-length=0 » {evil}", &[Passes("")]),
    ("two lengths", "{post}|content-length=0|content-length={n} » {evil}", &[Refused("unparsed")]),
    ("one length twice", "{post}|content-length={n}|content-length={n} » {evil}", &[Refused("duplicate_field")]),
    ("a list of lengths", "{post}|content-length=3, 3 » abc", &[Refused("unparsed")]),
    ("a length with a plus", "{post}|content-length=+3 » abc", &[Refused("unparsed")]),
    ("a length with zeros in front", "{post}|content-length=003 » abc", &[Refused("framing")]),
    ("a length with a line end", "{post}|content-length=3\r\nx: y » abc", &[Refused("unparsed")]),
    ("a length over 2^64", "{post}|content-length=18446744073709551619 » abc", &[Refused("unparsed")]),
    ("a request in the body", "{post} » {evil}", &[Passes("{evil}")]),
    ("chunks in the body", "{post} » 0\r\n\r\n{evil}", &[Passes("0\r\n\r\n{evil}")]),
    ("a request in the body of a GET", "{get} » {evil}", &[Passes("{evil}")]),
    // trailers
    ("trailers", "{post} » abc » x-own=1", &[Passes("abc")]),
    ("a length in the trailers", "{post} » abc » content-length={n}", &[Passes("abc")]),
    ("a coding in the trailers", "{post} » abc » transfer-encoding=chunked", &[Broken("allowed")]),
    ("a path in the trailers", "{post} » abc » :path=/smuggled", &[Passes("abc")]),
    ("a line end in the trailers", "{post} » abc » x=a\r\n\r\n{evil}", &[Refused("unparsed")]),
    // expectations
    ("an expectation that nobody knows", "{post}|expect=200-ok » abc", &[Refused("expectation")]),
];

type Frames = (&'static str, fn(&[u8]) -> Vec<u8>, &'static [Expect]);

/// `block` is that of a good POST.
const FRAMES: &[Frames] = &[
    // The end of a body is told once, or what is next on the backend's connection begins with it.
    ("an empty frame at the end", |block| in_frames(block, &[b"abc", b""]), &[Passes("abc")]),
    ("an empty frame in the middle", |block| in_frames(block, &[b"abc", b"", b"def"]), &[Passes("abcdef")]),
    ("nothing but an empty frame", |block| in_frames(block, &[b""]), &[Passes("")]),
    ("a head in pieces", in_pieces, &[Passes("")]),
    (
        "a head of which a piece belongs to another stream",
        |block| {
            [frame(HEADERS, END_STREAM, 1, &block[..20]), frame(CONTINUATION, END_HEADERS, 3, &block[20..])].concat()
        },
        &[Refused("unparsed")],
    ),
    (
        "a head with a body in the middle",
        |block| {
            [
                frame(HEADERS, 0, 1, &block[..20]),
                frame(DATA, 0, 1, b"x"),
                frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
            ]
            .concat()
        },
        &[Refused("unparsed")],
    ),
    ("a head that never ends", |block| frame(HEADERS, END_STREAM, 1, block), &[Refused("unparsed")]),
    (
        "a stream with an even number",
        |block| frame(HEADERS, END_STREAM | END_HEADERS, 2, block),
        &[Refused("unparsed")],
    ),
    (
        "a body behind the end",
        |block| [frame(HEADERS, END_STREAM | END_HEADERS, 1, block), frame(DATA, END_STREAM, 1, b"x")].concat(),
        &[Refused("unparsed")],
    ),
    (
        "a second head on the stream, which is read as trailers",
        |block| [frame(HEADERS, END_HEADERS, 1, block), frame(HEADERS, END_HEADERS | END_STREAM, 1, block)].concat(),
        &[Passes("")],
    ),
    (
        "trailers that do not end the stream",
        |head| {
            let trailers = block(&[(b"x-own".to_vec(), b"1".to_vec())]);
            [frame(HEADERS, END_HEADERS, 1, head), frame(HEADERS, END_HEADERS, 1, &trailers)].concat()
        },
        &[Broken("allowed")],
    ),
    (
        "more padding than there is",
        |block| frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &[&[255], block].concat()[..100]),
        &[Refused("unparsed")],
    ),
    (
        "a field that no table has",
        |block| frame(HEADERS, END_STREAM | END_HEADERS, 1, &[block, &[0xff, 0xff, 0xff, 0x0f]].concat()),
        &[Refused("unparsed")],
    ),
    (
        "a table larger than was agreed",
        |block| frame(HEADERS, END_STREAM | END_HEADERS, 1, &[&[0x3f, 0xff, 0xff, 0xff, 0x0f], block].concat()),
        &[Refused("unparsed")],
    ),
    (
        "a reset behind the head",
        |block| [frame(HEADERS, END_HEADERS, 1, block), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])].concat(),
        &[Broken("allowed")],
    ),
];

fn in_frames(block: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut frames = frame(HEADERS, END_HEADERS, 1, block);
    for (index, piece) in pieces.iter().enumerate() {
        frames.extend(frame(DATA, if index + 1 == pieces.len() { END_STREAM } else { 0 }, 1, piece));
    }
    frames
}

const PADDED: u8 = 0x8;

fn in_pieces(block: &[u8]) -> Vec<u8> {
    let mut pieces: Vec<_> = block.chunks(100).map(|piece| frame(CONTINUATION, 0, 1, piece)).collect();
    pieces[0] = frame(HEADERS, END_STREAM, 1, &block[..100]);
    pieces.push(frame(CONTINUATION, END_HEADERS, 1, &[]));
    pieces.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_in_http_2() {
    let arena = Arena::open(Gateway::test()).await;
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let attack = |(name, text, _): &Row| Attack { name: (*name).into(), sent: Sent::Http2(expand(text, &token)) };
    let attacks: Vec<_> = TABLE.iter().map(attack).collect();
    let outcomes = arena.run(&attacks).await;
    assert_none(TABLE.iter().zip(&outcomes).filter_map(|((_, _, expected), outcome)| complaint(outcome, expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_out_of_order_become_no_request() {
    let arena = Arena::open(Gateway::test()).await;
    let head = block(&fields("{post}", &arena.gateway.token("acme", "ada", &["clerk"])));
    let attack = |(name, make, _): &Frames| Attack { name: (*name).into(), sent: Sent::Http2(make(&head)) };
    let attacks: Vec<_> = FRAMES.iter().map(attack).collect();
    let outcomes = arena.run(&attacks).await;
    assert_none(FRAMES.iter().zip(&outcomes).filter_map(|((_, _, expected), outcome)| complaint(outcome, expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_makes_smuggling_easier_in_http_2() {
    let arena = Arena::open(Gateway::test()).await;
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let mut attacks = Vec::new();
    let mut allowed = Vec::new();
    for method in ["HEAD", "OPTIONS", "DELETE"] {
        for (name, text, expected) in TABLE.iter().filter(|(_, text, _)| text.starts_with('{')) {
            let head = format!(":method={method}|:scheme=https|:path=/orders/1|:authority=acme.example.test|{{token}}");
            let text = text.replacen("{get}", &head, 1).replacen("{post}", &head, 1).replacen(
                "{at}",
                &format!("{{at {method}}}"),
                1,
            );
            attacks.push(Attack { name: format!("{name}, as {method}"), sent: Sent::Http2(expand(&text, &token)) });
            allowed.push(*expected);
        }
    }
    for (name, text, expected) in super::smuggling1::TABLE {
        if let Some(frames) = translated(&super::smuggling1::expand(text, &token)) {
            attacks.push(Attack { name: format!("{name}, as HTTP/2"), sent: Sent::Http2(frames) });
            allowed.push(*expected);
        }
    }
    assert!(attacks.len() > 300, "{}", attacks.len());
    let outcomes = arena.run(&attacks).await;
    assert_none(outcomes.iter().zip(allowed).filter_map(|(outcome, expected)| laxity(outcome, expected)));
}

/// A request of HTTP/1 as one of HTTP/2, if its lines are lines: names in small letters, one `Host` as the authority.
fn translated(request: &[u8]) -> Option<Vec<u8>> {
    let text: String = request.iter().map(|byte| char::from(*byte)).collect();
    let bytes = |text: &str| text.chars().map(|character| character as u8).collect::<Vec<_>>();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (line, lines) = head.split_once("\r\n")?;
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    if target.contains('#') {
        return None; // cut off by the parser, see the table above
    }
    let mut rest = Vec::new();
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        rest.push((bytes(&name.to_ascii_lowercase()), bytes(value.strip_prefix(' ').unwrap_or(value))));
    }
    let pseudo = [(":method", method), (":scheme", "https"), (":path", target)];
    let mut fields: Vec<_> = pseudo.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    if let [host] = &rest.iter().filter(|(name, _)| name == b"host").collect::<Vec<_>>()[..] {
        fields.push((b":authority".to_vec(), host.1.clone()));
        rest.retain(|(name, _)| name != b"host");
    }
    fields.extend(rest);
    let end = if body.is_empty() { END_STREAM } else { 0 };
    let mut frames = frame(HEADERS, END_HEADERS | end, 1, &block(&fields));
    if !body.is_empty() {
        frames.extend(frame(DATA, END_STREAM, 1, &bytes(body)));
    }
    Some(frames)
}

/// `head » body » trailers` as frames of stream 1.
pub fn expand(text: &str, token: &str) -> Vec<u8> {
    let mut parts = text.split(" » ");
    let head = block(&fields(parts.next().unwrap(), token));
    let (body, trailers) = (parts.next(), parts.next());
    let ends = |last| if last { END_STREAM } else { 0 };
    let mut frames = frame(HEADERS, END_HEADERS | ends(body.is_none()), 1, &head);
    if let Some(body) = body {
        frames.extend(frame(DATA, ends(trailers.is_none()), 1, &super::smuggling1::expand(body, token)));
    }
    if let Some(trailers) = trailers {
        frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields(trailers, token))));
    }
    frames
}

fn fields(text: &str, token: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let to = |method: &str, path: &str| {
        format!(":method={method}|:scheme=https|:path={path}|:authority=acme.example.test|authorization=Bearer {token}")
    };
    let text = match text.strip_prefix("{at ").unwrap_or(text).split_once('}') {
        Some(("{at", path)) => to("GET", path),
        Some((method, path)) if text.starts_with("{at ") => to(method, path),
        _ => text.replace("{get}", &to("GET", "/orders/1")).replace("{post}", &to("POST", "/orders/1")),
    };
    let text = text.replace("{token}", &format!("authorization=Bearer {token}"));
    let bytes = |text: &str| super::smuggling1::expand(text, token);
    let field = |field: &str| {
        let (name, value) = field.split_once('=').expect("a field is `name=value`");
        (bytes(name), bytes(value))
    };
    text.split('|').map(field).collect()
}
