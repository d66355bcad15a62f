//! `cloister api-key create|list|rotate|revoke`: keys for programs, in the store that the gateway reads.

use apikey::{KeyRow, NewKey};
use serde_json::json;
use store::{KeptKey, Store};
use terms::{Clock, RoleName, Span};

use crate::args::{ApiKey, Files, Format, NewKeyArguments};
use crate::failure::Failure;
use crate::{load, operator, print, which};

/// Runs one of the commands.
pub(crate) fn run(command: &ApiKey, clock: &dyn Clock) -> Result<(), Failure> {
    let now = clock.unix_seconds();
    match command {
        ApiKey::Create { files, key, format } => {
            let (store, row, text) = created(files, key, now)?;
            store.add_key(&row, operator::author()).map_err(|error| Failure::setup("no key is made", &error))?;
            show(&row, &text, *format)
        }
        ApiKey::List { config, format } => {
            let all = open(config)?.keys();
            list(&all.map_err(|error| Failure::setup("the list", &error))?, *format, now)
        }
        ApiKey::Rotate { config, id, overlap, expires, format } => {
            let (overlap, expires) = (span("--overlap", overlap)?, expires.as_deref().map(|it| span("--expires", it)));
            let store = open(config)?;
            let all = store.keys().map_err(|error| Failure::setup("the key", &error))?;
            let Some(KeptKey { row: old, .. }) = all.into_iter().find(|kept| *kept.row.id == **id) else {
                return Err(unknown(id));
            };
            // As long as the old one had, if nothing is said.
            let lifetime = expires.transpose()?.or_else(|| old.expires.map(|expires| expires.saturating_sub(old.made)));
            let NewKey { text, id: new, digest } = NewKey::by_chance();
            let expires = lifetime.map(|lifetime| now.saturating_add(lifetime));
            let row = KeyRow { id: new, digest, made: now, expires, revoked: None, ..old };
            let until = now.saturating_add(overlap);
            let replaced = store.replace_key(id, until, &row, operator::author());
            if !replaced.map_err(|error| Failure::setup("no key is made", &error))? {
                return Err(unknown(id));
            }
            show(&row, &text, *format)?;
            print::notice(format_args!("The old key `{id}` is good until {} at most.", which::time(until)));
            Ok(())
        }
        ApiKey::Revoke { config, id } => {
            let revoked = open(config)?.revoke_key(id, now, operator::author());
            if !revoked.map_err(|error| Failure::setup("nothing is taken back", &error))? {
                return Err(unknown(id));
            }
            print::line(format_args!("Taken back: the key `{id}`."));
            print::line(
                "A gateway that runs with this state folder refuses it within a second, and ends what runs under it.",
            );
            Ok(())
        }
    }
}

fn unknown(id: &str) -> Failure {
    Failure::Setup(format!("no key `{id}` is good: `cloister api-key list` shows them all"))
}

fn open(config: &std::path::Path) -> Result<Store, Failure> {
    let (settings, _) = load::config(config)?;
    Store::open_existing(&settings.state).map_err(|error| Failure::setup("the store", &error))
}

/// Names that the policies do not know are errors: nobody would hear of them before the key is refused.
fn created(files: &Files, key: &NewKeyArguments, now: u64) -> Result<(Store, KeyRow, String), Failure> {
    let (settings, known) = load::config(&files.config)?;
    let policy = load::compile_untested(&load::texts(&files.policies)?, &known)?.policy;
    let NewKeyArguments { tenant, name, roles, expires } = key;
    let nearest = |name: &str, known: Vec<&str>| {
        terms::nearest(name, known).map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
    };
    let Some(tenant) = policy.tenants_for_now().possible(tenant) else {
        let guess = nearest(tenant, policy.tenants().iter().map(|tenant| tenant.id.as_str()).collect());
        return Err(Failure::Setup(format!("the tenant `{tenant}` is not known{guess}")));
    };
    let mut read: Vec<RoleName> = Vec::with_capacity(roles.len());
    for role in roles {
        let Some(role) = policy.roles().find(|known| known.as_str() == role) else {
            let guess = nearest(role, policy.roles().map(RoleName::as_str).collect());
            return Err(Failure::Setup(format!("the role `{role}` is not defined{guess}")));
        };
        read.push(role.clone());
    }
    apikey::subject(&tenant, name).map_err(|error| Failure::Setup(format!("--name: `{name}`: {error}")))?;
    let expires = expires.as_deref().map(|expires| span("--expires", expires)).transpose()?;
    let NewKey { text, id, digest } = NewKey::by_chance();
    let expires = expires.map(|expires| now.saturating_add(expires));
    let row = KeyRow { id, digest, tenant, name: name.as_str().into(), roles: read, made: now, expires, revoked: None };
    let store = Store::open_existing(&settings.state).map_err(|error| Failure::setup("the store", &error))?;
    Ok((store, row, text))
}

fn span(what: &str, text: &str) -> Result<u64, Failure> {
    match text.parse() {
        Ok(Span(span)) => Ok(span.as_secs()),
        Err(error) => Err(Failure::Setup(format!("{what}: `{text}`: {error}"))),
    }
}

/// The only time that the key is seen.
fn show(row: &KeyRow, text: &str, format: Format) -> Result<(), Failure> {
    let KeyRow { id, tenant, name, expires, .. } = row;
    match format {
        Format::Json => {
            let expires = expires.map(which::time);
            let json =
                json!({ "key": text, "id": &**id, "tenant": tenant.as_str(), "name": &**name, "expires": expires });
            let json = serde_json::to_string_pretty(&json);
            print::line(json.map_err(|error| Failure::broke("the key", &error))?);
        }
        Format::Text => {
            print::line(text);
            print::notice(format_args!(
                "Key `{id}` of `{name}` for tenant `{tenant}`. It is shown once, and kept nowhere."
            ));
        }
    }
    Ok(())
}

fn list(all: &[KeptKey], format: Format, now: u64) -> Result<(), Failure> {
    let status = |row: &KeyRow| match (row.revoked, row.expires) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if now >= expires => "expired",
        (None, _) => "good",
    };
    let time = |time: Option<u64>| time.map(which::time);
    match format {
        Format::Json => {
            let all: Vec<_> = all
                .iter()
                .map(|KeptKey { row, used }| {
                    let roles: Vec<_> = row.roles.iter().map(RoleName::as_str).collect();
                    json!({
                        "id": &*row.id, "tenant": row.tenant.as_str(), "name": &*row.name, "roles": roles,
                        "status": status(row), "made": which::time(row.made), "expires": time(row.expires),
                        "used": time(*used),
                    })
                })
                .collect();
            let json = serde_json::to_string_pretty(&all);
            print::line(json.map_err(|error| Failure::broke("the list", &error))?);
        }
        Format::Text if all.is_empty() => print::line("There is no API key."),
        Format::Text => {
            let head = ["id", "tenant", "name", "status", "made", "expires", "last used", "roles"].map(String::from);
            let dash = |time: Option<String>| time.unwrap_or_else(|| "-".into());
            let row = |KeptKey { row, used }: &KeptKey| {
                let roles: Vec<_> = row.roles.iter().map(RoleName::as_str).collect();
                let (id, tenant, name) = (row.id.to_string(), row.tenant.to_string(), row.name.to_string());
                let (made, expires, used) = (which::time(row.made), dash(time(row.expires)), dash(time(*used)));
                vec![id, tenant, name, status(row).into(), made, expires, used, roles.join(" ")]
            };
            let rows: Vec<_> = std::iter::once(Vec::from(head)).chain(all.iter().map(row)).collect();
            print::table(&rows).into_iter().for_each(print::line);
        }
    }
    Ok(())
}
