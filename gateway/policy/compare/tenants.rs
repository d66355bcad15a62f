//! Who is served at all: tenants, and the members that stand in the files.

use std::collections::BTreeSet;

use tenancy::{Status, Tenant};
use terms::{RoleName, TenantId};

use crate::compare::{Change, Turn};
use crate::policy::Policy;

pub(super) fn compare(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    let names: BTreeSet<&TenantId> = old.tenants.iter().chain(new.tenants.iter()).map(|tenant| &tenant.id).collect();
    for name in names {
        let (before, after) = (old.tenants.get(name.as_str()), new.tenants.get(name.as_str()));
        let who = format!("tenant {name}");
        let served = |tenant: Option<&Tenant>| tenant.is_some_and(|tenant| tenant.status == Status::Active);
        let status = |tenant: Option<&Tenant>| tenant.map_or("unknown", |tenant| tenant.status.as_str()).to_owned();
        if status(before) != status(after) {
            let turn = match (served(before), served(after)) {
                (false, true) => Turn::Gains,
                (true, false) => Turn::Loses,
                _ => Turn::Differs,
            };
            let (before, after) = (status(before), status(after));
            changes.insert(Change { turn, who: who.clone(), what: "status".to_owned(), before, after });
        }
        if let (Some(before), Some(after)) = (before, after) {
            for ((what, before), (_, after)) in settings(before).into_iter().zip(settings(after)) {
                if before != after {
                    changes.insert(Change {
                        turn: Turn::Differs,
                        who: who.clone(),
                        what: what.to_owned(),
                        before,
                        after,
                    });
                }
            }
        }
    }
    members(old, new, changes);
    services(old, new, changes);
}

fn settings(tenant: &Tenant) -> [(&'static str, String); 8] {
    let none = || "none".to_owned();
    let issuers = |issuers: &[terms::IssuerId]| issuers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    [
        ("clients", tenant.clients.to_string()),
        ("issuers", tenant.issuers.as_deref().map_or_else(none, issuers)),
        ("mfa", tenant.mfa.as_ref().map_or_else(none, ToString::to_string)),
        ("plan", tenant.plan.as_ref().map_or_else(none, ToString::to_string)),
        ("region", tenant.region.as_ref().map_or_else(none, ToString::to_string)),
        ("role_bindings", tenant.bindings.as_ref().map_or_else(none, ToString::to_string)),
        ("session_max", tenant.session_max.map_or_else(none, |longest| format!("{}s", longest.as_secs()))),
        ("weight", tenant.weight.to_string()),
    ]
}

fn members(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    let both: BTreeSet<_> =
        old.members.iter().chain(new.members.iter()).map(|(tenant, user, _)| (tenant, user)).collect();
    for (tenant, user) in both {
        let (before, after) = (old.members.roles(tenant, user), new.members.roles(tenant, user));
        let (was, will_be) = (sorted(before.map(AsRef::as_ref)), sorted(after.map(AsRef::as_ref)));
        if was != will_be {
            // One role more may be a deny more, so only who comes and who goes has a direction.
            let turn = match (before, after) {
                (None, Some(_)) => Turn::Gains,
                (Some(_), None) => Turn::Loses,
                _ => Turn::Differs,
            };
            let who = format!("user {user} of {tenant}");
            changes.insert(Change { turn, who, what: "roles".to_owned(), before: was, after: will_be });
        }
    }
}

fn services(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    for after in new.services.iter() {
        let Some(before) = old.services.named(after.name.as_str()) else { continue };
        let who = || format!("service {}", after.name);
        for (what, was, will_be) in [
            ("tenant", before.tenant.to_string(), after.tenant.to_string()),
            ("authority", before.authority.to_string(), after.authority.to_string()),
            ("roles", sorted(Some(&before.roles)), sorted(Some(&after.roles))),
        ] {
            if was != will_be {
                let change =
                    Change { turn: Turn::Differs, who: who(), what: what.to_owned(), before: was, after: will_be };
                changes.insert(change);
            }
        }
    }
}

fn sorted(roles: Option<&[RoleName]>) -> String {
    let Some(roles) = roles else { return "not a member".to_owned() };
    let sorted: BTreeSet<&str> = roles.iter().map(RoleName::as_str).collect();
    if sorted.is_empty() { "none".to_owned() } else { sorted.into_iter().collect::<Vec<_>>().join(" ") }
}
