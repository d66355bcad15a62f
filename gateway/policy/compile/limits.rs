use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use terms::{Finding, Findings, LimitId, Rate};

use super::Written;
use super::names::{Names, parse};
use crate::file::LimitEntry;
use crate::limit::{KeyPart, LimitRule};
use crate::route::Route;
use yaml::{At, Tried};

/// All limits, in the order of the files, and their names.
pub(super) struct Limits {
    names: Names<usize>,
    rules: Vec<LimitRule>,
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

    /// Whether a limit counts requests of which nobody knows yet who makes them.
    pub(super) fn counts_without_caller(&self, place: usize) -> bool {
        self.rules.get(place).is_some_and(|rule| !rule.key.iter().any(|part| part.needs_caller()))
    }

    pub(super) fn into_values(self) -> Vec<LimitRule> {
        self.rules
    }
}

pub(super) fn read(files: &[Written], findings: &mut Findings) -> Limits {
    let mut limits = Limits { names: Names::of("limit"), rules: Vec::new() };
    for Written { file, entries } in files {
        for limit in &entries.limits {
            let place = limit.name.spot.place(file);
            let next = limits.rules.len();
            limits.names.give(limit.name.as_str(), place.clone(), next, findings);
            let id: Option<LimitId> = parse(file, &limit.name, findings);
            let Some(LimitEntry { rate, burst, key }) = &limit.entry else {
                continue;
            };
            let rate: Option<Rate> = parse(file, rate, findings);
            let burst_or_zero = NonZeroU32::new(burst.value);
            if burst_or_zero.is_none() {
                let finding = Finding::error(burst.spot.place(file), "a burst of zero lets nothing through");
                findings.push(finding.help("to close a route, take its permission away"));
            }
            let key = read_key(file, key, findings);
            if let (Some(id), Some(rate), Some(burst)) = (id, rate, burst_or_zero) {
                limits.rules.push(LimitRule { id, rate, burst, key, place });
            }
        }
    }
    limits
}

fn read_key(file: &Arc<str>, written: &At<Vec<At<Tried<KeyPart>>>>, findings: &mut Findings) -> Vec<KeyPart> {
    let mut key = Vec::new();
    for part in &written.value {
        match part.value {
            Tried(Some(known)) if key.contains(&known) => {
                findings.push(Finding::error(part.spot.place(file), "this part of the key stands here twice"));
            }
            Tried(known) => key.extend(known),
        }
    }
    if written.value.is_empty() {
        let finding = Finding::error(written.spot.place(file), "a limit without a key is one bucket for everybody");
        findings.push(finding.help("name what shares a bucket: `tenant`, `user`, `client_ip`, `route`"));
    }
    key
}

pub(super) fn warn_unused(limits: &Limits, routes: &[Arc<Route>], findings: &mut Findings) {
    let used: BTreeSet<usize> = routes.iter().flat_map(|route| &route.limits).copied().collect();
    for (name, place, index) in limits.names.iter() {
        if !used.contains(index) {
            findings.push(Finding::warning(place.clone(), format!("no route has limit `{name}`")));
        }
    }
}
