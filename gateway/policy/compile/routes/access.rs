//! Who may use a route, and what must name the tenant.

use tenancy::{MembershipSource, OpaqueTokens};
use terms::{Finding, Findings, IssuerId, IssuerSet};

use super::Reader;
use crate::compile::names::shown;
use crate::file::{AuthEntry, GuardEntry, MatchEntry};
use crate::known::Standing;
use crate::pattern::{HostPattern, Pattern};
use crate::route::{AcceptsKeys, Access, Demands, TenantSource};
use yaml::{At, Tried};

impl Reader<'_> {
    pub(super) fn access(&self, auth: &At<Tried<AuthEntry>>, findings: &mut Findings) -> Option<Access> {
        let guard = match auth.value.0.as_ref()? {
            AuthEntry::Nobody(_) => return Some(Access::Public),
            AuthEntry::Guarded(guard) => guard,
        };
        let GuardEntry { issuers, authorities, tenant_from, api_keys, .. } = &**guard;
        let keys = match api_keys {
            Some(At { value: true, .. }) => AcceptsKeys::Yes,
            Some(_) | None => AcceptsKeys::No,
        };
        match (issuers, authorities) {
            (Some(issuers), None) => {
                let demands = self.demands(guard, findings);
                if let (Some(at), true) = (api_keys.as_ref().filter(|it| it.value), demands != Demands::default()) {
                    let finding = Finding::error(self.place(at), "no API key can be what this route demands of tokens");
                    findings.push(finding.help("take a route for each"));
                }
                let (issuers, sources) = self.tokens(issuers, tenant_from, findings);
                Some(Access::Guarded { issuers, tenant_from: sources, keys, demands })
            }
            (None, None) if keys == AcceptsKeys::Yes => {
                self.refuse_demands(guard, findings);
                let tenant_from = self.tenant_from(tenant_from, findings);
                let (issuers, demands) = (IssuerSet::default(), Demands::default());
                Some(Access::Guarded { issuers, tenant_from, keys, demands })
            }
            (None, Some(authorities)) => {
                self.refuse_demands(guard, findings);
                if let Some(api_keys) = api_keys {
                    let finding = Finding::error(self.place(api_keys), "no key comes on a route for services");
                    findings.push(finding.help("take it away, or take a route for each"));
                }
                Some(self.certificates(authorities, tenant_from, findings))
            }
            (Some(_), Some(authorities)) => {
                let finding =
                    Finding::error(self.place(authorities), "a route takes tokens or certificates of services");
                findings.push(finding.help("leave out `issuers` or `authorities`"));
                None
            }
            (None, None) => {
                let finding = Finding::error(self.place(auth), "nothing says who may use this route");
                findings
                    .push(finding.help("name `issuers` or `authorities`, or write `api_keys: true` or `auth: none`"));
                None
            }
        }
    }

    fn certificates(
        &self,
        authorities: &At<Vec<At<String>>>,
        tenant_from: &At<Vec<At<String>>>,
        findings: &mut Findings,
    ) -> Access {
        let mut accepted: Vec<IssuerId> = Vec::with_capacity(authorities.value.len());
        for authority in &authorities.value {
            match self.known.authorities.look_up(authority.as_str()) {
                Standing::Sound(known, _) if accepted.contains(known) => {
                    findings.push(Finding::error(self.place(authority), "this authority stands here twice"));
                }
                Standing::Sound(known, _) => accepted.push(known.clone()),
                Standing::Unknown => {
                    let message = format!("authority `{}` is not configured", shown(authority.as_str()));
                    let names = self.known.authorities.all();
                    let finding = Finding::error(self.place(authority), message);
                    findings.push(finding.did_you_mean(authority.as_str(), names));
                }
                Standing::Unsure => {}
            }
        }
        if authorities.value.is_empty() {
            let finding = Finding::error(self.place(authorities), "a route without an authority lets nobody in");
            findings.push(finding.help("name who vouches for the services that it accepts"));
        }
        let sources = self.tenant_from(tenant_from, findings);
        if sources.contains(&TenantSource::Token) {
            let finding = Finding::error(self.place(tenant_from), "no token comes on a route for services");
            findings.push(finding.help("write `certificate` in place of `token`"));
        }
        if !sources.contains(&TenantSource::Certificate) {
            let message = "the certificate says for which tenant a service acts, so it must name the tenant";
            findings.push(Finding::error(self.place(tenant_from), message).help("add `certificate` to `tenant_from`"));
        }
        Access::Services { authorities: accepted.into_iter().collect(), tenant_from: sources }
    }

    fn tokens(
        &self,
        issuers: &At<Vec<At<String>>>,
        tenant_from: &At<Vec<At<String>>>,
        findings: &mut Findings,
    ) -> (IssuerSet, Vec<TenantSource>) {
        let mut accepted: Vec<IssuerId> = Vec::with_capacity(issuers.value.len());
        for issuer in &issuers.value {
            match self.known.issuers.look_up(issuer.as_str()) {
                Standing::Sound(known, _) if accepted.contains(known) => {
                    findings.push(Finding::error(self.place(issuer), "this issuer stands here twice"));
                }
                Standing::Sound(known, _) => accepted.push(known.clone()),
                Standing::Unknown => {
                    let message = format!("issuer `{}` is not configured", shown(issuer.as_str()));
                    let names = self.known.issuers.all();
                    findings.push(Finding::error(self.place(issuer), message).did_you_mean(issuer.as_str(), names));
                }
                Standing::Unsure => {}
            }
        }
        if issuers.value.is_empty() {
            let finding = Finding::error(self.place(issuers), "a route without an issuer lets nobody in");
            findings.push(finding.help("name whose tokens it accepts, or write `auth: none`"));
        }
        let is_asked = |issuer: &&IssuerId| {
            self.known.issuers.get(issuer.as_str()).is_some_and(|voucher| voucher.opaque == OpaqueTokens::Asked)
        };
        let mut asked = accepted.iter().filter(is_asked);
        if let (Some(one), Some(other)) = (asked.next(), asked.next()) {
            let message = format!("`{one}` and `{other}` are both asked about tokens that do not say whose they are");
            let finding = Finding::error(self.place(issuers), message);
            findings.push(finding.help("accept one issuer with `introspection` on a route"));
        }
        let sources = self.tenant_from(tenant_from, findings);
        let claims = accepted.iter().find(|issuer| self.known.members_of(issuer) == Some(MembershipSource::Claims));
        if let Some(issuer) = claims.filter(|_| !sources.contains(&TenantSource::Token)) {
            let message =
                format!("tokens of `{issuer}` say themselves who is a member, so the token must name the tenant");
            findings.push(Finding::error(self.place(tenant_from), message).help("add `token` to `tenant_from`"));
        }
        (accepted.into_iter().collect(), sources)
    }

    fn tenant_from(&self, written: &At<Vec<At<String>>>, findings: &mut Findings) -> Vec<TenantSource> {
        let mut sources = Vec::with_capacity(written.value.len());
        for source in &written.value {
            let parsed = match (source.as_str(), source.as_str().strip_prefix("header:")) {
                ("certificate", _) => Some(TenantSource::Certificate),
                ("host", _) => Some(TenantSource::Host),
                ("path", _) => Some(TenantSource::Path),
                ("token", _) => Some(TenantSource::Token),
                (_, Some(name)) if is_field_name(name) => Some(TenantSource::Header(name.to_ascii_lowercase().into())),
                _ => None,
            };
            match parsed {
                Some(parsed) if sources.contains(&parsed) => {
                    findings.push(Finding::error(self.place(source), "this source stands here twice"));
                }
                Some(TenantSource::Header(_))
                    if sources.iter().any(|source| matches!(source, TenantSource::Header(_))) =>
                {
                    findings
                        .push(Finding::error(self.place(source), "a route takes the tenant from one header at most"));
                }
                Some(parsed) => sources.push(parsed),
                None => {
                    let message = format!("`{}` cannot name a tenant", shown(source.as_str()));
                    let finding = Finding::error(self.place(source), message);
                    findings.push(match terms::nearest(source.as_str(), ["certificate", "host", "path", "token"]) {
                        Some(name) => finding.help(format!("did you mean `{name}`?")),
                        None => finding.help("write `token`, `certificate`, `host`, `path` or `header:X-Org`"),
                    });
                }
            }
        }
        if written.value.is_empty() {
            let finding = Finding::error(self.place(written), "a guarded route says what must name the tenant");
            findings.push(finding.help("write for example `tenant_from: [token, host]`"));
        }
        sources
    }

    /// A tenant that a host or a path names must be checked, and one that is asked for must be there.
    pub(super) fn check_tenant(
        &self,
        written: &MatchEntry,
        pattern: &Pattern,
        auth: Option<&At<Tried<AuthEntry>>>,
        access: Option<&Access>,
        findings: &mut Findings,
    ) {
        let (Some(Access::Guarded { tenant_from, .. } | Access::Services { tenant_from, .. }), Some(auth)) =
            (access, auth)
        else {
            return;
        };
        let in_host = matches!(pattern.host, HostPattern::Tenant(_));
        for (word, source, named, at) in [
            ("host", TenantSource::Host, in_host, &written.host),
            ("path", TenantSource::Path, pattern.path.tenant().is_some(), &written.path),
        ] {
            let (place, message, help) = match (named, tenant_from.contains(&source)) {
                (true, true) | (false, false) => continue,
                (true, false) => (
                    self.place(at),
                    format!("the {word} names a tenant that nothing checks"),
                    format!("add `{word}` to `tenant_from`"),
                ),
                (false, true) => (
                    self.place(auth),
                    format!("`tenant_from` asks for the {word}, which names no tenant"),
                    format!("write `{{tenant}}` into `{word}` under `match`"),
                ),
            };
            findings.push(Finding::error(place, message).help(help));
        }
    }
}

/// RFC 9110 §5.1, without the characters that some backends take for one another.
fn is_field_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
