mod matrix;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tenancy::{MembershipSource, Registry};
use terms::{Claimed, Finding, Findings, IssuerId, Reason, RoleName, Span, Subject, UpstreamId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::names::{Names, parse, shown};
use super::roles::Draft;
use super::{Known, Written};
use crate::case::{Case, Expected};
use crate::file::{AllowWord, AsEntry, BecauseEntry, ExpectEntry, TestEntry};
use crate::judge::{Asked, Asker, Assurance, Question};
use crate::known::{DirectoryAt, Standing};
use crate::service::Services;
use yaml::{At, Pairs};

/// What a policy alone can refuse for. The rest depends on tokens, counts, bytes or backends.
const VISIBLE: [Reason; 21] = [
    Reason::AuthInsufficientAcr,
    Reason::AuthInsufficientAge,
    Reason::AuthInsufficientAmr,
    Reason::AuthInsufficientMfa,
    Reason::AuthInsufficientSession,
    Reason::AuthInvalidIssuer,
    Reason::AuthInvalidService,
    Reason::AuthInvalidUnbound,
    Reason::AuthMissing,
    Reason::ClientDenied,
    Reason::PolicyDenied,
    Reason::PolicyError,
    Reason::PolicyJustification,
    Reason::RouteUnknown,
    Reason::TenantClosed,
    Reason::TenantIssuer,
    Reason::TenantMismatch,
    Reason::TenantNotMember,
    Reason::TenantSuspended,
    Reason::TenantUnknown,
    Reason::TenantUnplaced,
];

pub(super) fn read(
    files: &[Written<'_>],
    known: &Known,
    roles: &Names<Draft>,
    tenants: &Registry,
    services: &Services,
    findings: &mut Findings,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for Written { file, entries, .. } in files {
        let reader = Reader { file, known, roles, tenants, services };
        cases.extend(entries.tests.iter().filter_map(|test| reader.case(test, findings)));
        cases.extend(entries.matrices.iter().flat_map(|matrix| reader.matrix(matrix, findings)));
    }
    cases
}

struct Reader<'a> {
    file: &'a Arc<str>,
    known: &'a Known,
    roles: &'a Names<Draft>,
    tenants: &'a Registry,
    services: &'a Services,
}

impl Reader<'_> {
    fn case(&self, written: &At<TestEntry>, findings: &mut Findings) -> Option<Case> {
        let TestEntry { name, r#as, r#do, from, now, headers, expect } = &written.value;
        let request: Option<Asked> = parse(self.file, r#do, findings);
        let asker = r#as.as_ref().map(|asker| self.asker(&asker.value, findings));
        let client = from.as_ref().map(|address| parse(self.file, address, findings));
        let now = now.as_ref().map(|now| self.time(now, findings));
        let headers = self::headers(headers);
        let expected = self.expected(expect, findings);
        let (request, expected) = (request?, expected?);
        let asker = match asker {
            Some(asker) => Some(asker?),
            None => None, // no token, which is not the same as one that could not be read
        };
        let client: Option<IpAddr> = match client {
            Some(client) => Some(client?),
            None => None,
        };
        let now = match now {
            Some(now) => Some(now?),
            None => None,
        };
        Some(Case {
            place: written.spot.place(self.file),
            title: match name {
                Some(name) => shown(name.as_str()),
                None => title(&request, asker.as_ref()),
            },
            question: Question { request, asker, client, now, headers },
            expected,
        })
    }

    fn time(&self, written: &At<String>, findings: &mut Findings) -> Option<SystemTime> {
        let time = OffsetDateTime::parse(written.as_str(), &Rfc3339);
        time.map(SystemTime::from)
            .map_err(|_| {
                let message = format!("`{}` is not a time", shown(written.as_str()));
                let finding = Finding::error(written.spot.place(self.file), message);
                findings.push(finding.help("write for example `2026-11-27T09:30:00Z`"));
            })
            .ok()
    }

    fn asker(&self, written: &AsEntry, findings: &mut Findings) -> Option<Asker> {
        let AsEntry { tenant, roles, user, service, bound_to, acr, amr, age, scopes, claims, issuer } = written;
        if let Some(service) = service {
            return self.service(service, written, findings);
        }
        let written_issuer = issuer.is_some();
        let issuer = issuer.as_ref().and_then(|issuer| self.issuer(issuer, findings));
        if let Some(tenant) = tenant.as_ref().filter(|tenant| self.tenants.get(tenant.as_str()).is_none()) {
            let message = format!("tenant `{}` is not registered", shown(tenant.as_str()));
            let names = self.tenants.iter().map(|tenant| tenant.id.as_str());
            let finding = Finding::warning(tenant.spot.place(self.file), message);
            findings.push(finding.did_you_mean(tenant.as_str(), names));
        }
        let directory = |issuer: &IssuerId| {
            let in_files = self.known.directory == DirectoryAt::Files;
            in_files && self.known.members_of(issuer) == Some(MembershipSource::Directory)
        };
        if let Some(first) = roles.first().filter(|_| issuer.as_ref().is_some_and(directory)) {
            let finding = Finding::error(first.spot.place(self.file), "roles in these tokens count for nothing");
            findings.push(finding.help("the directory says them: look under `members`"));
        }
        let mut carried: Vec<RoleName> = Vec::with_capacity(roles.len());
        for role in roles {
            let of = tenant.as_ref().map_or("", |tenant| tenant.as_str());
            let bindings = self.tenants.get(of).and_then(|tenant| tenant.bindings.as_ref());
            let is_bound = bindings.is_some_and(|bindings| bindings.of(role.as_str()).is_some());
            if !is_bound && !super::roles::has(self.roles, of, role.as_str()) {
                let warning = self.roles.unknown(self.file, role); // a token may carry any role, so this may be meant
                findings.push(Finding { severity: terms::Severity::Warning, ..warning });
            }
            carried.extend(parse::<RoleName>(self.file, role, findings));
        }
        let subject = match user {
            Some(user) => parse(self.file, user, findings),
            None => "somebody".parse::<Subject>().ok(),
        };
        if written_issuer && issuer.is_none() {
            return None;
        }
        Some(Asker {
            key: None,
            service: None,
            issuer,
            subject: subject?,
            tenant: tenant.as_ref().map(|tenant| tenant.value.clone()),
            roles: carried.into(),
            assurance: Assurance {
                bound_to: bound_to.iter().filter_map(|binding| parse(self.file, binding, findings)).collect(),
                acr: acr.as_ref().map(|acr| acr.as_str().into()),
                amr: amr.iter().map(|method| method.as_str().into()).collect(),
                age: age.as_ref().and_then(|age| parse::<Span>(self.file, age, findings)).map(|Span(age)| age),
                scopes: scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
                claims: self.claims(claims, findings),
            },
        })
    }

    /// The claims of a token, each at its place.
    fn claims(&self, written: &Pairs<At<String>>, findings: &mut Findings) -> Vec<Claimed> {
        let mut claims = Vec::new();
        for (name, value) in &written.0 {
            match self.known.claimed(name.as_str(), value.as_str()) {
                Ok(Some((place, claimed))) => {
                    claims.resize(claims.len().max(place + 1), Claimed::Absent);
                    claims.splice(place..=place, [claimed]);
                }
                Ok(None) => {} // there is a finding where it is written
                Err(message) => {
                    let finding = Finding::error(name.spot.place(self.file), message);
                    findings.push(finding.did_you_mean(name.as_str(), self.known.claims.all()));
                }
            }
        }
        claims
    }

    /// What a service is stands where it is defined, so nothing is said of it here but its name.
    fn service(&self, name: &At<String>, written: &AsEntry, findings: &mut Findings) -> Option<Asker> {
        let AsEntry { tenant, roles, user, service: _, bound_to, acr, amr, age, scopes, claims, issuer } = written;
        let more = [tenant.as_ref(), roles.first(), user.as_ref(), issuer.as_ref()];
        let more = more.into_iter().chain([
            bound_to.first(),
            acr.as_ref(),
            amr.first(),
            age.as_ref(),
            scopes.first(),
            claims.0.first().map(|(name, _)| name),
        ]);
        if let Some(more) = more.flatten().next() {
            let finding = Finding::error(more.spot.place(self.file), "a service brings a certificate and no token");
            findings.push(finding.help("its tenant and its roles stand under `services`"));
        }
        let Some(service) = self.services.named(name.as_str()) else {
            let message = format!("service `{}` is not defined", shown(name.as_str()));
            let finding = Finding::error(name.spot.place(self.file), message);
            findings.push(finding.did_you_mean(name.as_str(), self.services.names()));
            return None;
        };
        Some(Asker {
            key: None,
            service: Some(Arc::clone(service)),
            issuer: Some(service.authority.clone()),
            subject: service.name.clone(),
            tenant: Some(service.tenant.to_string()),
            roles: Arc::clone(&service.roles),
            assurance: Assurance::default(),
        })
    }

    fn issuer(&self, written: &At<String>, findings: &mut Findings) -> Option<IssuerId> {
        match self.known.issuers.look_up(written.as_str()) {
            Standing::Sound(known, _) => Some(known.clone()),
            Standing::Unknown => {
                let message = format!("issuer `{}` is not configured", shown(written.as_str()));
                let finding = Finding::error(written.spot.place(self.file), message);
                findings.push(finding.did_you_mean(written.as_str(), self.known.issuers.all()));
                None
            }
            Standing::Unsure => None,
        }
    }

    fn expected(&self, written: &At<ExpectEntry>, findings: &mut Findings) -> Option<Expected> {
        let BecauseEntry { allow, break_glass, upstream, deny, would_deny } = match &written.value {
            ExpectEntry::Served(AllowWord::Allow) => return Some(Expected::Allow { by: None, from: None }),
            ExpectEntry::Served(AllowWord::BreakGlass) => return Some(Expected::BreakGlass(None)),
            ExpectEntry::Because(because) => because,
        };
        let said = [allow, upstream, deny].into_iter().any(Option::is_some);
        if let Some(role) = break_glass.as_ref().filter(|_| !said && would_deny.is_none()) {
            return Some(Expected::BreakGlass(Some(role.value.clone())));
        }
        if let Some(reason) = would_deny.as_ref().filter(|_| !said) {
            return self.reason(reason, findings).map(Expected::WouldDeny);
        }
        match (allow, upstream, deny.as_ref().or(would_deny.as_ref())) {
            (None, None, Some(reason)) if would_deny.is_none() => self.reason(reason, findings).map(Expected::Deny),
            _ if break_glass.is_some() => self.one_thing(written, findings),
            (None, None, None | Some(_)) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                self.one_thing(written, findings)
            }
            (by, from, None) => {
                let from = match from {
                    Some(from) => Some(self.upstream(from, findings)?),
                    None => None,
                };
                Some(Expected::Allow { by: by.as_ref().map(|role| role.value.clone()), from })
            }
        }
    }

    fn one_thing(&self, written: &At<ExpectEntry>, findings: &mut Findings) -> Option<Expected> {
        let finding = Finding::error(written.spot.place(self.file), "a test expects one thing");
        let help = "write `allow`, `{ allow: <role> }`, `{ upstream: <name> }` or `{ deny: <reason> }`";
        findings.push(finding.help(help));
        None
    }

    fn upstream(&self, written: &At<String>, findings: &mut Findings) -> Option<UpstreamId> {
        match self.known.upstreams.look_up(written.as_str()) {
            Standing::Sound(known, _) => Some(known.clone()),
            Standing::Unknown => {
                let message = format!("upstream `{}` is not configured", shown(written.as_str()));
                let finding = Finding::error(written.spot.place(self.file), message);
                findings.push(finding.did_you_mean(written.as_str(), self.known.upstreams.all()));
                None
            }
            Standing::Unsure => None,
        }
    }

    fn reason(&self, written: &At<String>, findings: &mut Findings) -> Option<Reason> {
        let reason: Option<Reason> = written.value.parse().ok();
        let visible = reason.filter(|reason| VISIBLE.contains(reason));
        if visible.is_none() {
            let text = shown(written.as_str());
            let message = match reason {
                Some(_) => format!("a test of a policy cannot see `{text}`"),
                None => format!("`{text}` is not a reason"),
            };
            let finding = Finding::error(written.spot.place(self.file), message);
            let known = VISIBLE.map(Reason::as_str);
            findings.push(match terms::nearest(written.as_str(), known) {
                Some(name) => finding.help(format!("did you mean `{name}`?")),
                None => finding.help(format!("it sees `{}`", known.join("`, `"))),
            });
        }
        visible
    }
}

/// Fields by name, in lower case.
fn headers(written: &Pairs<At<String>>) -> Vec<(String, String)> {
    written.0.iter().map(|(name, value)| (name.value.to_ascii_lowercase(), value.value.clone())).collect()
}

/// `GET https://acme.localhost/api/orders as viewer of acme`
fn title(request: &Asked, asker: Option<&Asker>) -> String {
    let Some(asker) = asker else {
        return format!("{request} as nobody");
    };
    let roles: Vec<&str> = asker.roles.iter().map(RoleName::as_str).collect();
    let who = match roles.is_empty() {
        true => asker.subject.as_str().to_owned(),
        false => roles.join("+"),
    };
    match &asker.tenant {
        Some(tenant) => format!("{request} as {who} of {tenant}"),
        None => format!("{request} as {who} of no tenant"),
    }
}
