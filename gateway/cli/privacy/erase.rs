use serde_json::json;
use subjects::{Destroyed, EventKind, Hold, Order, Scrubbed, SubjectVault};
use terms::TenantId;

use super::receipt::{Awaited, how};
use super::{Named, nobody, open};
use crate::args::{At, Format, Whom};
use crate::failure::Failure;
use crate::{print, which};

/// Destroys the key of a person.
pub(super) fn person(whom: &Whom, order: &Order, at: &At, format: Format) -> Result<(), Failure> {
    let (named, (settings, mut vault)) = (Named::of(whom)?, open(at)?);
    let mut awaited = Awaited::from_now(&settings.audit.directory);
    let destroyed = vault.erase(named.person(), order).map_err(|error| Failure::setup("nobody is erased", &error))?;
    let row = match destroyed {
        Destroyed::Held(hold) => return Err(held(&hold)),
        Destroyed::Nothing | Destroyed::Tenant(_) => return Err(nobody()),
        Destroyed::One(row) => row,
    };
    let left = scrub(&mut vault)?;
    let sub = row.surrogate.as_str();
    let record = awaited.record(EventKind::Erased, Some(sub), order)?;
    let (tenant, key) = (named.tenant.as_str(), String::from_utf8_lossy(&row.key_id));
    match format {
        Format::Json => receipt(&json!({
            "erased": sub, "key": key, "tenant": tenant, "known_since": which::time(row.made),
            "at": which::time(order.done), "reason": order.reason, "request_ref": order.reference, "record": record.as_ref().map(|it| it.index),
            "class": record.as_ref().and_then(|it| it.class.clone()), "copies": matches!(left, Scrubbed::Kept),
        })),
        Format::Text => {
            print::line(format_args!(
                "Erased: the person that the log calls `{sub}` in tenant `{tenant}` since {}.",
                which::time(row.made)
            ));
            print::line(format_args!(
                "Destroyed at {}: the key `{key}`, the name that was sealed with it, and what led from the person to `{sub}`.",
                which::time(order.done)
            ));
            print::line(how(record.as_ref()));
            print::line(copies(left));
            Ok(())
        }
    }
}

/// Destroys the key of a tenant.
pub(super) fn tenant(tenant: &TenantId, order: &Order, at: &At, format: Format) -> Result<(), Failure> {
    let (settings, mut vault) = open(at)?;
    let mut awaited = Awaited::from_now(&settings.audit.directory);
    let destroyed = vault.off_board(tenant, order).map_err(|error| Failure::setup("nobody is erased", &error))?;
    let persons = match destroyed {
        Destroyed::Held(hold) => return Err(held(&hold)),
        Destroyed::Nothing | Destroyed::One(_) => {
            print::line(format_args!("The subject vault has nothing of the tenant `{tenant}`."));
            return Err(Failure::No);
        }
        Destroyed::Tenant(persons) => persons,
    };
    let left = scrub(&mut vault)?;
    let record = awaited.record(EventKind::OffBoarded, None, order)?;
    match format {
        Format::Json => receipt(&json!({
            "off_boarded": tenant.as_str(), "persons": persons, "at": which::time(order.done),
            "reason": order.reason, "request_ref": order.reference, "record": record.as_ref().map(|it| it.index),
            "class": record.as_ref().and_then(|it| it.class.clone()), "copies": matches!(left, Scrubbed::Kept),
        })),
        Format::Text => {
            let persons = print::counted(usize::try_from(persons).unwrap_or(usize::MAX), "person");
            print::line(format_args!("Erased: the tenant `{tenant}` with {persons}."));
            print::line(format_args!(
                "Destroyed at {}: the tenant's key, and all it has wrapped.",
                which::time(order.done)
            ));
            print::line(how(record.as_ref()));
            print::line(copies(left));
            Ok(())
        }
    }
}

fn scrub(vault: &mut SubjectVault) -> Result<Scrubbed, Failure> {
    vault.scrub().map_err(|error| {
        Failure::broke("it is erased, but what was destroyed may still lie on the disk: erase somebody again", &error)
    })
}

/// Who still has the key.
const fn copies(left: Scrubbed) -> &'static str {
    match left {
        Scrubbed::Gone => {
            "Backups of the vault still have the key: the erasure is complete when the last of them has expired."
        }
        Scrubbed::Kept => {
            "PostgreSQL still has the wrapped key where it keeps old rows, and so have its log of writes and backups of both: the \
             erasure is complete when the last of them has expired, or once `cloister privacy rotate-root` was run and the old root \
             is destroyed."
        }
    }
}

fn receipt(value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print::line(text.map_err(|error| Failure::broke("the receipt", &error))?);
    Ok(())
}

fn held(hold: &Hold) -> Failure {
    Failure::Held(format!(
        "hold {} forbids it since {}: {}. The attempt is on record. `cloister privacy hold list` shows all holds",
        hold.id,
        which::time(hold.made),
        hold.reason
    ))
}
