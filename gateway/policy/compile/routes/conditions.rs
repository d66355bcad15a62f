//! What must be true of a request besides, and whose the resources of a route are.

use std::sync::Arc;

use terms::{Finding, Findings, IssuerId};
use yaml::At;

use super::Reader;
use crate::compile::conditions::parameters;
use crate::compile::names::{parse, shown};
use crate::condition::Condition;
use crate::file::{OwnerEntry, RouteEntry};
use crate::pattern::Pattern;
use crate::route::{AcceptsKeys, Access, Owner};

impl Reader<'_> {
    /// The condition of a route. Nothing at all if it has one that cannot be.
    pub(super) fn when(
        &self,
        entry: &RouteEntry,
        pattern: &Pattern,
        access: Option<&Access>,
        findings: &mut Findings,
    ) -> Option<Option<Arc<Condition>>> {
        let Some(written) = &entry.when else { return Some(None) };
        if access == Some(&Access::Public) {
            let finding = Finding::error(self.place(written), "a public route is for everybody, always");
            findings.push(finding.help("take `when` away, or say in `auth` whose tokens are accepted"));
        }
        let condition = self.sheet().condition(written, entry.id.as_str(), parameters(&pattern.path), findings)?;
        Some(Some(condition))
    }

    /// Whose its resources are. Nothing at all if that cannot be.
    pub(super) fn owner(
        &self,
        entry: &RouteEntry,
        pattern: &Pattern,
        access: Option<&Access>,
        findings: &mut Findings,
    ) -> Option<Option<Owner>> {
        let Some(written) = &entry.owner else { return Some(None) };
        let (parameter, issuer) = match &written.value {
            OwnerEntry::Parameter(name) => (At { spot: written.spot, value: name.clone() }, None),
            OwnerEntry::Of(entry) => (entry.parameter.clone(), Some(&entry.issuer)),
        };
        let segment = pattern.path.place(parameter.as_str());
        if segment.is_none() {
            let message = format!("the path has no parameter `{}`", shown(parameter.as_str()));
            let names = parameters(&pattern.path);
            let finding = Finding::error(self.place(&parameter), message);
            findings.push(finding.did_you_mean(parameter.as_str(), names.iter().map(String::as_str)));
        }
        let (issuers, keys) = match access? {
            Access::Guarded { issuers, keys, .. } => (issuers, *keys),
            Access::Services { .. } | Access::Public => {
                let message = "on this route nobody has a resource of their own: no token names a user";
                findings.push(Finding::error(self.place(written), message).help("take `owner` away"));
                return None;
            }
        };
        let issuer: IssuerId = match issuer {
            Some(name) => parse(self.file, name, findings).filter(|issuer| {
                let is_accepted = issuers.contains(issuer);
                if !is_accepted {
                    let message = format!("this route takes no tokens of `{}`", shown(name.as_str()));
                    let accepted = issuers.iter().map(IssuerId::as_str);
                    findings.push(Finding::error(self.place(name), message).did_you_mean(name.as_str(), accepted));
                }
                is_accepted
            })?,
            None => match (issuers.iter().count(), issuers.first(), keys) {
                (1, Some(only), AcceptsKeys::No) => only.clone(),
                // One subject of two issuers would be two people, of whom each would own what is the other's.
                _ => {
                    let message = "several vouch for callers here, and one name may be two callers";
                    let help = format!("write `owner: {{ parameter: {}, issuer: … }}`", shown(parameter.as_str()));
                    findings.push(Finding::error(self.place(written), message).help(help));
                    return None;
                }
            },
        };
        Some(Some(Owner { segment: segment?, issuer }))
    }
}
