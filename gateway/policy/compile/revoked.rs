use std::sync::Arc;

use tenancy::{Registry, Revocations, Revoked};
use terms::{Finding, Findings, IssuerId, Subject, TenantId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use yaml::At;

use super::names::{parse, shown};
use super::{Known, Written};
use crate::file::RevokedEntry;
use crate::known::Standing;

pub(super) fn read(files: &[Written<'_>], known: &Known, tenants: &Registry, findings: &mut Findings) -> Revocations {
    let mut all = Vec::new();
    for Written { file, entries, .. } in files {
        let reader = Reader { file, known, tenants };
        all.extend(entries.revoked.iter().filter_map(|entry| reader.entry(entry, findings)));
    }
    all.into_iter().collect()
}

struct Reader<'a> {
    file: &'a Arc<str>,
    known: &'a Known,
    tenants: &'a Registry,
}

impl Reader<'_> {
    fn entry(&self, written: &At<RevokedEntry>, findings: &mut Findings) -> Option<Revoked> {
        let RevokedEntry { issuer, jti, sid, user, tenant, before } = &written.value;
        let mut wrong = |message: &str, help: &str| {
            findings.push(Finding::error(written.spot.place(self.file), message).help(help));
            None
        };
        let what = [jti, sid, user, tenant].into_iter().flatten().count();
        if what > 1 || (what == 0 && (issuer.is_none() || before.is_none())) {
            let message =
                "what is taken back is one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`";
            return wrong(message, "write one entry for each");
        }
        if issuer.is_some() == tenant.is_some() {
            let help = "a token, a session and a user are an issuer's; a tenant's tokens are of whichever issuer";
            return wrong("`issuer` goes with `jti`, `sid` or `user`, and not with `tenant`", help);
        }
        if before.is_some() && (jti.is_some() || sid.is_some()) {
            return wrong("a token or a session is taken back whole", "take `before` away");
        }
        if before.is_none() && tenant.is_some() {
            return wrong("all tokens for a tenant, whenever issued", "give `before`, or say `status: suspended`");
        }
        let before = match before {
            Some(before) => Some(self.time(before, findings)?),
            None => None,
        };
        if let Some(tenant) = tenant {
            return Some(Revoked::Tenant { tenant: self.tenant(tenant, findings)?, before: before? });
        }
        let issuer = self.issuer(issuer.as_ref()?, findings)?;
        let text = |text: &At<String>| Box::<str>::from(text.as_str());
        match (jti, sid, user) {
            (Some(jti), _, _) => Some(Revoked::Token { issuer, jti: text(jti) }),
            (_, Some(sid), _) => Some(Revoked::Session { issuer, sid: text(sid) }),
            (_, _, Some(user)) => {
                let subject: Subject = parse(self.file, user, findings)?;
                Some(Revoked::Subject { issuer, subject, before })
            }
            (None, None, None) => Some(Revoked::Issuer { issuer, before: before? }),
        }
    }

    fn issuer(&self, written: &At<String>, findings: &mut Findings) -> Option<IssuerId> {
        match self.known.issuers.look_up(written.as_str()) {
            Standing::Sound(known, _) => return Some(known.clone()),
            Standing::Unsure => {}
            Standing::Unknown => {
                let message = format!("issuer `{}` is not configured", shown(written.as_str()));
                let finding = Finding::error(written.spot.place(self.file), message);
                findings.push(finding.did_you_mean(written.as_str(), self.known.issuers.all()));
            }
        }
        None
    }

    fn tenant(&self, written: &At<String>, findings: &mut Findings) -> Option<TenantId> {
        let known = self.tenants.get(written.as_str()).map(|tenant| tenant.id.clone());
        if known.is_none() {
            let message = format!("tenant `{}` is not registered", shown(written.as_str()));
            let names = self.tenants.iter().map(|tenant| tenant.id.as_str());
            let finding = Finding::error(written.spot.place(self.file), message);
            findings.push(finding.did_you_mean(written.as_str(), names));
        }
        known
    }

    /// The first whole second that is not before this time, since tokens tell whole seconds.
    fn time(&self, written: &At<String>, findings: &mut Findings) -> Option<u64> {
        let time = OffsetDateTime::parse(written.as_str(), &Rfc3339).ok();
        let seconds = time.and_then(|time| {
            let begun = u64::from(time.nanosecond() > 0);
            u64::try_from(time.unix_timestamp()).ok()?.checked_add(begun)
        });
        if seconds.is_none() {
            let message = format!("`{}` is not a time", shown(written.as_str()));
            let finding = Finding::error(written.spot.place(self.file), message);
            findings.push(finding.help("such as 2026-11-23T12:00:00Z (RFC 3339)"));
        }
        seconds
    }
}
