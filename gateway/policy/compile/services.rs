use std::collections::HashSet;
use std::sync::Arc;

use tenancy::Registry;
use terms::{Finding, Findings, IssuerId, RoleName, Subject, TenantId};
use yaml::At;

use super::names::{Names, parse, shown};
use super::roles::Draft;
use super::{Known, Written};
use crate::file::ServiceEntry;
use crate::known::Standing;
use crate::service::{Service, ServiceMark, Services};

pub(super) fn read(
    files: &[Written<'_>],
    known: &Known,
    roles: &Names<Draft>,
    tenants: &Registry,
    findings: &mut Findings,
) -> Services {
    let mut names = Names::of("service");
    let mut services = Services::default();
    for Written { file, entries, .. } in files {
        let reader = Reader { file, known, roles, tenants };
        for named in &entries.services {
            names.give(named.name.as_str(), named.name.spot.place(file), (), findings);
            let name: Option<Subject> = parse(file, &named.name, findings);
            let service = named.entry.as_ref().and_then(|entry| reader.service(name, entry, findings));
            let Some((service, mark)) = service else { continue };
            if let Err(taken) = services.add(Arc::new(service), mark) {
                let place = named.name.spot.place(file);
                let message = format!("service `{}` has this certificate already", taken.as_str());
                findings.push(Finding::error(place, message).help("one of the two would act as the other"));
            }
        }
    }
    services
}

struct Reader<'a> {
    file: &'a Arc<str>,
    known: &'a Known,
    roles: &'a Names<Draft>,
    tenants: &'a Registry,
}

impl Reader<'_> {
    fn service(
        &self,
        name: Option<Subject>,
        entry: &ServiceEntry,
        findings: &mut Findings,
    ) -> Option<(Service, ServiceMark)> {
        let ServiceEntry { authority, san, spki, tenant, roles } = entry;
        let vouching = self.authority(authority, findings);
        let mark = self.mark(authority, san.as_ref(), spki.as_ref(), findings);
        let known_tenant = self.tenant(tenant, findings);
        let mut theirs: Vec<RoleName> = Vec::with_capacity(roles.len());
        for role in roles {
            let is_known = super::roles::has(self.roles, tenant.as_str(), role.as_str());
            if is_known || self.roles.find(self.file, role, findings).is_some() {
                theirs.extend(role.value.parse::<RoleName>());
            }
        }
        let ((authority, may), tenant_id) = (vouching?, known_tenant?);
        if !may.contains(&tenant_id) {
            let message = format!("authority `{authority}` may not speak for `{tenant_id}`");
            let finding = Finding::error(tenant.spot.place(self.file), message);
            findings.push(finding.help("add the tenant to the authority in cloister.yaml, or choose another"));
        }
        let only = HashSet::from([tenant_id.clone()]);
        Some((Service { name: name?, authority, tenant: tenant_id, only, roles: theirs.into() }, mark?))
    }

    fn authority(&self, name: &At<String>, findings: &mut Findings) -> Option<(IssuerId, Arc<HashSet<TenantId>>)> {
        match self.known.authorities.look_up(name.as_str()) {
            Standing::Sound(id, tenants) => Some((id.clone(), Arc::clone(tenants))),
            Standing::Unknown => {
                let message = format!("authority `{}` is not configured", shown(name.as_str()));
                let finding = Finding::error(name.spot.place(self.file), message);
                findings.push(finding.did_you_mean(name.as_str(), self.known.authorities.all()));
                None
            }
            Standing::Unsure => None,
        }
    }

    fn tenant(&self, name: &At<String>, findings: &mut Findings) -> Option<TenantId> {
        let tenant = self.tenants.get(name.as_str());
        if tenant.is_none() {
            let message = format!("tenant `{}` is not registered", shown(name.as_str()));
            let names = self.tenants.iter().map(|tenant| tenant.id.as_str());
            findings.push(Finding::error(name.spot.place(self.file), message).did_you_mean(name.as_str(), names));
        }
        tenant.map(|tenant| tenant.id.clone())
    }

    fn mark(
        &self,
        at: &At<String>,
        san: Option<&At<String>>,
        spki: Option<&At<String>>,
        findings: &mut Findings,
    ) -> Option<ServiceMark> {
        let mut refuse = |at: &At<String>, message: &str, help: &str| {
            findings.push(Finding::error(at.spot.place(self.file), message).help(help));
            None
        };
        match (san, spki) {
            (Some(san), None) if is_san(&san.value) => Some(ServiceMark::San(san.as_str().into())),
            (Some(san), None) => {
                let help = "a whole URI, or a DNS name in lower case; a star stands for nobody";
                refuse(san, "this is not a name that a certificate can have", help)
            }
            (None, Some(spki)) => match digest(&spki.value) {
                Some(digest) => Some(ServiceMark::Key(digest)),
                None => refuse(spki, "this is not the digest of a key", "write `sha256:` and 64 hexadecimal digits"),
            },
            (Some(_), Some(spki)) => refuse(spki, "a service is known by one thing", "keep `san` or `spki`"),
            (None, None) => {
                refuse(at, "nothing says which certificate is this service's", "give it a `san` or an `spki`")
            }
        }
    }
}

fn is_san(text: &str) -> bool {
    let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let dns = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte))
    };
    visible && (text.contains(':') || dns(text))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2)?;
        if pair.bytes().any(|digit| !digit.is_ascii_digit() && !(b'a'..=b'f').contains(&digit)) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}
