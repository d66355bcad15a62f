//! `cloister replay`: recorded decisions, made again by another set of policy files.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};

use audit::{Order, Query, Row};
use policy::{Recorded, Replayed};
use serde_json::json;
use terms::{Clock as _, SystemClock};

use super::filter;
use super::on_record::{self, Use};
use crate::args::{self, Format, Log};
use crate::failure::Failure;
use crate::load;
use crate::print::{self, Style};

/// So many different changes are told apart. What is beyond is counted.
const MOST: usize = 100_000;

/// Requests that are alike, and that something new becomes of.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Kind {
    replayed: Replayed,
    was: Box<str>,
    tenant: Box<str>,
    sub: Box<str>,
    route: Box<str>,
    method: Box<str>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    same: u64,
    allowed: u64,
    denied: u64,
    unknown: u64,
    /// Of `allowed` and `denied`, those that are not among the kinds.
    beyond: u64,
    kinds: HashMap<Kind, u64>,
    /// Why it is not known what becomes of a request.
    why: HashMap<&'static str, u64>,
}

pub(crate) fn run(arguments: &args::Replay) -> Result<(), Failure> {
    let args::Replay { log, new, policies, config, tenant, from, to, limit, format } = arguments;
    let (_, known) = load::config(config)?;
    let old = load::compile_untested(&load::texts(policies)?, &known)?;
    let new = load::compile_untested(&load::texts(new)?, &known)?;
    let now = SystemClock.now();
    let query = Query {
        tenant: filter::parse("--tenant", tenant.as_deref())?,
        from: from.as_deref().map(|text| filter::instant("--from", text, now)).transpose()?,
        to: to.as_deref().map(|text| filter::instant("--to", text, now)).transpose()?,
        order: Order::Oldest,
        ..Query::default()
    };
    let spans = [("tenant", tenant), ("from", from), ("to", to)];
    let words = spans.iter().filter_map(|(name, value)| value.as_deref().map(|value| format!("{name}={value}")));
    let filter = std::iter::once("replay".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
    let used = Use { tenant: query.tenant.clone(), filter, ..Use::read() };
    // ORDER: on record before the first of it is looked at.
    let whole = Log { dir: Some(log.clone()), config: config.clone(), class: None };
    on_record::note(&whole, log, &used);

    let mut replay = policy::Replay::new(&old.policy, &new.policy);
    let mut counts = Counts::default();
    // The logs of all retention classes: what a request gets does not depend on when.
    for found in super::logs(&whole)? {
        for stored in query.clone().run(&found.directory).map_err(|error| Failure::setup("the log", &error))? {
            let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
            let row = Row::parse(&stored.json).map_err(|error| Failure::broke("the log", &error))?;
            counts.take(&row, &mut replay);
            progress(counts.requests);
        }
    }
    progress_ends();
    match format {
        Format::Json => print::line(counts.as_json(*limit)),
        Format::Text => counts.print(*limit),
    }
    if counts.allowed + counts.denied == 0 { Ok(()) } else { Err(Failure::No) }
}

impl Counts {
    fn take(&mut self, row: &Row<'_>, replay: &mut policy::Replay<'_>) {
        let Some(reason) = row.reason.and_then(|reason| reason.parse().ok()) else { return };
        let replayed = replay.judge(&Recorded {
            host: row.host.as_deref(),
            method: row.method.as_deref(),
            route: row.route,
            tenant: row.tenant,
            issuer: row.iss,
            by_key: row.key.is_some(),
            roles: row.roles.as_deref(),
            forwarded: row.decision == Some("allow"),
            reason,
        });
        self.requests += 1;
        match replayed {
            Replayed::Same => {
                self.same += 1;
                return;
            }
            Replayed::Unknown(why) => {
                self.unknown += 1;
                *self.why.entry(why).or_default() += 1;
                return;
            }
            Replayed::Allowed => self.allowed += 1,
            Replayed::Denied(_) => self.denied += 1,
        }
        let text = |text: Option<&str>| text.unwrap_or("-").into();
        let kind = Kind {
            replayed,
            was: text(row.reason),
            tenant: text(row.tenant),
            sub: text(row.sub),
            route: text(row.route),
            method: text(row.method.as_deref()),
        };
        if self.kinds.len() < MOST || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        } else {
            self.beyond += 1;
        }
    }

    /// What is newly allowed first, then by how many requests it is about.
    fn sorted(&self) -> Vec<(&Kind, u64)> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(kind, count)| (kind, *count)).collect();
        kinds.sort_by(|(one, count), (two, other)| {
            let names = |kind: &Kind| (kind.tenant.clone(), kind.sub.clone(), kind.route.clone(), kind.method.clone());
            let turn = |kind: &Kind| kind.replayed != Replayed::Allowed;
            turn(one).cmp(&turn(two)).then(other.cmp(count)).then_with(|| names(one).cmp(&names(two)))
        });
        kinds
    }

    fn print(&self, limit: usize) {
        let style = Style::stdout();
        let kinds = self.sorted();
        let head = ["would be", "requests", "tenant", "who", "route", "method", "was"].map(str::to_owned).to_vec();
        let rows = kinds.iter().take(limit).map(|(kind, count)| {
            let Kind { replayed, was, tenant, sub, route, method } = kind;
            let rest = [tenant, sub, route, method, was].map(|text| text.to_string());
            [vec![word(*replayed), count.to_string()], rest.to_vec()].concat()
        });
        let table = print::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
        if !kinds.is_empty() {
            for (line, kind) in table.into_iter().zip(std::iter::once(None).chain(kinds.iter().map(Some))) {
                let opens = kind.is_some_and(|(kind, _)| kind.replayed == Replayed::Allowed);
                print::line(if opens { style.bad(&line) } else { line });
            }
        }
        let more = kinds.iter().skip(limit).map(|(_, count)| count).sum::<u64>() + self.beyond;
        if more > 0 {
            print::line(format_args!("and {more} requests more (--limit)"));
        }
        let mut why: Vec<_> = self.why.iter().collect();
        why.sort_by_key(|(why, count)| (std::cmp::Reverse(**count), **why));
        for (why, count) in why {
            print::line(format_args!("{count} are not known: {why}"));
        }
        let Self { requests, allowed, denied, same, unknown, .. } = self;
        print::line(format_args!(
            "{requests} requests: {allowed} newly allowed, {denied} newly denied, {same} as before, {unknown} unknown"
        ));
    }

    fn as_json(&self, limit: usize) -> serde_json::Value {
        let kinds = self.sorted().into_iter().take(limit).map(|(kind, count)| {
            let Kind { replayed, was, tenant, sub, route, method } = kind;
            json!({ "would_be": word(*replayed), "requests": count, "tenant": tenant, "sub": sub, "route": route,
                    "method": method, "was": was })
        });
        json!({ "requests": self.requests, "newly_allowed": self.allowed, "newly_denied": self.denied,
                "same": self.same, "unknown": self.unknown, "unknown_why": self.why,
                "changes": kinds.collect::<Vec<_>>() })
    }
}

fn word(replayed: Replayed) -> String {
    match replayed {
        Replayed::Allowed => "allowed".to_owned(),
        Replayed::Denied(reason) => reason.to_string(),
        Replayed::Same => "same".to_owned(),
        Replayed::Unknown(why) => why.to_owned(),
    }
}

/// How far it is, on a terminal.
fn progress(requests: u64) {
    let mut terminal = std::io::stderr();
    if requests.is_multiple_of(1 << 17) && terminal.is_terminal() {
        drop(write!(terminal, "\r{requests} requests"));
    }
}

fn progress_ends() {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        drop(write!(terminal, "\r\u{1b}[K"));
    }
}
