use audit::Pseudonym;
use subjects::{Making, Person};
use terms::{IssuerId, Subject, TenantId};

use crate::args::{Filter, Log};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{load, print, which};

/// What the log calls the wanted subject in the tenants where it is a member. The subject vault alone knows: without it, only
/// records are found of when the subject was none, and that is said.
pub(super) fn names(log: &Log, filter: &Filter) -> Result<Vec<Pseudonym>, Failure> {
    let Some(subject) = super::filter::parse::<Subject>("--subject", filter.subject.as_deref())? else {
        return Ok(Vec::new());
    };
    let tenant = super::filter::parse::<TenantId>("--tenant", filter.tenant.as_deref())?;
    Ok(asked(log, &subject, tenant).unwrap_or_else(|why| {
        print::notice(format_args!("records of members are not found by `--subject`: {why}"));
        Vec::new()
    }))
}

fn asked(log: &Log, subject: &Subject, tenant: Option<TenantId>) -> Result<Vec<Pseudonym>, String> {
    let Ok((settings, _)) = load::config_with(&log.config, Asking::Vault) else {
        return Err("the configuration that names the vault cannot be read".into());
    };
    let chain = |error: subjects::VaultError| terms::chain(&error).to_string();
    let mut vault = settings.audit.privacy.vault(&settings.state, Making::No).map_err(chain)?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => vault.tenants().map_err(chain)?,
    };
    let mut names = Vec::new();
    for tenant in &tenants {
        for issuer in &issuers(&settings, tenant) {
            let found = vault.find(Person { tenant, issuer, subject }).map_err(chain)?;
            names.extend(found.map(|persona| Pseudonym::from(persona.surrogate())));
        }
    }
    Ok(names)
}

/// Whoever may vouch for members of this tenant.
fn issuers(settings: &Settings, tenant: &TenantId) -> Vec<IssuerId> {
    let (all, realms) = which::issuers(&settings.issuers);
    let of_tenant = realms.iter().filter_map(|realm| format!("{realm}/{tenant}").parse().ok());
    let authorities = settings.authorities.iter().map(|authority| authority.id.clone());
    let keys = apikey::ISSUER.parse().ok();
    of_tenant.chain(authorities).chain(keys).chain(all.iter().cloned()).collect()
}
