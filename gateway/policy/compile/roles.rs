mod own;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use terms::{Finding, Findings, Grant, Permission, Place, RoleName, TenantId};

use super::conditions::{Sheet, all_parameters};
use super::covered::covered;
use super::names::{Names, parse, shown};
use super::{Known, Written};
use crate::condition::{Condition, PARAMETERS};
use crate::decide::RuleId;
use crate::fields::readable;
use crate::file::{BreakGlassEntry, GrantEntry, JustificationEntry, RoleEntry};
use crate::glass::Justification;
use crate::role::{self, Clause, Of, Own, Proviso, Role, Rule, Rules};
use crate::route::Route;
use yaml::{At, Tried};

/// A role whose references have been checked.
pub(super) struct Draft {
    name: Option<RoleName>,
    /// The tenant whose own role it is.
    of: Option<String>,
    inherits: Vec<(String, Place)>,
    written: role::Written,
}

/// Reads the roles of all files, and those of tenants, and checks what they inherit.
pub(super) fn read(files: &[Written<'_>], known: &Known, findings: &mut Findings) -> Names<Draft> {
    let mut roles = Names::of("role");
    let parameters = all_parameters(files);
    for Written { file, text, entries } in files {
        let reader = Reader { sheet: Sheet { file, text, known }, parameters: &parameters };
        for named in &entries.roles {
            let draft = reader.draft(&named.name, named.entry.as_ref(), None, findings);
            roles.give(named.name.as_str(), named.name.spot.place(file), draft, findings);
        }
    }
    own::read(files, known, &parameters, &mut roles, findings);
    check_inheritance(files, &roles, findings);
    roles
}

/// Whether a tenant's members may have a role of this name: one for all, or one of the tenant's own.
pub(super) fn has(roles: &Names<Draft>, tenant: &str, name: &str) -> bool {
    roles.has(name) || roles.has(&own::qualified(tenant, name))
}

/// What tenants may give, over all files. What is wrong with it is said where roles are read.
pub(super) fn delegated(files: &[Written<'_>]) -> Vec<Grant> {
    own::delegated(files, &mut Findings::default())
}

/// What a role for all grants, itself or by what it inherits, beyond what tenants may give.
pub(super) fn beyond(name: &str, delegated: &[Grant], roles: &Names<Draft>) -> Option<Grant> {
    let within = |grant: &Grant| delegated.iter().any(|bound| bound.holds(grant));
    let line = lineage(name, roles);
    let line = line.iter().filter_map(|name| roles.get(name));
    let clauses = line.flat_map(|draft| draft.written.allow.iter().chain(&draft.written.glass));
    clauses.map(|clause| &clause.grant).find(|grant| !within(grant)).cloned()
}

/// Reads roles.
struct Reader<'a> {
    sheet: Sheet<'a>,
    parameters: &'a [String],
}

impl Reader<'_> {
    fn draft(&self, name: &At<String>, entry: Option<&RoleEntry>, of: Option<&str>, findings: &mut Findings) -> Draft {
        let place = name.spot.place(self.sheet.file);
        let mut draft = Draft {
            name: parse(self.sheet.file, name, findings),
            of: of.map(str::to_owned),
            inherits: Vec::new(),
            written: role::Written { place, allow: Vec::new(), deny: Vec::new(), glass: Vec::new() },
        };
        if let Some(RoleEntry { inherits, allow, deny, break_glass }) = entry {
            let parent = |role: &At<String>| (role.value.clone(), role.spot.place(self.sheet.file));
            draft.inherits = inherits.iter().map(parent).collect();
            let clauses = Clauses { sheet: self.sheet, role: name.as_str(), parameters: self.parameters };
            draft.written.allow = clauses.read(allow, findings);
            draft.written.deny = clauses.read(deny, findings);
            if let Some(glass) = break_glass.as_ref().and_then(|glass| glass.0.as_ref()) {
                draft.written.glass = clauses.glass(glass, findings);
            }
        }
        draft
    }
}

/// Reads what a role grants and denies.
struct Clauses<'a> {
    sheet: Sheet<'a>,
    role: &'a str,
    parameters: &'a [String],
}

impl Clauses<'_> {
    fn read(&self, written: &[At<Tried<GrantEntry>>], findings: &mut Findings) -> Vec<Clause> {
        written.iter().filter_map(|entry| self.clause(entry, findings)).collect()
    }

    /// What whoever says why may do. Nothing at all if nobody could say it.
    fn glass(&self, written: &BreakGlassEntry, findings: &mut Findings) -> Vec<Clause> {
        let BreakGlassEntry { allow, justification: JustificationEntry { header, min_length } } = written;
        let clauses = self.read(allow, findings);
        let place = header.spot.place(self.sheet.file);
        let name = readable(header.as_str()).map_err(|why| {
            findings.push(Finding::error(place.clone(), format!("`{}`: {why}", shown(header.as_str()))))
        });
        let shortest = min_length.as_ref().map_or(SHORTEST, |it| usize::from(it.value));
        if let Some(written) = min_length.as_ref().filter(|it| !(1..=200).contains(&it.value)) {
            let finding =
                Finding::error(written.spot.place(self.sheet.file), "a justification has from 1 to 200 characters");
            findings.push(finding.help("20 make a short sentence"));
        }
        let Ok(name) = name else { return Vec::new() };
        let justified = Some(Arc::new(Justification { header: name.as_str().into(), shortest, place }));
        let bound = |clause: Clause| {
            let proviso = Proviso { justified: justified.clone(), ..clause.proviso };
            Clause { proviso, ..clause }
        };
        clauses.into_iter().map(bound).collect()
    }

    fn clause(&self, written: &At<Tried<GrantEntry>>, findings: &mut Findings) -> Option<Clause> {
        let (permission, when) = match written.value.0.as_ref()? {
            GrantEntry::Plain(text) => (At { spot: written.spot, value: text.clone() }, None),
            GrantEntry::When(entry) => (entry.permission.clone(), Some(&entry.when)),
        };
        let (text, of) = match permission.value.strip_suffix("@own") {
            Some(text) => (text.to_owned(), Of::Own),
            None => (permission.value.clone(), Of::Everybody),
        };
        if let Some((_, of)) = text.split_once('@') {
            let message = format!("`@{}` is not known here", shown(of));
            findings.push(Finding::error(permission.spot.place(self.sheet.file), message).help("did you mean `@own`?"));
            return None;
        }
        let grant = parse(self.sheet.file, &At { spot: permission.spot, value: text }, findings);
        let when = match when {
            Some(when) => Some(self.sheet.condition(when, self.role, self.parameters.to_vec(), findings)?),
            None => None,
        };
        let place = permission.spot.place(self.sheet.file);
        grant.map(|grant| Clause { grant, place, proviso: Proviso { of, when, justified: None } })
    }
}

fn check_inheritance(files: &[Written<'_>], roles: &Names<Draft>, findings: &mut Findings) {
    for Written { file, entries, .. } in files {
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
        let plain = |role: &str| role.rsplit(' ').next().unwrap_or_default().to_owned();
        let circle: Vec<String> = circle.map(|role| format!("`{}`", plain(role))).collect();
        findings.push(Finding::error(place.clone(), format!("roles inherit in a circle: {}", circle.join(" → "))));
    }
    if let (true, Some(draft)) = (way.len() > MOST_GENERATIONS, roles.get(name)) {
        let message = format!("roles inherit over more than {MOST_GENERATIONS} generations");
        findings.push(Finding::error(draft.written.place.clone(), message));
    }
    way.pop();
    settled.insert(name);
}

/// The fewest characters of a justification, where the file does not say.
const SHORTEST: usize = 20;

/// How deep inheritance goes: no organisation is this deep, and the walk above is recursive.
const MOST_GENERATIONS: usize = 64;

/// Compiles roles against the permissions that routes ask for. Called when no circle and no unknown name is left.
pub(super) fn compile(
    drafts: &Names<Draft>,
    permissions: &[Permission],
    routes: &[Arc<Route>],
    findings: &mut Findings,
) -> (HashMap<RoleName, Role>, Own) {
    let mut roles = HashMap::new();
    let mut own: Own = HashMap::new();
    for (name, _, draft) in drafts.iter() {
        let lineage = lineage(name, drafts);
        let rules = |of: fn(&role::Written) -> &Vec<Clause>| {
            let ancestors = lineage.iter().filter_map(|name| Some((name, drafts.get(name)?)));
            let clauses =
                ancestors.flat_map(|(name, draft)| of(&draft.written).iter().map(move |clause| (name, clause)));
            let rules = clauses.flat_map(|(name, Clause { grant, place, proviso })| {
                let covered = covered(grant, permissions);
                let name = drafts.get(name).and_then(|draft| draft.name.as_ref()).map_or(*name, RoleName::as_str);
                let rule = Rule { id: RuleId::new(place, name), proviso: proviso.clone() };
                covered.into_iter().map(move |index| (index, rule.clone())).collect::<Vec<_>>()
            });
            Rules::new(permissions.len(), rules)
        };
        let (allows, denies) = (rules(|written| &written.allow), rules(|written| &written.deny));
        let role = Role {
            allows,
            denies,
            glass: rules(|written| &written.glass),
            lineage: lineage.iter().filter_map(|name| drafts.get(name)?.name.clone()).collect(),
            written: draft.written.clone(),
        };
        warn_idle(draft, permissions, findings);
        check_provisos(draft, permissions, routes, findings);
        match (&draft.name, draft.of.as_ref().map(|tenant| tenant.parse::<TenantId>())) {
            (Some(name), None) => {
                roles.insert(name.clone(), role);
            }
            (Some(name), Some(Ok(tenant))) => {
                own.entry(tenant).or_default().insert(name.clone(), role);
            }
            (None, _) | (Some(_), Some(Err(_))) => {} // there is a finding
        }
    }
    warn_ungranted(&roles, &own, permissions, routes, findings);
    (roles, own)
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
    let role::Written { place: _, allow, deny, glass } = &draft.written;
    for Clause { grant, place, .. } in allow.iter().chain(deny).chain(glass) {
        if covered(grant, permissions).is_empty() {
            let finding = Finding::warning(place.clone(), format!("no route asks for `{grant}`"));
            findings.push(finding.did_you_mean(grant.as_str(), permissions.iter().map(Permission::as_str)));
        }
    }
}

fn warn_ungranted(
    roles: &HashMap<RoleName, Role>,
    own: &Own,
    permissions: &[Permission],
    routes: &[Arc<Route>],
    findings: &mut Findings,
) {
    for (index, permission) in permissions.iter().enumerate() {
        if roles
            .values()
            .chain(own.values().flat_map(HashMap::values))
            .any(|role| role.allows.has(index) || role.glass.has(index))
        {
            continue;
        }
        if let Some(route) = routes.iter().find(|route| route.asks.for_permission(index)) {
            let message = format!("no role grants `{permission}`, which route `{}` asks for", route.id);
            findings.push(Finding::warning(route.place.clone(), message));
        }
    }
}

/// What a grant or a deny counts on must be there on the routes that it is about.
fn check_provisos(draft: &Draft, permissions: &[Permission], routes: &[Arc<Route>], findings: &mut Findings) {
    let role::Written { place: _, allow, deny, glass } = &draft.written;
    let asking = |grant: &Grant| -> Vec<&Arc<Route>> {
        let covered = covered(grant, permissions);
        let asks = |route: &&Arc<Route>| covered.iter().any(|index| route.asks.for_permission(*index));
        routes.iter().filter(asks).collect()
    };
    for Clause { grant, place, .. } in allow.iter().chain(glass).filter(|clause| clause.proviso.of == Of::Own) {
        let routes = asking(grant);
        if let (Some(first), true) = (routes.first(), routes.iter().all(|route| route.owner.is_none())) {
            let message =
                format!("`{grant}@own` is granted nowhere: route `{}` does not say whose its resources are", first.id);
            findings.push(Finding::error(place.clone(), message).help("write for example `owner: user` there"));
        }
    }
    // FAIL CLOSED: such a deny would deny everything there.
    for Clause { grant, place, .. } in deny.iter().filter(|clause| clause.proviso.of == Of::Own) {
        for route in asking(grant).into_iter().filter(|route| route.owner.is_none()) {
            let message =
                format!("route `{}` does not say whose its resources are, so `{grant}@own` cannot tell", route.id);
            findings.push(Finding::error(place.clone(), message).help("write for example `owner: user` there"));
        }
    }
    let conditions = allow.iter().chain(deny).chain(glass);
    let conditions = conditions.filter_map(|clause| Some((&clause.grant, clause.proviso.when.as_ref()?)));
    for (grant, when) in conditions {
        for route in asking(grant) {
            warn_parameters(when, route, findings);
        }
    }
}

fn warn_parameters(when: &Condition, route: &Route, findings: &mut Findings) {
    for name in when.program.entries(PARAMETERS).filter(|name| !route.pattern.path.has(name)) {
        let message =
            format!("route `{}` has no parameter `{name}`, so this condition cannot be worked out there", route.id);
        let help = "ask for another permission there, or for `has(…)` first if that is meant";
        findings.push(Finding::warning(when.place.clone(), message).help(help));
    }
}
