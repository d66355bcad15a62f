use std::collections::{BTreeMap, VecDeque};

use audit::Row;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use tlog::{Hash, leaf_hash};

/// So many refusals, interruptions and events are listed, the latest; all are counted.
const LISTED: usize = 1_000;

/// So many actors are listed, those with the most requests.
const ACTORS: usize = 20;

/// What the records of a tenant in a span say. It is made of nothing but those, so that whoever has them makes it again.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Summary {
    pub(super) tenant: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) requests: u64,
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) by_reason: BTreeMap<String, u64>,
    pub(super) by_route: BTreeMap<String, Counts>,
    pub(super) by_status: BTreeMap<String, u64>,
    pub(super) actors: Vec<Actor>,
    pub(super) actors_in_all: u64,
    pub(super) denials: Vec<Request>,
    pub(super) interruptions_in_all: u64,
    pub(super) interruptions: Vec<Request>,
    pub(super) events_in_all: u64,
    pub(super) events: Vec<Event>,
    pub(super) chain: Chain,
}

#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Counts {
    pub(super) allowed: u64,
    pub(super) denied: u64,
}

/// Who acted, as the records hide it.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Actor {
    pub(super) sub: String,
    pub(super) iss: String,
    pub(super) requests: u64,
    pub(super) denied: u64,
}

/// One request.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Request {
    pub(super) time: String,
    pub(super) id: String,
    pub(super) sub: Option<String>,
    pub(super) route: Option<String>,
    pub(super) reason: String,
    pub(super) status: Option<u16>,
    pub(super) end: Option<String>,
}

/// Something about the tenant that is no request: its API keys, its tokens, who read its records.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Event {
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) what: String,
    pub(super) by: Option<String>,
}

/// The records that are shown: each follows on the one before it, or does not.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Chain {
    /// Which of the tenant's records the first and the last are.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) records: u64,
    /// How many of them are of another time: they stand between the others.
    pub(super) beside: u64,
    /// Where one does not follow on the one before it.
    pub(super) broken_at: Vec<u64>,
    #[serde(skip)]
    head: Option<Hash>,
}

/// Makes a [`Summary`] of records as they come.
pub(super) struct Making {
    summary: Summary,
    by_sub: BTreeMap<(String, String), Counts>,
    denials: VecDeque<Request>,
    interruptions: VecDeque<Request>,
    events: VecDeque<Event>,
}

impl Making {
    /// Of this tenant, from this time to before that, both as records write it.
    pub(super) fn new(tenant: &str, from: &str, to: &str) -> Self {
        let summary = Summary {
            tenant: tenant.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            requests: 0,
            allowed: 0,
            denied: 0,
            by_reason: BTreeMap::new(),
            by_route: BTreeMap::new(),
            by_status: BTreeMap::new(),
            actors: Vec::new(),
            actors_in_all: 0,
            denials: Vec::new(),
            interruptions_in_all: 0,
            interruptions: Vec::new(),
            events_in_all: 0,
            events: Vec::new(),
            chain: Chain::default(),
        };
        let (denials, interruptions, events) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { summary, by_sub: BTreeMap::new(), denials, interruptions, events }
    }

    /// Takes the next record of the tenant. Answers whether it is one, of the time that was asked for.
    pub(super) fn take(&mut self, row: &Row<'_>, json: &[u8]) -> bool {
        self.link(row, json);
        let summary = &mut self.summary;
        let is_asked = (summary.from.as_str()..summary.to.as_str()).contains(&row.time)
            && row.tenant == Some(summary.tenant.as_str());
        if !is_asked {
            summary.chain.beside += 1;
            return false;
        }
        match row.kind {
            Some(kind) => {
                summary.events_in_all += 1;
                keep(&mut self.events, event(row, kind));
            }
            None if row.stage == Some("final") => self.request(row),
            None => {} // the request has its final record, or will have it
        }
        true
    }

    fn link(&mut self, row: &Row<'_>, json: &[u8]) {
        let chain = &mut self.summary.chain;
        let found = row.tseq.unwrap_or_default();
        let before = row.tprev.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let follows = match chain.head {
            Some(head) => found == chain.last + 1 && before.as_deref() == Some(head.as_bytes().as_slice()),
            None => found > 0 && (found == 1) == before.is_none(),
        };
        if !follows || row.tenant != Some(self.summary.tenant.as_str()) {
            keep_first(&mut chain.broken_at, found);
        }
        if chain.head.is_none() {
            chain.first = found;
        }
        chain.last = found;
        chain.records += 1;
        chain.head = Some(leaf_hash(json));
    }

    fn request(&mut self, row: &Row<'_>) {
        let summary = &mut self.summary;
        let is_denied = row.decision == Some("deny");
        let count = |counts: &mut Counts| if is_denied { counts.denied += 1 } else { counts.allowed += 1 };
        summary.requests += 1;
        if is_denied {
            summary.denied += 1
        } else {
            summary.allowed += 1
        }
        *summary.by_reason.entry(row.reason.unwrap_or_default().to_owned()).or_default() += 1;
        count(summary.by_route.entry(row.route.unwrap_or("(none)").to_owned()).or_default());
        let status = row.status.map_or_else(|| "(none)".to_owned(), |status| status.to_string());
        *summary.by_status.entry(status).or_default() += 1;
        if let Some(sub) = row.sub {
            let actor = (sub.to_owned(), row.iss.unwrap_or_default().to_owned());
            count(self.by_sub.entry(actor).or_default());
        }
        if is_denied {
            keep(&mut self.denials, request(row));
        }
        if matches!(row.end, Some("abandoned" | "cut" | "interrupted" | "shutdown")) {
            summary.interruptions_in_all += 1;
            keep(&mut self.interruptions, request(row));
        }
    }

    pub(super) fn done(self) -> Summary {
        let Self { mut summary, by_sub, denials, interruptions, events } = self;
        summary.actors_in_all = by_sub.len() as u64;
        let mut actors: Vec<_> = by_sub
            .into_iter()
            .map(|((sub, iss), Counts { allowed, denied })| Actor { sub, iss, requests: allowed + denied, denied })
            .collect();
        actors.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.sub.cmp(&b.sub)));
        actors.truncate(ACTORS);
        summary.actors = actors;
        (summary.denials, summary.interruptions, summary.events) =
            (denials.into(), interruptions.into(), events.into());
        summary
    }
}

impl Summary {
    /// Whether each record follows on the one before it.
    pub(super) const fn is_whole(&self) -> bool {
        self.chain.broken_at.is_empty()
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    list.push_back(item);
    if list.len() > LISTED {
        list.pop_front();
    }
}

fn keep_first(list: &mut Vec<u64>, place: u64) {
    if list.len() < LISTED {
        list.push(place);
    }
}

fn request(row: &Row<'_>) -> Request {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Request {
        time: row.time.to_owned(),
        id: text(row.id).unwrap_or_default(),
        sub: text(row.sub),
        route: text(row.route),
        reason: text(row.reason).unwrap_or_default(),
        status: row.status,
        end: text(row.end),
    }
}

fn event(row: &Row<'_>, kind: &str) -> Event {
    let seconds = |at: Option<u64>| at.map(|at| at.to_string());
    let words = [
        ("key", row.key.map(str::to_owned)),
        ("replaces", row.replaces.map(str::to_owned)),
        ("roles", row.roles.clone()),
        ("expires", seconds(row.expires)),
        ("of", row.of.map(str::to_owned)),
        ("sub", row.sub.map(str::to_owned)),
        ("before", seconds(row.before)),
        ("filter", row.filter.clone()),
        ("found", seconds(row.found)),
    ];
    let words = words.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
    let by = row.by.as_ref().map(|by| row.uid.map_or_else(|| by.clone(), |uid| format!("{by}, user {uid}")));
    Event { time: row.time.to_owned(), kind: kind.to_owned(), what: words.collect::<Vec<_>>().join(" "), by }
}
