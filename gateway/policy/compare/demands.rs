//! What is asked of whoever a route serves, and what is promised: where both policies have it under one name.

use std::collections::BTreeSet;

use crate::compare::{Change, Turn};
use crate::policy::Policy;
use crate::route::{AcceptsKeys, Access, DenyAs, Mode, OnFailure, Promise, Route};

pub(super) fn compare(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    for after in &new.routes {
        let Some(before) = old.routes.iter().find(|route| route.id == after.id) else { continue };
        let (was, will_be) = (settings(old, before), settings(new, after));
        let names: BTreeSet<&str> = was.iter().chain(&will_be).map(|(name, _)| *name).collect();
        for name in names {
            let text = |of: &[(&'static str, String)]| {
                let found = of.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone());
                found.filter(|text| !text.is_empty()).unwrap_or_else(|| "none".to_owned())
            };
            let (before, after_text) = (text(&was), text(&will_be));
            if before != after_text {
                let who = format!("route {}", after.id);
                changes.insert(Change { turn: Turn::Differs, who, what: name.to_owned(), before, after: after_text });
            }
        }
    }
}

/// Everything that a route asks for besides roles, as it is written.
fn settings(policy: &Policy, route: &Route) -> Vec<(&'static str, String)> {
    let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    let mut settings = vec![
        ("match", format!("{}{}", route.host, route.template)),
        ("upstream", list(&mut upstreams(route))),
        ("limits", list(&mut route.limits.iter().filter_map(|at| Some(policy.limits.get(*at)?.id.to_string())))),
        ("max_body", route.max_body.to_string()),
    ];
    settings.push(match route.audit {
        Promise::Strict => ("audit", "strict".to_owned()),
        Promise::Standard(_) => ("audit", "standard".to_owned()),
    });
    let failure = match route.audit {
        Promise::Standard(OnFailure::Spill) => "spill",
        Promise::Standard(OnFailure::InsecureAllow) => "insecure_allow",
        Promise::Standard(OnFailure::Deny) | Promise::Strict => "deny",
    };
    settings.push(("on_audit_failure", failure.to_owned()));
    settings.push(("mode", if route.mode == Mode::Shadow { "shadow" } else { "enforce" }.to_owned()));
    settings.push(("deny_as", if route.deny_as == DenyAs::NotFound { "404" } else { "403" }.to_owned()));
    settings.push(("when", route.when.as_ref().map(|when| when.program.text().to_owned()).unwrap_or_default()));
    let owner = route.owner.as_ref().map(|owner| format!("segment {} of {}", owner.segment + 1, owner.issuer));
    settings.push(("owner", owner.unwrap_or_default()));
    match &route.access {
        Access::Public => settings.push(("auth", "none".to_owned())),
        Access::Services { authorities, tenant_from } => {
            settings.push(("auth", "a certificate".to_owned()));
            settings.push(("authorities", list(&mut authorities.iter().map(ToString::to_string))));
            settings.push(("tenant_from", list(&mut tenant_from.iter().map(ToString::to_string))));
        }
        Access::Guarded { issuers, tenant_from, keys, demands } => {
            settings.push(("auth", "a token".to_owned()));
            settings.push(("issuers", list(&mut issuers.iter().map(ToString::to_string))));
            settings.push(("tenant_from", list(&mut tenant_from.iter().map(ToString::to_string))));
            settings.push(("api_keys", (*keys == AcceptsKeys::Yes).to_string()));
            settings.push(("bound_to", list(&mut demands.bound_to.iter().map(ToString::to_string))));
            let authentication = &demands.authentication;
            settings.push(("acr", authentication.acr.join(", ")));
            settings.push(("amr.any", authentication.any_of.join(", ")));
            settings.push(("amr.all", authentication.all_of.join(", ")));
            let age = authentication.max_age.map(|age| format!("{}s", age.as_secs()));
            settings.push(("max_age", age.unwrap_or_default()));
        }
    }
    settings
}

fn upstreams(route: &Route) -> impl Iterator<Item = String> {
    use crate::Destination;
    let mut texts: Vec<String> = match &route.upstream {
        Destination::One(upstream) => vec![upstream.to_string()],
        Destination::ByTenant { named, otherwise } => {
            let named = named.iter().map(|(tenant, upstream)| format!("{tenant}: {upstream}"));
            named.chain(otherwise.iter().map(|upstream| format!("otherwise: {upstream}"))).collect()
        }
    };
    texts.sort();
    texts.into_iter()
}
