//! A body that is longer than its route takes, in whatever frames it comes: the client is told, and the backend never gets
//! more than the route takes.

use bytes::Bytes;
use http::Request;

use super::arena::{Arena, Over};
use super::expect::assert_none;
use crate::harness::{Gateway, Setup};

const POLICY: &str = r#"
tenants: { acme: { status: active } }
roles: { clerk: { allow: ["order:write"] } }
routes:
  - id: sized
    match: { host: "{tenant}.example.test", path: "/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
    max_body: 1KiB
"#;

/// What comes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// All of it reaches the backend.
    Taken,
    /// The client is told, and the log says so. What was declared does not reach the backend at all.
    TooLarge,
    /// The stream is reset: where it ends is not where it says.
    Reset,
    /// Anything else, which is what no row wants.
    Answered(u16),
}
use Fate::{Answered, Reset, Taken, TooLarge};

/// What the `Content-Length` says, the sizes of the frames, and what comes of it.
type Row = (&'static str, Option<usize>, &'static [usize], Fate);

const TABLE: &[Row] = &[
    ("as long as may be", Some(1024), &[1024], Taken),
    ("as long as may be, of no length", None, &[1024], Taken),
    ("as long as may be, in pieces", None, &[1, 1000, 0, 23], Taken),
    ("as long as may be, in letters", None, &[1; 1024], Taken),
    ("one too long", Some(1025), &[1025], TooLarge),
    ("one too long, and not there", Some(1025), &[], Reset),
    ("one too long, of no length", None, &[1025], TooLarge),
    ("one too long, in pieces", None, &[1024, 1], TooLarge),
    ("one too long, with nothing between", None, &[1024, 0, 0, 1], TooLarge),
    ("one too long, in letters", None, &[1; 1025], TooLarge),
    ("far too long", Some(200_000), &[10_000; 20], TooLarge),
    ("far too long, of no length", None, &[10_000; 20], TooLarge),
    ("longer than it says", Some(1024), &[1024, 1], Reset),
    ("far longer than it says", Some(1), &[10_000; 20], Reset),
    ("shorter than it says", Some(1024), &[1000], Reset),
];

const BOUND: usize = 1024;

/// A method, and whether it is a call of gRPC.
const KINDS: [(&str, bool); 4] = [("POST", false), ("PUT", false), ("GET", false), ("POST", true)];

#[tokio::test(flavor = "multi_thread")]
async fn no_backend_gets_more_of_a_body_than_its_route_takes() {
    for arena in [Arena::open(setup()).await, Arena::open_h2c(setup()).await] {
        let token = arena.gateway.token("acme", "ada", &["clerk"]);
        let asked = [Over::Cleartext, Over::Tls]
            .into_iter()
            .flat_map(|over| KINDS.into_iter().flat_map(move |kind| TABLE.iter().map(move |row| (over, kind, row))));
        let asked: Vec<_> = asked.zip(0..).collect();
        let answers = asked.iter().map(|((over, kind, row), number)| ask(&arena, *over, *kind, row, *number, &token));
        let answers = futures::future::join_all(answers).await;
        let records = arena.gateway.records(&[]);
        let arrived = arena.all();
        assert_none(asked.iter().zip(answers).filter_map(|(((over, kind, row), number), (fate, id))| {
            let target = format!("/{number}");
            let arrived: Vec<_> = arrived.iter().filter(|request| request.target == target).collect();
            let whole = arrived.iter().any(|request| request.whole);
            let most = if row.3 == TooLarge && row.1.is_some() { 0 } else { 1 };
            let bounded = arrived.len() <= most && arrived.iter().all(|request| request.body.len() <= BOUND);
            let reason = id.map(|id| records.of(&id)["reason"].clone());
            let named = fate != TooLarge || reason == Some("request.malformed.body_too_large".into());
            let so = fate == row.3 && whole == (fate == Taken) && bounded && named;
            (!so)
                .then(|| format!("{}, {kind:?}, over {over:?}: {fate:?}, {reason:?}, this arrived: {arrived:?}", row.0))
        }));
    }
}

fn setup() -> Setup {
    Gateway::test().policies(POLICY).listener("h2c: true")
}

/// Asks over a connection of its own. Gives what came of it, and the id of the request if there was an answer.
async fn ask(
    arena: &Arena,
    over: Over,
    (method, grpc): (&str, bool),
    (_, length, pieces, _): &Row,
    number: usize,
    token: &str,
) -> (Fate, Option<String>) {
    let mut request = Request::builder().method(method).uri(format!("https://acme.example.test/{number}"));
    request = request.header("authorization", format!("Bearer {token}"));
    if grpc {
        request = request.header("content-type", "application/grpc").header("te", "trailers");
    }
    if let Some(length) = length {
        request = request.header("content-length", length.to_string());
    }
    let (mut sender, connection) = arena.http2(over).await;
    let talking = async {
        sender = sender.ready().await.unwrap();
        let (response, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        for piece in *pieces {
            if body.send_data(Bytes::from(vec![b'x'; *piece]), false).is_err() {
                break; // it has been answered by now
            }
        }
        let _answered = body.send_data(Bytes::new(), true);
        let Ok(head) = response.await.map(|response| response.into_parts().0) else { return (Reset, None) };
        let field = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let fate = match (head.status.as_u16(), field("grpc-status").as_deref()) {
            (200, None | Some("0")) => Taken,
            (413, None) | (200, Some("8")) => TooLarge,
            (status, _) => Answered(status),
        };
        (fate, field("x-request-id"))
    };
    tokio::select! {
        answer = talking => answer,
        _ = connection => (Reset, None),
    }
}
