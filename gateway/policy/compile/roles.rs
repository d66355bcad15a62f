use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use terms::{Finding, Findings, Grant, Permission, Place, RoleName};

use super::Written;
use super::names::{Names, parse};
use crate::decide::RuleId;
use crate::file::RoleEntry;
use crate::role::{self, Role, Rules};
use crate::route::Route;
use yaml::At;

/// A role whose references have been checked.
pub(super) struct Draft {
    name: Option<RoleName>,
    inherits: Vec<(String, Place)>,
    written: role::Written,
}

/// Reads the roles of all files and checks what they inherit.
pub(super) fn read(files: &[Written], findings: &mut Findings) -> Names<Draft> {
    let mut roles = Names::of("role");
    for Written { file, entries } in files {
        for named in &entries.roles {
            let place = named.name.spot.place(file);
            let mut draft = Draft {
                name: parse(file, &named.name, findings),
                inherits: Vec::new(),
                written: role::Written { place: place.clone(), allow: Vec::new(), deny: Vec::new() },
            };
            if let Some(RoleEntry { inherits, allow, deny }) = &named.entry {
                draft.inherits = inherits.iter().map(|role| (role.value.clone(), role.spot.place(file))).collect();
                draft.written.allow = read_grants(file, allow, findings);
                draft.written.deny = read_grants(file, deny, findings);
            }
            roles.give(named.name.as_str(), place, draft, findings);
        }
    }
    check_inheritance(files, &roles, findings);
    roles
}

fn read_grants(file: &Arc<str>, written: &[At<String>], findings: &mut Findings) -> Vec<(Grant, Place)> {
    let mut grants = Vec::with_capacity(written.len());
    for grant in written {
        if let Some(parsed) = parse(file, grant, findings) {
            grants.push((parsed, grant.spot.place(file)));
        }
    }
    grants
}

fn check_inheritance(files: &[Written], roles: &Names<Draft>, findings: &mut Findings) {
    for Written { file, entries } in files {
        let entries = entries.roles.iter().filter_map(|named| named.entry.as_ref());
        for parent in entries.flat_map(|entry| &entry.inherits) {
            roles.find(file, parent, findings);
        }
    }
    let mut settled = BTreeSet::new();
    for (name, _, _) in roles.iter() {
        find_circle(name, roles, &mut Vec::new(), &mut settled, findings);
    }
}

/// Walks down from `name`; a role that is met again on its own way closes a circle. Each role is walked once.
fn find_circle<'a>(
    name: &'a str,
    roles: &'a Names<Draft>,
    way: &mut Vec<&'a str>,
    settled: &mut BTreeSet<&'a str>,
    findings: &mut Findings,
) {
    if settled.contains(name) || way.len() > MOST_GENERATIONS {
        return;
    }
    way.push(name);
    for (parent, place) in roles.get(name).iter().flat_map(|draft| &draft.inherits) {
        let Some(start) = way.iter().position(|role| role == parent) else {
            find_circle(parent, roles, way, settled, findings);
            continue;
        };
        let circle = way.iter().copied().skip(start).chain([parent.as_str()]);
        let circle: Vec<String> = circle.map(|role| format!("`{role}`")).collect();
        findings.push(Finding::error(place.clone(), format!("roles inherit in a circle: {}", circle.join(" → "))));
    }
    if let (true, Some(draft)) = (way.len() > MOST_GENERATIONS, roles.get(name)) {
        let message = format!("roles inherit over more than {MOST_GENERATIONS} generations");
        findings.push(Finding::error(draft.written.place.clone(), message));
    }
    way.pop();
    settled.insert(name);
}

/// How deep inheritance goes: no organisation is this deep, and the walk above is recursive.
const MOST_GENERATIONS: usize = 64;

/// Compiles roles against the permissions that routes ask for. Called when no circle and no unknown name is left.
pub(super) fn compile(
    drafts: &Names<Draft>,
    permissions: &[Permission],
    routes: &[Arc<Route>],
    findings: &mut Findings,
) -> HashMap<RoleName, Role> {
    let mut roles = HashMap::new();
    for (name, _, draft) in drafts.iter() {
        let lineage = lineage(name, drafts);
        let rules = |of: fn(&role::Written) -> &Vec<(Grant, Place)>| {
            let ancestors = lineage.iter().filter_map(|name| Some((name, drafts.get(name)?)));
            let grants = ancestors.flat_map(|(name, draft)| of(&draft.written).iter().map(move |grant| (name, grant)));
            let rules = grants.flat_map(|(name, (grant, place))| {
                let covered = permissions.iter().enumerate().filter(|(_, asked)| grant.covers(asked));
                let rule = RuleId::new(place, name);
                covered.map(move |(index, _)| (index, rule.clone())).collect::<Vec<_>>()
            });
            Rules::new(permissions.len(), rules)
        };
        let (allows, denies) = (rules(|written| &written.allow), rules(|written| &written.deny));
        let role = Role {
            allows,
            denies,
            lineage: lineage.iter().filter_map(|name| drafts.get(name)?.name.clone()).collect(),
            written: draft.written.clone(),
        };
        warn_idle(draft, permissions, findings);
        roles.extend(draft.name.clone().map(|name| (name, role)));
    }
    warn_ungranted(&roles, permissions, routes, findings);
    roles
}

/// Itself, then what it inherits, each once: a parent's whole line before the next parent.
fn lineage<'a>(name: &'a str, drafts: &'a Names<Draft>) -> Vec<&'a str> {
    let (mut lineage, mut seen, mut next) = (Vec::new(), BTreeSet::new(), vec![name]);
    while let Some(name) = next.pop() {
        if seen.insert(name) {
            lineage.push(name);
            let parents = drafts.get(name).map_or(&[][..], |draft| &draft.inherits);
            next.extend(parents.iter().rev().map(|(parent, _)| parent.as_str()));
        }
    }
    lineage
}

fn warn_idle(draft: &Draft, permissions: &[Permission], findings: &mut Findings) {
    let role::Written { place: _, allow, deny } = &draft.written;
    for (grant, place) in allow.iter().chain(deny) {
        if !permissions.iter().any(|asked| grant.covers(asked)) {
            let finding = Finding::warning(place.clone(), format!("no route asks for `{grant}`"));
            findings.push(finding.did_you_mean(grant.as_str(), permissions.iter().map(Permission::as_str)));
        }
    }
}

fn warn_ungranted(
    roles: &HashMap<RoleName, Role>,
    permissions: &[Permission],
    routes: &[Arc<Route>],
    findings: &mut Findings,
) {
    for (index, permission) in permissions.iter().enumerate() {
        if roles.values().any(|role| role.allows.get(index).is_some()) {
            continue;
        }
        let asks = |route: &&Arc<Route>| route.asks.other == Some(index) || route.asks.by_method.contains(&Some(index));
        if let Some(route) = routes.iter().find(asks) {
            let message = format!("no role grants `{permission}`, which route `{}` asks for", route.id);
            findings.push(Finding::warning(route.place.clone(), message));
        }
    }
}
