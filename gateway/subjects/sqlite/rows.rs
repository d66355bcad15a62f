use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use terms::TenantId;

use crate::Print;
use crate::kept::{Fresh, KeptEvent, KeptHold, KeptSubject};

pub(super) fn find(connection: &Connection, print: Print) -> rusqlite::Result<Option<KeptSubject>> {
    let sql =
        "SELECT print, tenant, tenant_key, surrogate, key_id, key, identity, made FROM subjects WHERE print = :print";
    connection.prepare_cached(sql)?.query_row(named_params! { ":print": print.0 }, subject).optional()
}

pub(super) fn subject(row: &Row<'_>) -> rusqlite::Result<KeptSubject> {
    Ok(KeptSubject {
        print: row.get("print")?,
        tenant: row.get("tenant")?,
        tenant_key: row.get("tenant_key")?,
        surrogate: row.get("surrogate")?,
        key_id: row.get("key_id")?,
        key: row.get("key")?,
        identity: row.get("identity")?,
        made: row.get("made")?,
    })
}

pub(super) fn hold(row: &Row<'_>) -> rusqlite::Result<KeptHold> {
    Ok(KeptHold {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        is_for_one: row.get("is_for_one")?,
        surrogate: row.get("surrogate")?,
        reason: row.get("reason")?,
        who: row.get("who")?,
        made: row.get("made")?,
    })
}

/// The first that forbids to erase this person, or anybody of the tenant.
pub(super) fn forbidding(
    connection: &Connection,
    tenant: &TenantId,
    print: Option<Print>,
) -> rusqlite::Result<Option<KeptHold>> {
    let sql = "SELECT id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made FROM holds
        WHERE tenant = :tenant AND (:print IS NULL OR print IS NULL OR print = :print) ORDER BY id LIMIT 1";
    let parameters = named_params! { ":tenant": tenant.as_str(), ":print": print.map(|print| print.0) };
    connection.prepare_cached(sql)?.query_row(parameters, hold).optional()
}

pub(super) fn put(event: &Fresh<'_>, connection: &Connection) -> rusqlite::Result<()> {
    let Fresh { kind, tenant, surrogate, key, count, hold, sha256, order } = event;
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done)
         VALUES (:kind, :tenant, :surrogate, :key, :count, :hold, :sha256, :reason, :reference, :who, :done)",
    )?;
    statement.execute(named_params! {
        ":kind": kind.as_str(), ":tenant": tenant, ":surrogate": surrogate, ":key": key,
        ":count": count.map(u64::cast_signed), ":hold": hold, ":sha256": sha256, ":reason": order.reason,
        ":reference": order.reference, ":who": order.who.to_string(), ":done": order.done.cast_signed(),
    })?;
    Ok(())
}

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<KeptEvent> {
    Ok(KeptEvent {
        id: row.get("id")?,
        kind: row.get("kind")?,
        tenant: row.get("tenant")?,
        surrogate: row.get("surrogate")?,
        key: row.get("key_id")?,
        count: row.get("count")?,
        hold: row.get("hold")?,
        sha256: row.get("sha256")?,
        reason: row.get("reason")?,
        reference: row.get("reference")?,
        who: row.get("who")?,
        done: row.get("done")?,
    })
}
