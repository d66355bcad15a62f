use std::collections::HashMap;

use directory::Fault;
use terms::TenantId;
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row, Transaction};

use super::{query, text};
use crate::kept::{Fresh, KeptEvent, KeptHold, KeptSubject, damaged};
use crate::{HeldRow, LogName, Mark, Order, Print, ShelfError, SubjectRow, TenantRow};

pub(super) const HOLD: &str = "id, tenant, print IS NOT NULL, surrogate, reason, who, made";

/// What is not in this log yet.
pub(super) const EVENTS_FOR: &str =
    "SELECT id, kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done
    FROM cloister_subjects.events
    WHERE id > coalesce((SELECT at FROM cloister_subjects.logs WHERE id = $1), 0) ORDER BY id LIMIT $2";

/// A log's id, as it stands in its records.
pub(super) fn log(id: LogName) -> String {
    String::from_utf8_lossy(&terms::hex(u128::from_be_bytes(id))).into_owned()
}

pub(super) fn mark(row: &Row, place: &str) -> Result<Mark, ShelfError> {
    let id: &[u8] = row.get(0);
    let id = id.try_into().map_err(|_| damaged(place, "id", "another length"))?;
    Ok(Mark { id, check: row.get(1), destroyed: row.get::<_, i64>(2).cast_unsigned() })
}

pub(super) fn tenant(row: &Row, tenant: &TenantId, place: &str) -> Result<TenantRow, ShelfError> {
    let id: &[u8] = row.get(0);
    let id = id.try_into().map_err(|_| damaged(place, "id", "another length"))?;
    Ok(TenantRow { tenant: tenant.clone(), id, key: row.get(1) })
}

pub(super) fn name(row: &Row, place: &str) -> Result<TenantId, ShelfError> {
    let name: &str = row.get(0);
    name.parse().map_err(|_| damaged(place, "name", name))
}

/// The rows there are of these persons.
pub(super) async fn find(client: &impl GenericClient, prints: &[Print]) -> Result<Vec<KeptSubject>, Fault> {
    let prints: Vec<&[u8]> = prints.iter().map(|print| print.0.as_slice()).collect();
    let sql = "SELECT print, tenant, tenant_key, surrogate, key_id, key, identity, made
        FROM cloister_subjects.subjects WHERE print = ANY($1)";
    let found = query(client, sql, &[(&prints, Type::BYTEA_ARRAY)]).await?;
    Ok(found.iter().map(subject).collect())
}

pub(super) fn subject(row: &Row) -> KeptSubject {
    KeptSubject {
        print: row.get(0),
        tenant: row.get(1),
        tenant_key: row.get(2),
        surrogate: row.get(3),
        key_id: row.get(4),
        key: row.get(5),
        identity: row.get(6),
        made: row.get(7),
    }
}

/// The same in the order in which they were asked for.
pub(super) fn in_order(
    prints: &[Print],
    found: Vec<KeptSubject>,
    place: &str,
) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
    let read = found.into_iter().map(|row| row.subject(place).map(|row| (row.print, row)));
    let found: HashMap<Print, SubjectRow> = read.collect::<Result<_, _>>()?;
    Ok(prints.iter().map(|print| found.get(print).cloned()).collect()) // one may be asked for twice
}

/// Adds those who are not there, in an order in which no two gateways wait for each other. Where the tenant's key is another one by
/// now, nobody is added; it stays as it is until this is committed.
pub(super) async fn put(change: &Transaction<'_>, fresh: &[SubjectRow]) -> Result<(), Fault> {
    let bytes = |column: fn(&SubjectRow) -> &[u8]| fresh.iter().map(column).collect::<Vec<&[u8]>>();
    let texts = |column: fn(&SubjectRow) -> &str| fresh.iter().map(column).collect::<Vec<&str>>();
    let made: Vec<i64> = fresh.iter().map(|row| row.made.cast_signed()).collect();
    let sql = "WITH of AS MATERIALIZED (
            SELECT name, id FROM cloister_subjects.tenants WHERE name = ANY($2) ORDER BY name FOR SHARE
        )
        INSERT INTO cloister_subjects.subjects
        SELECT fresh.* FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
            AS fresh (print, tenant, tenant_key, surrogate, key_id, key, identity, made)
        JOIN of ON of.name = fresh.tenant AND of.id = fresh.tenant_key
        ORDER BY print ON CONFLICT (print) DO NOTHING";
    let parameters: [super::Parameter<'_>; 8] = [
        (&bytes(|row| &row.print.0), Type::BYTEA_ARRAY),
        (&texts(|row| row.tenant.as_str()), Type::TEXT_ARRAY),
        (&bytes(|row| &row.tenant_key), Type::BYTEA_ARRAY),
        (&texts(|row| row.surrogate.as_str()), Type::TEXT_ARRAY),
        (&texts(|row| text(&row.key_id)), Type::TEXT_ARRAY),
        (&bytes(|row| &row.key), Type::BYTEA_ARRAY),
        (&bytes(|row| &row.identity), Type::BYTEA_ARRAY),
        (&made, Type::INT8_ARRAY),
    ];
    query(change, sql, &parameters).await.map(drop)
}

/// The first that forbids to erase this person, or anybody of the tenant.
pub(super) async fn forbidding(
    change: &Transaction<'_>,
    tenant: &TenantId,
    print: Option<Print>,
) -> Result<Option<KeptHold>, Fault> {
    let sql = format!(
        "SELECT {HOLD} FROM cloister_subjects.holds
        WHERE tenant = $1 AND ($2 IS NULL OR print IS NULL OR print = $2) ORDER BY id LIMIT 1"
    );
    let print = print.as_ref().map(|print| print.0.as_slice());
    let found = query(change, &sql, &[(&tenant.as_str(), Type::TEXT), (&print, Type::BYTEA)]).await?;
    Ok(found.first().map(kept_hold))
}

pub(super) fn kept_hold(row: &Row) -> KeptHold {
    KeptHold {
        id: row.get(0),
        tenant: row.get(1),
        is_for_one: row.get(2),
        surrogate: row.get(3),
        reason: row.get(4),
        who: row.get(5),
        made: row.get(6),
    }
}

pub(super) async fn hold(
    change: &Transaction<'_>,
    tenant: &TenantId,
    whom: Option<&HeldRow>,
    surrogate: Option<String>,
    order: &Order,
) -> Result<KeptHold, Fault> {
    let sql = "INSERT INTO cloister_subjects.holds (tenant, print, surrogate, reason, who, made, identity)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let print = whom.map(|whom| whom.print.0.as_slice());
    let identity = whom.and_then(|whom| whom.identity.as_deref());
    let parameters: [super::Parameter<'_>; 7] = [
        (&tenant.as_str(), Type::TEXT),
        (&print, Type::BYTEA),
        (&surrogate, Type::TEXT),
        (&order.reason, Type::TEXT),
        (&order.who.to_string(), Type::TEXT),
        (&order.done.cast_signed(), Type::INT8),
        (&identity, Type::BYTEA),
    ];
    let id = query(change, sql, &parameters).await?.first().map_or(0, |row| row.get(0));
    Ok(KeptHold::fresh(id, tenant, whom.is_some(), surrogate, order))
}

/// Has the logs learn of something.
pub(super) async fn note(change: &Transaction<'_>, event: &Fresh<'_>) -> Result<(), Fault> {
    let Fresh { kind, tenant, surrogate, key, count, hold, sha256, order } = event;
    let sql = "INSERT INTO cloister_subjects.events
        (kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let parameters: [super::Parameter<'_>; 11] = [
        (&kind.as_str(), Type::TEXT),
        (tenant, Type::TEXT),
        (surrogate, Type::TEXT),
        (key, Type::TEXT),
        (&count.map(u64::cast_signed), Type::INT8),
        (hold, Type::INT8),
        (sha256, Type::TEXT),
        (&order.reason, Type::TEXT),
        (&order.reference, Type::TEXT),
        (&order.who.to_string(), Type::TEXT),
        (&order.done.cast_signed(), Type::INT8),
    ];
    query(change, sql, &parameters).await.map(drop)
}

pub(super) fn event(row: &Row) -> KeptEvent {
    KeptEvent {
        id: row.get(0),
        kind: row.get(1),
        tenant: row.get(2),
        surrogate: row.get(3),
        key: row.get(4),
        count: row.get(5),
        hold: row.get(6),
        sha256: row.get(7),
        reason: row.get(8),
        reference: row.get(9),
        who: row.get(10),
        done: row.get(11),
    }
}
