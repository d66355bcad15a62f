mod amount;
mod plans;
mod scope;

use std::collections::BTreeSet;
use std::sync::Arc;

use terms::{Finding, Findings, LimitId, Place, PlanId};
use yaml::At;

use super::Written;
use super::names::{Names, parse, shown};
use crate::Known;
use crate::file::PlanEntry;
use crate::known::{ClaimForm, KnownClaim, Standing};
use crate::limit::{Amount, KeyPart, KeySource, LimitRule, LimitScope};
use crate::route::Route;
use amount::Reader;

pub(super) use plans::{Plans, read_weight};

/// How many limits one request may meet in one step.
pub(super) const MOST: usize = 8;

/// All limits, in the order of the files, and their names.
pub(super) struct Limits {
    names: Names<usize>,
    rules: Vec<LimitRule>,
    sources: Vec<KeySource>,
    /// Those that say of themselves that gateways share them.
    asked_for: BTreeSet<usize>,
}

impl Limits {
    /// The place in the list of a limit that a route names, and the limit if it could be read.
    pub(super) fn find(
        &self,
        file: &Arc<str>,
        name: &At<String>,
        findings: &mut Findings,
    ) -> Option<(usize, Option<&LimitRule>)> {
        let place = *self.names.find(file, name, findings)?;
        let rule = self.rules.get(place).filter(|rule| rule.id.as_str() == name.as_str());
        Some((place, rule))
    }

    pub(super) fn sources(&self) -> &[KeySource] {
        &self.sources
    }

    pub(super) fn get(&self, place: usize) -> Option<&LimitRule> {
        self.rules.get(place)
    }

    /// Whether a limit counts requests of which nobody knows yet who makes them.
    pub(super) fn counts_without_caller(&self, place: usize) -> bool {
        self.rules.get(place).is_some_and(|rule| {
            let known = |part: &KeyPart| matches!(part, KeyPart::ClientIp | KeyPart::Route);
            matches!(rule.amount, Amount::Rate { .. }) && rule.key.iter().all(known)
        })
    }

    /// All of them. Those that count on arrival do so in each gateway: what is thrown away there must cost nothing.
    pub(super) fn into_values(mut self, arrival: &[(usize, Place)]) -> Vec<LimitRule> {
        for (place, _) in arrival {
            if let Some(rule) = self.rules.get_mut(*place) {
                rule.scope = LimitScope::Gateway;
            }
        }
        self.rules
    }
}

/// Every limit, with what plans and tenants have of it; and every plan.
pub(super) fn read(files: &[Written<'_>], known: &Known, findings: &mut Findings) -> (Limits, Plans) {
    let mut limits =
        Limits { names: Names::of("limit"), rules: Vec::new(), sources: Vec::new(), asked_for: BTreeSet::new() };
    for Written { file, entries, .. } in files {
        for limit in &entries.limits {
            let place = limit.name.spot.place(file);
            let next = limits.rules.len();
            limits.names.give(limit.name.as_str(), place.clone(), next, findings);
            let id: Option<LimitId> = parse(file, &limit.name, findings);
            if limit.name.as_str() == PlanEntry::WEIGHT {
                let finding = Finding::error(limit.name.spot.place(file), "`weight` in a plan is no limit's name");
                findings.push(finding.help("call the limit something else"));
            }
            let Some(entry) = &limit.entry else { continue };
            let amount = Reader { file }.limit(&limit.name, entry, findings);
            let key = read_key(file, &entry.key, known, &mut limits.sources, findings);
            let mode = entry.mode.as_ref().and_then(|mode| mode.0).unwrap_or_default();
            let scope = scope::read(file, entry, known.counting, findings);
            if let (Some(id), Some(amount)) = (id, amount) {
                let (plans, tenants) = (Vec::new(), Vec::new());
                if scope::is_asked_for(entry) {
                    limits.asked_for.insert(next);
                }
                limits.rules.push(LimitRule { id, key, mode, scope, amount, plans, tenants, place });
            }
        }
    }
    let plans = plans::read(files, &mut limits, findings);
    (limits, plans)
}

fn read_key(
    file: &Arc<str>,
    written: &At<Vec<At<String>>>,
    known: &Known,
    sources: &mut Vec<KeySource>,
    findings: &mut Findings,
) -> Vec<KeyPart> {
    let mut key = Vec::new();
    for part in &written.value {
        let read = match part.as_str().split_once(':') {
            Some(("claim", claim)) => read_claim(file, part, claim, known, findings),
            Some(("header", name)) => {
                read_header(file, part, name, findings).and_then(|it| named(file, part, it, sources, findings))
            }
            Some(("path", name)) => named(file, part, KeySource::Path(name.into()), sources, findings),
            Some(_) | None => read_word(file, part, findings),
        };
        match read {
            Some(read) if key.contains(&read) => {
                findings.push(Finding::error(part.spot.place(file), "this part of the key stands here twice"));
            }
            read => key.extend(read),
        }
    }
    if written.value.is_empty() {
        let finding = Finding::error(written.spot.place(file), "a limit without a key is one bucket for everybody");
        findings.push(finding.help("name what shares a bucket: `tenant`, `user`, `client_ip`, `route`"));
    }
    key
}

fn read_word(file: &Arc<str>, part: &At<String>, findings: &mut Findings) -> Option<KeyPart> {
    let found = KeyPart::WORDS.into_iter().find(|(word, _)| *word == part.as_str());
    if found.is_none() {
        let message = format!("`{}` is not known here", shown(part.as_str()));
        let words = KeyPart::WORDS.iter().map(|(word, _)| *word);
        findings.push(Finding::error(part.spot.place(file), message).did_you_mean(part.as_str(), words));
    }
    found.map(|(_, part)| part)
}

/// How many places limits may count by that nobody has verified: each request looks at all of them.
const NAMED: usize = 4;

fn named(
    file: &Arc<str>,
    part: &At<String>,
    source: KeySource,
    sources: &mut Vec<KeySource>,
    findings: &mut Findings,
) -> Option<KeyPart> {
    let place = sources.iter().position(|known| *known == source);
    if place.is_none() && sources.len() >= NAMED {
        let message = format!("limits count by at most {NAMED} fields and places in paths");
        findings.push(Finding::error(part.spot.place(file), message));
        return None;
    }
    let place = place.unwrap_or_else(|| {
        sources.push(source);
        sources.len() - 1
    });
    Some(KeyPart::Named(place))
}

fn read_header(file: &Arc<str>, part: &At<String>, name: &str, findings: &mut Findings) -> Option<KeySource> {
    let mut refuse = |message: &str, help: &str| {
        findings.push(Finding::error(part.spot.place(file), message.to_owned()).help(help.to_owned()));
        None
    };
    match name.parse::<http::HeaderName>() {
        Ok(name) if ["authorization", "cookie", "x-api-key", "dpop"].contains(&name.as_str()) => {
            refuse("what proves who asks is no name of a budget", "write `user`, `api_key` or a claim")
        }
        Ok(name) => Some(KeySource::Header(name.as_str().into())),
        Err(_) => refuse("this is not the name of a field", "for example `header:X-Account`"),
    }
}

fn read_claim(
    file: &Arc<str>,
    part: &At<String>,
    claim: &str,
    known: &Known,
    findings: &mut Findings,
) -> Option<KeyPart> {
    match known.claims.look_up(claim) {
        Standing::Sound(_, KnownClaim { place, form: ClaimForm::Number | ClaimForm::Text }) => {
            Some(KeyPart::Claim(*place))
        }
        Standing::Sound(_, KnownClaim { form: ClaimForm::Bool | ClaimForm::Texts, .. }) => {
            let message = format!("claim `{}` is neither a text nor a number", shown(claim));
            findings.push(Finding::error(part.spot.place(file), message).help("count by one that is"));
            None
        }
        Standing::Unsure => None,
        Standing::Unknown => {
            let message = format!("claim `{}` is not one that tokens are asked for", shown(claim));
            let finding = Finding::error(part.spot.place(file), message).did_you_mean(claim, known.claims.all());
            let needs_help = finding.help.is_none();
            let help = "name it under `claims` in cloister.yaml: `claims: { org: org_id }`";
            findings.push(if needs_help { finding.help(help) } else { finding });
            None
        }
    }
}

/// The limits that count every request, and where each is named.
pub(super) fn read_arrival(files: &[Written<'_>], limits: &Limits, findings: &mut Findings) -> Vec<(usize, Place)> {
    let mut arrival: Vec<(usize, Place)> = Vec::new();
    for Written { file, entries, .. } in files {
        for name in &entries.arrival {
            let Some((index, rule)) = limits.find(file, name, findings) else { continue };
            let place = name.spot.place(file);
            let mut refuse = |message: &str, help: &str| {
                findings.push(Finding::error(place.clone(), message.to_owned()).help(help.to_owned()));
            };
            if rule.is_some_and(|rule| rule.key != [KeyPart::ClientIp]) {
                refuse(
                    "nothing is known of a request on arrival but its address",
                    "use a limit whose key is `client_ip` alone",
                );
            }
            if rule.is_some_and(|rule| !matches!(rule.amount, Amount::Rate { .. })) {
                refuse("on arrival requests are counted, and not how they end", "use a limit with a `rate`");
            }
            if limits.asked_for.contains(&index) {
                refuse(
                    "on arrival each gateway counts for itself, so that what is thrown away costs nothing",
                    "take `scope` and `on_store_loss` away from the limit",
                );
            }
            if arrival.iter().any(|(known, _)| *known == index) {
                refuse("this limit stands here twice", "take one of them away");
            }
            arrival.push((index, place));
        }
    }
    if let Some((_, beyond)) = arrival.get(MOST) {
        findings.push(Finding::error(beyond.clone(), format!("at most {MOST} limits count on arrival")));
    }
    arrival
}

/// Notes limits that nothing counts, and those that would count the same request twice.
pub(super) fn check_use(limits: &Limits, routes: &[Arc<Route>], arrival: &[(usize, Place)], findings: &mut Findings) {
    let used: BTreeSet<usize> = routes.iter().flat_map(|route| &route.limits).copied().collect();
    for (name, place, index) in limits.names.iter() {
        match arrival.iter().find(|(known, _)| known == index) {
            Some((_, at)) if used.contains(index) => {
                let message = format!("limit `{name}` counts every request here, and those of a route again");
                findings.push(Finding::error(at.clone(), message).help("define another one for the route"));
            }
            None if !used.contains(index) => {
                findings.push(Finding::warning(place.clone(), format!("no route has limit `{name}`")));
            }
            Some(_) | None => {}
        }
    }
}

/// Whether tenants may have this plan: one that stands in the files, or any where none does.
pub(super) fn is_plan(plans: &[PlanId], plan: &PlanId) -> bool {
    plans.is_empty() || plans.contains(plan)
}
