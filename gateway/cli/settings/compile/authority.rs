use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use certificate::AuthoritySettings;
use terms::{Finding, IssuerId, TenantId};
use yaml::{At, Named};

use super::Compiler;
use crate::settings::file;

/// The names of all authorities, also of those with something wrong behind them.
pub(super) struct AuthorityNames(Vec<String>);

impl AuthorityNames {
    pub(super) fn of(authorities: &[(String, Option<AuthoritySettings>)]) -> Self {
        Self(authorities.iter().map(|(name, _)| name.clone()).collect())
    }
}

impl Compiler<'_> {
    pub(super) fn authorities(
        &mut self,
        entries: Vec<Named<file::Authority>>,
        issuers: &[Named<file::Issuer>],
    ) -> Vec<(String, Option<AuthoritySettings>)> {
        let mut authorities = Vec::with_capacity(entries.len());
        for Named { name, entry } in entries {
            if issuers.iter().any(|issuer| issuer.name.value == name.value) {
                let message = format!("`{}` is the name of an issuer as well", name.value);
                self.error(&name, message, "records say by this name who vouches for a caller, so it must be one");
            }
            let id: Option<IssuerId> = self.parse(&name);
            let settings = entry.and_then(|entry| self.authority(id, entry));
            authorities.push((name.value, settings));
        }
        authorities
    }

    fn authority(&mut self, id: Option<IssuerId>, entry: file::Authority) -> Option<AuthoritySettings> {
        let file::Authority { ca, crl, tenants } = entry;
        if tenants.value.is_empty() {
            let help = "list the tenants that its certificates may speak for";
            self.error(&tenants, "an authority that may speak for nobody".into(), help);
        }
        let named: Vec<Option<TenantId>> = tenants.value.iter().map(|tenant| self.parse(tenant)).collect();
        let tenants: HashSet<TenantId> = named.into_iter().collect::<Option<_>>()?;
        let (ca, crl) = (PathBuf::from(ca.value), crl.map(|crl| PathBuf::from(crl.value)));
        Some(AuthoritySettings { id: id?, ca, crl, tenants: Arc::new(tenants) })
    }

    pub(super) fn client_certificates(
        &mut self,
        written: file::ClientCertificates,
        known: &AuthorityNames,
    ) -> Option<ingress::ClientCertificates> {
        use file::ClientCertificateMode::{Off, Optional, Required};
        let file::ClientCertificates { mode, authorities } = written;
        let vouching: Vec<_> = authorities.iter().map(|name| self.known_authority(name, known)).collect();
        match (mode.value, authorities.first()) {
            (Off, None) => return Some(ingress::ClientCertificates::Off),
            (Off, Some(first)) => {
                let help = "leave them out, or say `optional` or `required`";
                self.error(first, "nobody is asked for a certificate, so nobody vouches".into(), help);
                return None;
            }
            (Optional | Required, None) => {
                let help = "name at least one under `authorities`";
                self.error(&mode, "nobody vouches for the certificates that are asked for".into(), help);
                return None;
            }
            (Optional | Required, Some(_)) => {}
        }
        let vouching = vouching.into_iter().collect::<Option<Vec<_>>>()?;
        Some(match mode.value {
            Off => ingress::ClientCertificates::Off,
            Optional => ingress::ClientCertificates::Optional(vouching),
            Required => ingress::ClientCertificates::Required(vouching),
        })
    }

    fn known_authority(&mut self, name: &At<String>, known: &AuthorityNames) -> Option<IssuerId> {
        if known.0.contains(&name.value) {
            return name.value.parse().ok(); // a name that is none is told where it is given
        }
        let message = format!("authority `{}` is not configured", name.value);
        let finding = Finding::error(name.spot.place(self.file), message);
        self.findings.push(finding.did_you_mean(&name.value, known.0.iter().map(String::as_str)));
        None
    }
}
