//! How much of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Change, Turn};
use crate::limit::{KeyPart, LimitMode, LimitRule, LimitScope};
use crate::policy::Policy;

pub(super) fn compare(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    let found = |policy: &Policy, id: &str| policy.limits.iter().find(|rule| *rule.id.as_str() == *id).map(settings);
    let names: BTreeSet<&str> = old.limits.iter().chain(&new.limits).map(|rule| rule.id.as_str()).collect();
    for id in names {
        let (before, after) = (found(old, id).unwrap_or_default(), found(new, id).unwrap_or_default());
        for what in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let text = |of: &BTreeMap<String, String>| of.get(what).cloned().unwrap_or_else(|| "none".to_owned());
            let (before, after) = (text(&before), text(&after));
            if before != after {
                changes.insert(Change {
                    turn: Turn::Differs,
                    who: format!("limit {id}"),
                    what: what.clone(),
                    before,
                    after,
                });
            }
        }
    }
}

fn settings(rule: &LimitRule) -> BTreeMap<String, String> {
    let key: Vec<String> = rule.key.iter().map(part).collect();
    let mode = if rule.mode == LimitMode::Shadow { "shadow" } else { "enforce" };
    let scope = match rule.scope {
        LimitScope::Gateway => "each gateway".to_owned(),
        LimitScope::Shared(on_loss) => format!("all gateways, {} without the store", on_loss.as_str()),
    };
    let all = [
        ("key", key.join(", ")),
        ("mode", mode.to_owned()),
        ("counted by", scope),
        ("of everybody", rule.amount.to_string()),
    ];
    let plans = rule.plans.iter().map(|(plan, amount)| (format!("of plan {plan}"), amount.to_string()));
    let tenants = rule.tenants.iter().map(|(tenant, amount)| (format!("of tenant {tenant}"), amount.to_string()));
    all.into_iter().map(|(what, text)| (what.to_owned(), text)).chain(plans).chain(tenants).collect()
}

fn part(part: &KeyPart) -> String {
    let word = KeyPart::WORDS.iter().find(|(_, known)| known == part).map(|(word, _)| (*word).to_owned());
    match (word, part) {
        (None, KeyPart::Claim(place)) => format!("claim {place}"),
        (word, _) => word.unwrap_or_default(),
    }
}
