//! What the names are worth that the tokens of a tenant have for roles.

use std::sync::Arc;

use tenancy::{Bindings, Tenant};
use terms::{Finding, Findings, RoleName};

use super::Written;
use super::names::{Names, parse, shown};
use super::roles::{self, Draft};

pub(super) fn read(
    files: &[Written<'_>],
    roles: &Names<Draft>,
    tenants: &mut Names<Option<Tenant>>,
    findings: &mut Findings,
) {
    let delegated = roles::delegated(files);
    for Written { file, entries, .. } in files {
        for named in &entries.tenants {
            let Some(written) = named.entry.as_ref().and_then(|entry| entry.role_bindings.as_ref()) else { continue };
            let of = named.name.as_str();
            let mut bindings = Vec::with_capacity(written.0.len());
            for (name, bound) in &written.0 {
                let mut to: Vec<RoleName> = Vec::with_capacity(bound.len());
                for role in bound {
                    if !roles::has(roles, of, role.as_str()) {
                        let message =
                            format!("role `{}` is not defined, for all or for `{}`", shown(role.as_str()), shown(of));
                        let known = roles.iter().map(|(name, ..)| name.rsplit(' ').next().unwrap_or_default());
                        findings
                            .push(Finding::error(role.spot.place(file), message).did_you_mean(role.as_str(), known));
                    }
                    // FAIL CLOSED: what is more than tenants may give is never in force.
                    if let Some(more) = roles::beyond(role.as_str(), &delegated, roles) {
                        let message = format!(
                            "role `{}` grants `{more}`, which is more than tenants may give",
                            shown(role.as_str())
                        );
                        let finding = Finding::error(role.spot.place(file), message);
                        findings.push(finding.help("the platform says under `delegated` what they may give"));
                    }
                    to.extend(parse::<RoleName>(file, role, findings));
                }
                let name: Option<RoleName> = parse(file, name, findings);
                bindings.extend(name.map(|name| (name, Arc::from(to))));
            }
            if let Some(tenant) = tenants.get_mut(of).and_then(Option::as_mut) {
                tenant.bindings = Some(bindings.into_iter().collect::<Bindings>());
            }
        }
    }
}
