//! HTTP/2 turned against whoever serves it: streams that are opened to be reset, by the client (CVE-2023-44487) or by the
//! gateway itself (CVE-2025-8671), heads that grow where they are unpacked, and frames that ask for nothing, in numbers.
//!
//! Each row is sent over TLS and without. It ends with a good request: the connection has been ended by then, or still
//! serves it; and whoever asks over another connection is served all the while.

mod bombs;
mod chatter;
mod resets;

use std::collections::BTreeMap;

use super::arena::{Arena, Attack, Outcome, Over, Sent};
use super::expect::assert_none;
use super::http2::{END_HEADERS, END_STREAM, HEADERS, Step, block, frame, is_answered, sent_away};
use crate::harness::{Gateway, PATIENCE};

use End::{Away, Cut, Ended, Serves};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It is told to go away, with this code (RFC 9113 §7).
    Away(u32),
    /// It is closed without a word, and counted as a flood.
    Cut,
    /// It is ended in one of these ways: because it is too much.
    Ended,
    /// It serves the next request.
    Serves,
}

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What a row sends, and what comes of it.
struct Row {
    name: &'static str,
    /// Steps, and the stream of the good request behind them.
    sent: (Vec<Step>, u32),
    end: End,
    /// The most requests that get to the backend, beside the good one.
    most: usize,
    /// The reason that the log has, if it must have one. Whatever was in time is `allowed`, and what was not, `unparsed`.
    says: Option<&'static str>,
}

const ALLOWED: &str = "allowed";
const UNPARSED: &str = "request.malformed.unparsed";

/// Heads that rows are made of.
struct Heads {
    get: Vec<u8>,
    post: Vec<u8>,
    /// A post whose length is five.
    sized: Vec<u8>,
}

impl Heads {
    fn new(token: &str) -> Self {
        let head = |method: &str, length: &[(&str, &str)]| {
            let bearer = format!("Bearer {token}");
            let all = [(":method", method), (":scheme", "https"), (":path", "/orders/1")];
            let who = [(":authority", "acme.example.test"), ("authorization", &*bearer)];
            let all = all.iter().chain(&who).chain(length);
            block(&all.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect::<Vec<_>>())
        };
        Self { get: head("GET", &[]), post: head("POST", &[]), sized: head("POST", &[("content-length", "5")]) }
    }

    fn get(&self, stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &self.get)
    }

    fn post(&self, stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream, &self.post)
    }

    fn sized(&self, stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream, &self.sized)
    }
}

/// Frames for each of so many streams, all at once.
fn each(streams: u32, frames: impl Fn(u32) -> Vec<u8>) -> (Vec<Step>, u32) {
    let frames = (0..streams).flat_map(|number| frames(2 * number + 1)).collect();
    (vec![Step::Frames(frames)], 2 * streams + 1)
}

/// These frames, of stream 1 and none besides.
fn once(frames: Vec<u8>) -> (Vec<Step>, u32) {
    (vec![Step::Frames(frames)], 3)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_to_be_reset_are_bounded() {
    attack(resets::table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_grow_where_they_are_unpacked_are_bounded() {
    attack(bombs::table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_are_bounded() {
    attack(chatter::table).await;
}

async fn attack(table: impl Fn(&Heads) -> Vec<Row>) {
    let arena = Arena::open(Gateway::test().listener("h2c: true")).await;
    let heads = Heads::new(&arena.gateway.token("acme", "ada", &["clerk"]));
    let rows = table(&heads);
    let both = [Over::Cleartext, Over::Tls].into_iter().flat_map(|over| rows.iter().map(move |row| (over, row)));
    let attack = |(over, row): (Over, &Row)| {
        let (mut steps, probe) = row.sent.clone();
        steps.push(Step::Frames(heads.get(probe)));
        Attack { name: format!("{}, over {over:?}", row.name), sent: Sent::Steps(over, steps, probe) }
    };
    let attacks: Vec<_> = both.clone().map(attack).collect();
    let outcomes = tokio::select! {
        outcomes = some_at_once(&arena, &attacks) => outcomes,
        () = asking(&arena) => unreachable!("it asks for ever"),
    };
    assert_none(both.clone().zip(&outcomes).filter_map(|((_, row), outcome)| complaint(row, outcome)));
    let cut = both.zip(&outcomes).filter(|((_, row), outcome)| end(outcome, row.sent.1) == Cut).count();
    let counted = arena.gateway.admin("/metrics").1;
    assert!(counted.contains(&format!("cloister_connections_cut_total{{why=\"flood\"}} {cut}\n")), "{cut}: {counted}");
}

/// So few that none is slow for the others: what is forgiven with time is little then.
async fn some_at_once(arena: &Arena, attacks: &[Attack]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for some in attacks.chunks(8) {
        outcomes.extend(arena.run(some).await);
    }
    outcomes
}

/// Asks over a connection of its own, one request after the other.
async fn asking(arena: &Arena) {
    loop {
        let answer = arena.gateway.send(arena.gateway.request("GET", "acme", "/public/1"));
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("others are served meanwhile");
        assert_eq!(answer.status, 200);
    }
}

fn end(outcome: &Outcome, probe: u32) -> End {
    match sent_away(&outcome.answer) {
        Some(code) => Away(code),
        None if is_answered(&outcome.answer, probe) => Serves,
        None => Cut,
    }
}

fn complaint(row: &Row, outcome: &Outcome) -> Option<String> {
    let (end, reasons, arrived) = (end(outcome, row.sent.1), outcome.reasons(), outcome.arrived.len());
    let known = [Some(ALLOWED), Some(UNPARSED), row.says];
    let told = reasons.iter().all(|reason| known.contains(&Some(reason)))
        && row.says.is_none_or(|says| reasons.contains(&says));
    let most = row.most + usize::from(end == Serves);
    let ended = row.end == Ended && [Away(ENHANCE_YOUR_CALM), Cut].contains(&end);
    (end != row.end && !ended || arrived > most || !told).then(|| {
        let mut says = BTreeMap::new();
        reasons.iter().for_each(|reason| *says.entry(reason).or_insert(0) += 1);
        format!("{}: {end:?}, not {:?}; {arrived} arrived; the log says {says:?}", outcome.name, row.end)
    })
}
