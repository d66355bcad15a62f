//! Where the requests of a route go.

use std::collections::HashMap;

use terms::{Finding, Findings, UpstreamId};

use super::Reader;
use crate::compile::names::{parse, shown};
use crate::destination::Destination;
use crate::file::{ByTenantEntry, UpstreamEntry};
use crate::known::Standing;
use crate::route::{Access, Upgrade};
use yaml::{At, Tried};

impl Reader<'_> {
    pub(super) fn destination(
        &self,
        written: &At<Tried<UpstreamEntry>>,
        upgrade: Upgrade,
        access: Option<&Access>,
        findings: &mut Findings,
    ) -> Option<Destination> {
        let ByTenantEntry { by_tenant, otherwise } = match written.value.0.as_ref()? {
            UpstreamEntry::One(name) => {
                let name = At { spot: written.spot, value: name.clone() };
                return self.upstream(&name, upgrade, findings).map(Destination::One);
            }
            UpstreamEntry::ByTenant(entry) => entry,
        };
        if access == Some(&Access::Public) {
            let finding = Finding::error(self.place(by_tenant), "on a public route no tenant is verified to go by");
            findings.push(finding.help("name one upstream, or say in `auth` whose tokens are accepted"));
        }
        if by_tenant.value.0.is_empty() {
            let finding = Finding::error(self.place(by_tenant), "no tenant has an upstream of its own here");
            findings.push(finding.help("name one upstream for all"));
        }
        let mut named = HashMap::new();
        for (tenant, upstream) in &by_tenant.value.0 {
            if self.tenants.get(tenant.as_str()).is_none() {
                let message = format!("tenant `{}` is not registered", shown(tenant.as_str()));
                let names = self.tenants.iter().map(|tenant| tenant.id.as_str());
                findings.push(Finding::error(self.place(tenant), message).did_you_mean(tenant.as_str(), names));
            }
            let upstream = self.upstream(upstream, upgrade, findings);
            named.extend(parse(self.file, tenant, &mut Findings::default()).zip(upstream));
        }
        let otherwise = match otherwise {
            Some(name) => Some(self.upstream(name, upgrade, findings)?),
            None => None,
        };
        Some(Destination::ByTenant { named, otherwise })
    }

    fn upstream(&self, written: &At<String>, upgrade: Upgrade, findings: &mut Findings) -> Option<UpstreamId> {
        match self.known.upstreams.look_up(written.as_str()) {
            Standing::Sound(known, takes) => {
                if (upgrade, takes.upgrade) == (Upgrade::WebSocket, Upgrade::None) {
                    let finding =
                        Finding::error(self.place(written), format!("upstream `{known}` takes no WebSockets"));
                    findings.push(finding.help("they need an upstream with `protocol: http1`"));
                }
                Some(known.clone())
            }
            Standing::Unknown => {
                let message = format!("upstream `{}` is not configured", shown(written.as_str()));
                let finding = Finding::error(self.place(written), message);
                findings.push(finding.did_you_mean(written.as_str(), self.known.upstreams.all()));
                None
            }
            Standing::Unsure => None,
        }
    }
}
