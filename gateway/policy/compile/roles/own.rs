//! Roles that a tenant has made for its own members, within what the platform lets tenants give.

use terms::{Finding, Findings, Grant, Place};
use yaml::At;

use super::{Draft, Reader, lineage};
use crate::Known;
use crate::compile::Written;
use crate::compile::conditions::Sheet;
use crate::compile::names::{Names, parse};

/// How a role of a tenant's own is told from those of others. No name of a role has a blank in it, so that no token can
/// carry one.
pub(super) fn qualified(tenant: &str, name: &str) -> String {
    format!("{tenant} {name}")
}

pub(super) fn read(
    files: &[Written<'_>],
    known: &Known,
    parameters: &[String],
    roles: &mut Names<Draft>,
    findings: &mut Findings,
) {
    let mut names = Vec::new();
    for Written { file, text, entries } in files {
        let reader = Reader { sheet: Sheet { file, text, known }, parameters };
        for tenant in &entries.tenants {
            for (name, entry) in tenant.entry.iter().flat_map(|entry| &entry.roles.0) {
                if let Some(place) = roles.place(name.as_str()) {
                    let message = format!("role `{}` is one for all tenants", name.value);
                    let finding = Finding::error(name.spot.place(file), message);
                    findings.push(finding.help(format!("take another name; that one stands at {place}")));
                    continue;
                }
                let of = tenant.name.as_str();
                let draft = reader.draft(name, entry.0.as_ref(), Some(of), findings);
                let name_of = qualified(of, name.as_str());
                roles.give(&name_of, name.spot.place(file), draft, findings);
                names.push(name_of);
            }
        }
    }
    for name in &names {
        resolve(name, roles, findings);
    }
    let delegated = delegated(files, findings);
    for name in &names {
        refuse_more(name, &delegated, roles, findings);
    }
}

/// What tenants may give, over all files.
pub(super) fn delegated(files: &[Written<'_>], findings: &mut Findings) -> Vec<Grant> {
    let written = files.iter().flat_map(|file| file.entries.delegated.iter().map(|grant| (&file.file, grant)));
    written.filter_map(|(file, grant): (_, &At<String>)| parse(file, grant, findings)).collect()
}

/// A parent is one of the tenant's own roles, or one for all.
fn resolve(name: &str, roles: &mut Names<Draft>, findings: &mut Findings) {
    let Some(Draft { inherits, of: Some(tenant), .. }) = roles.get(name) else { return };
    let mut parents = Vec::with_capacity(inherits.len());
    for (parent, place) in inherits {
        let own = qualified(tenant, parent);
        match (roles.has(&own), roles.has(parent)) {
            (true, _) => parents.push((own, place.clone())),
            (false, true) => parents.push((parent.clone(), place.clone())),
            (false, false) => {
                let message = format!("role `{parent}` is not defined, for all or for `{tenant}`");
                findings.push(Finding::error(place.clone(), message));
            }
        }
    }
    if let Some(draft) = roles.get_mut(name) {
        draft.inherits = parents;
    }
}

/// FAIL CLOSED: a role that asks for more than tenants may give keeps the files from being used, so it is never in force.
fn refuse_more(name: &str, delegated: &[Grant], roles: &Names<Draft>, findings: &mut Findings) {
    let Some(draft) = roles.get(name) else { return };
    let within = |grant: &Grant| delegated.iter().any(|bound| bound.holds(grant));
    let mut refuse = |place: &Place, message: String| {
        let help = match delegated {
            [] => "the platform says under `delegated` what they may give".to_owned(),
            delegated => {
                let bounds: Vec<String> = delegated.iter().map(|grant| format!("`{grant}`")).collect();
                format!("they may give what is within {}", bounds.join(", "))
            }
        };
        findings.push(Finding::error(place.clone(), message).help(help));
    };
    for clause in draft.written.allow.iter().chain(&draft.written.glass).filter(|clause| !within(&clause.grant)) {
        refuse(&clause.place, format!("`{}` is more than tenants may give to roles of their own", clause.grant));
    }
    // A parent that is the tenant's own is told of itself.
    let shared = draft.inherits.iter().filter(|(parent, _)| roles.get(parent).is_some_and(|it| it.of.is_none()));
    for (parent, place) in shared {
        let line = lineage(parent, roles);
        let line = line.iter().filter_map(|name| roles.get(name));
        if let Some(clause) = line
            .flat_map(|draft| draft.written.allow.iter().chain(&draft.written.glass))
            .find(|clause| !within(&clause.grant))
        {
            let message = format!("role `{parent}` grants `{}`, which is more than tenants may give", clause.grant);
            refuse(place, message);
        }
    }
}
