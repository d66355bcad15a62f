use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tenancy::{Members, MembershipSource, Mfa, Registry, Status, Tenant, Voucher};
use terms::{
    ClassName, Clients, Finding, Findings, IssuerId, Network, Networks, Place, PlanId, RegionId, RetentionClass,
    RoleName, Span, Subject, TenantId, Weight, Zone,
};
use yaml::At;

use super::bindings;
use super::limits::{Plans, read_weight};
use super::names::{Names, parse, shown};
use super::roles::Draft;
use super::words::words;
use super::{Known, Written};
use crate::file::{ClientsEntry, MfaEntry, MfaMarksEntry, StatusWord, TenantEntry};
use crate::known::{DirectoryAt, Standing};

pub(super) fn read(
    files: &[Written<'_>],
    known: &Known,
    roles: &Names<Draft>,
    plans: &Plans,
    findings: &mut Findings,
) -> (Registry, Members) {
    let mut tenants = read_tenants(files, known, plans, findings);
    bindings::read(files, roles, &mut tenants, findings);
    let members = read_members(files, &tenants, roles, findings);
    match known.directory {
        DirectoryAt::Database => refuse_members(files, findings),
        DirectoryAt::Files => refuse_shared_directory(files, known, findings),
    }
    let registry = tenants.iter().filter_map(|(_, _, tenant)| tenant.clone()).collect();
    (registry, members)
}

fn read_tenants(files: &[Written<'_>], known: &Known, plans: &Plans, findings: &mut Findings) -> Names<Option<Tenant>> {
    let mut tenants = Names::of("tenant");
    for Written { file, entries, .. } in files {
        for named in &entries.tenants {
            let tenant = read_tenant(file, &named.name, named.entry.as_ref(), (known, plans.weights()), findings);
            tenants.give(named.name.as_str(), named.name.spot.place(file), tenant, findings);
            if let Some(plan) = named.entry.as_ref().and_then(|entry| entry.plan.as_ref()) {
                plans.check(file, plan, findings);
            }
        }
    }
    tenants
}

/// Reads one tenant, wherever it is written.
pub(super) fn read_tenant(
    file: &Arc<str>,
    name: &At<String>,
    entry: Option<&TenantEntry>,
    (known, weights): (&Known, &HashMap<PlanId, Weight>),
    findings: &mut Findings,
) -> Option<Tenant> {
    let id: Option<TenantId> = parse(file, name, findings);
    let clients = entry.and_then(|tenant| tenant.clients.as_ref());
    let clients = clients.map_or(Some(Clients::default()), |clients| read_clients(file, clients, findings));
    let status = entry.and_then(|TenantEntry { status, .. }| status.0.as_ref());
    let status = status.map(|status| match status {
        StatusWord::Active => Status::Active,
        StatusWord::Suspended => Status::Suspended,
        StatusWord::Closed => Status::Closed,
    });
    let issuers = entry.and_then(|tenant| tenant.issuers.as_ref());
    let issuers = issuers.map(|issuers| read_issuers(file, issuers, known, findings));
    let own = entry.map(|tenant| Own::read(file, tenant, (known, weights), findings)).unwrap_or_default();
    id.zip(status).zip(clients).map(|((id, status), clients)| {
        let Own { plan, weight, region, time_zone, retention, session_max, mfa } = own;
        Tenant {
            id,
            status,
            clients,
            issuers,
            plan,
            weight,
            region,
            time_zone,
            retention,
            session_max,
            mfa,
            bindings: None,
        }
    })
}

/// What a tenant is, and what it demands for itself.
#[derive(Default)]
struct Own {
    plan: Option<PlanId>,
    weight: Weight,
    region: Option<RegionId>,
    time_zone: Option<Zone>,
    retention: RetentionClass,
    session_max: Option<Duration>,
    mfa: Option<Mfa>,
}

impl Own {
    fn read(
        file: &Arc<str>,
        entry: &TenantEntry,
        (known, weights): (&Known, &HashMap<PlanId, Weight>),
        findings: &mut Findings,
    ) -> Self {
        let TenantEntry { plan, weight, region, time_zone, retention, session_max, mfa, .. } = entry;
        let session_max = session_max.as_ref().and_then(|written| {
            let Span(span) = parse(file, written, findings)?;
            if span < Duration::from_secs(1) {
                let finding = Finding::error(written.spot.place(file), "no session is over in no time");
                findings.push(finding.help("tokens tell whole seconds; write for example `8h`"));
            }
            Some(span)
        });
        let mfa = mfa.as_ref().and_then(|mfa| Some((mfa, mfa.value.0.as_ref()?)));
        let plan: Option<PlanId> = plan.as_ref().and_then(|plan| parse(file, plan, findings));
        let of_plan = || plan.as_ref().and_then(|plan| known.classes_of_plans.get(plan)).copied().unwrap_or_default();
        let weight_of_plan = plan.as_ref().and_then(|plan| weights.get(plan)).copied();
        let weight = read_weight(file, weight.as_ref(), findings).or(weight_of_plan).unwrap_or_default();
        Self {
            weight,
            retention: retention.as_ref().map_or_else(of_plan, |class| read_class(file, class, known, findings)),
            plan,
            region: region.as_ref().and_then(|region| parse(file, region, findings)),
            time_zone: time_zone.as_ref().and_then(|zone| parse(file, zone, findings)),
            session_max,
            mfa: mfa.map(|(written, mfa)| read_mfa(file, written.spot.place(file), mfa, findings)),
        }
    }
}

/// A class that is not there is a mistake: records would be kept for less long than somebody has promised.
fn read_class(file: &Arc<str>, written: &At<String>, known: &Known, findings: &mut Findings) -> RetentionClass {
    let name = written.as_str();
    if name == ClassName::DEFAULT {
        return RetentionClass::DEFAULT;
    }
    match known.classes.look_up(name) {
        Standing::Sound(_, class) => *class,
        Standing::Unsure => RetentionClass::DEFAULT, // the files are not used
        Standing::Unknown => {
            let message = format!("retention class `{}` is not configured", shown(name));
            let finding = Finding::error(written.spot.place(file), message);
            let names = known.classes.all().chain([ClassName::DEFAULT]);
            findings.push(
                finding.help("the classes stand in cloister.yaml: `audit.retention.classes`").did_you_mean(name, names),
            );
            RetentionClass::DEFAULT
        }
    }
}

fn read_mfa(file: &Arc<str>, place: Place, written: &MfaEntry, findings: &mut Findings) -> Mfa {
    let MfaMarksEntry { amr, acr } = match written {
        MfaEntry::Required(_) => return Mfa { amr: vec!["mfa".into()], acr: Vec::new() }, // RFC 8176 §2
        MfaEntry::By(marks) => marks,
    };
    if amr.is_empty() && acr.is_empty() {
        let finding = Finding::error(place, "nothing says by what more than one factor is known");
        findings.push(finding.help("write `mfa: required`, or list values of `amr` or `acr`"));
    }
    Mfa { amr: words(file, amr, findings), acr: words(file, acr, findings) }
}

/// What stands for API keys beside the names of issuers.
const API_KEYS: &str = "api-keys";

/// Who may speak for a tenant: issuers of tokens, and authorities over the certificates of services. A name with something wrong behind it is left out, which lets nobody in.
fn read_issuers(
    file: &Arc<str>,
    written: &At<Vec<At<String>>>,
    known: &Known,
    findings: &mut Findings,
) -> Box<[IssuerId]> {
    if written.value.is_empty() {
        let finding = Finding::error(written.spot.place(file), "no issuer may speak for this tenant");
        findings.push(finding.help("leave `issuers` out to take those of the routes, or say `status: suspended`"));
    }
    let mut read = Vec::with_capacity(written.value.len());
    for issuer in &written.value {
        if issuer.as_str() == API_KEYS {
            read.extend(issuer.as_str().parse::<IssuerId>());
            continue;
        }
        match (known.issuers.look_up(issuer.as_str()), known.authorities.look_up(issuer.as_str())) {
            (Standing::Sound(known, _), _) | (_, Standing::Sound(known, _)) => read.push(known.clone()),
            (Standing::Unsure, _) | (_, Standing::Unsure) => {}
            (Standing::Unknown, Standing::Unknown) => {
                let message = format!("issuer `{}` is not configured", shown(issuer.as_str()));
                let names = known.issuers.all().chain(known.authorities.all());
                let finding = Finding::error(issuer.spot.place(file), message);
                findings.push(finding.did_you_mean(issuer.as_str(), names));
            }
        }
    }
    read.into()
}

fn read_clients(file: &Arc<str>, entry: &ClientsEntry, findings: &mut Findings) -> Option<Clients> {
    let ClientsEntry { allow, deny } = entry;
    if let Some(none) = allow.as_ref().filter(|allow| allow.value.is_empty()) {
        let finding = Finding::error(none.spot.place(file), "no network is allowed, so that nobody would be served");
        findings.push(finding.help("leave `allow` out to serve everybody, or say `status: suspended`"));
    }
    let mut networks = |written: &[At<String>]| -> Option<Networks> {
        // All of them are read, so that one mistake does not hide the next.
        let read: Vec<Option<Network>> = written.iter().map(|network| parse(file, network, findings)).collect();
        read.into_iter().collect()
    };
    let (allow, deny) = (allow.as_ref().map(|allow| networks(&allow.value)), networks(deny));
    Some(Clients::new(allow.map_or(Some(None), |allow| allow.map(Some))?, deny?))
}

fn read_members(
    files: &[Written<'_>],
    tenants: &Names<Option<Tenant>>,
    roles: &Names<Draft>,
    findings: &mut Findings,
) -> Members {
    let mut members = Names::of("member");
    for Written { file, entries, .. } in files {
        for named in &entries.members {
            let tenant = tenants.find(file, &named.name, findings).cloned().flatten();
            for (who, their_roles) in named.entry.iter().flat_map(|people| &people.0) {
                let subject: Option<Subject> = parse(file, who, findings);
                let mut granted: Vec<RoleName> = Vec::with_capacity(their_roles.len());
                for role in their_roles {
                    let is_known = super::roles::has(roles, named.name.as_str(), role.as_str());
                    if is_known || roles.find(file, role, findings).is_some() {
                        granted.extend(role.value.parse::<RoleName>());
                    }
                }
                let membership = tenant.as_ref().zip(subject).map(|(tenant, subject)| {
                    let roles: Arc<[RoleName]> = granted.into();
                    (tenant.id.clone(), subject, roles)
                });
                let name = format!("{} of {}", who.value, named.name.value);
                members.give(&name, who.spot.place(file), membership, findings);
            }
        }
    }
    members.iter().filter_map(|(_, _, membership)| membership.clone()).collect()
}

/// Of two directories nobody could say which one counts.
fn refuse_members(files: &[Written<'_>], findings: &mut Findings) {
    let first = files.iter().find_map(|Written { file, entries, .. }| Some((file, entries.members.first()?)));
    if let Some((file, first)) = first {
        let message = "members stand in the database that cloister.yaml names under `directory`, and not here";
        let finding = Finding::error(first.name.spot.place(file), message);
        findings.push(finding.help("move them there, or leave `directory` out of cloister.yaml"));
    }
}

/// A subject is unique only within its issuer: in a directory that two share, one could speak for the other's people.
fn refuse_shared_directory(files: &[Written<'_>], known: &Known, findings: &mut Findings) {
    let directory = |(issuer, voucher): (&terms::IssuerId, &Voucher)| match voucher.members {
        MembershipSource::Claims => None,
        MembershipSource::Directory | MembershipSource::Union => Some(format!("`{issuer}`")),
    };
    let sharing: Vec<String> = known.issuers.iter().filter_map(directory).collect();
    if sharing.len() < 2 {
        return;
    }
    for Written { file, entries, .. } in files {
        if let Some(first) = entries.members.first() {
            let message = format!(
                "the directory serves one issuer, but {} have `members: directory` or `union`",
                sharing.join(" and ")
            );
            let finding = Finding::error(first.name.spot.place(file), message);
            findings.push(finding.help("a subject is unique only within its issuer; leave one of them `directory`"));
        }
    }
}
