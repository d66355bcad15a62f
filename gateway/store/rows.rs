//! How revocations stand in tables.

use rusqlite::{Row, Transaction, named_params};
use tenancy::Revoked;

use crate::{Revocation, Store, StoreError, Turn};

/// Which tokens, before it is known that this program wrote it.
pub(crate) struct Kept {
    kind: String,
    issuer: String,
    name: String,
    before: Option<i64>,
}

impl Kept {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (kind, issuer, name) = (row.get("kind")?, row.get("issuer")?, row.get("name")?);
        Ok(Self { kind, issuer, name, before: row.get("before")? })
    }
}

impl Store {
    /// FAIL CLOSED: what is not as this program writes it is an error, and not left out.
    pub(crate) fn revoked(&self, kept: Kept) -> Result<Revoked, StoreError> {
        let Kept { kind, issuer, name, before } = kept;
        let before = before.map(i64::cast_unsigned);
        let issuer = || issuer.parse().map_err(|_| self.damaged("issuer", &issuer));
        Ok(match (kind.as_str(), before) {
            ("token", _) => Revoked::Token { issuer: issuer()?, jti: name.into() },
            ("session", _) => Revoked::Session { issuer: issuer()?, sid: name.into() },
            ("subject", before) => {
                let subject = name.parse().map_err(|_| self.damaged("name", &name))?;
                Revoked::Subject { issuer: issuer()?, subject, before }
            }
            ("tenant", Some(before)) => {
                Revoked::Tenant { tenant: name.parse().map_err(|_| self.damaged("name", &name))?, before }
            }
            _ => return Err(self.damaged("kind", kind)),
        })
    }

    pub(crate) fn turn(&self, written: &str) -> Result<Turn, StoreError> {
        match written {
            "restored" => Ok(Turn::Restored),
            "revoked" => Ok(Turn::Revoked),
            _ => Err(self.damaged("turn", written)),
        }
    }
}

impl Turn {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Revoked => "revoked",
        }
    }
}

/// What tells a revocation from others: its kind, issuer and name; and the time, if it is about what was issued before.
fn key(revoked: &Revoked) -> (&'static str, &str, &str, Option<u64>) {
    match revoked {
        Revoked::Session { issuer, sid } => ("session", issuer.as_str(), sid, None),
        Revoked::Subject { issuer, subject, before } => ("subject", issuer.as_str(), subject.as_str(), *before),
        Revoked::Tenant { tenant, before } => ("tenant", "", tenant.as_str(), Some(*before)),
        Revoked::Token { issuer, jti } => ("token", issuer.as_str(), jti, None),
    }
}

/// Takes tokens back, and forgets what may be forgotten `now`. `false`: all of that was taken back already.
pub(crate) fn put(transaction: &Transaction<'_>, revocation: &Revocation, now: u64) -> rusqlite::Result<bool> {
    let Revocation { revoked, until, made } = revocation;
    let (kind, issuer, name, before) = key(revoked);
    transaction.execute("DELETE FROM revocations WHERE until <= :now", named_params! { ":now": seconds(now) })?;
    // Nothing is later than a time that is not there.
    let mut statement = transaction.prepare_cached(
        "INSERT INTO revocations (kind, issuer, name, before, until, made)
         VALUES (:kind, :issuer, :name, :before, :until, :made)
         ON CONFLICT DO UPDATE SET made = max(made, excluded.made),
            before = CASE WHEN before IS NULL OR excluded.before IS NULL THEN NULL ELSE max(before, excluded.before) END,
            until = CASE WHEN until IS NULL OR excluded.until IS NULL THEN NULL ELSE max(until, excluded.until) END
         WHERE (before IS NOT NULL AND (excluded.before IS NULL OR excluded.before > before))
            OR (until IS NOT NULL AND (excluded.until IS NULL OR excluded.until > until))",
    )?;
    let changed = statement.execute(named_params! {
        ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds), ":until": until.map(seconds),
        ":made": seconds(*made),
    })?;
    Ok(changed > 0)
}

/// Lets tokens be good again. `false`: they were not taken back in just this way.
pub(crate) fn remove(transaction: &Transaction<'_>, revoked: &Revoked) -> rusqlite::Result<bool> {
    let (kind, issuer, name, _) = key(revoked);
    let sql = "DELETE FROM revocations WHERE kind = :kind AND issuer = :issuer AND name = :name";
    let parameters = named_params! { ":kind": kind, ":issuer": issuer, ":name": name };
    transaction.execute(sql, parameters).map(|deleted| deleted > 0)
}

/// Has the audit log learn of it, whichever process made the change and whether or not a gateway runs.
pub(crate) fn note(transaction: &Transaction<'_>, turn: Turn, revoked: &Revoked) -> rusqlite::Result<()> {
    let (kind, issuer, name, before) = key(revoked);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO revocation_events (turn, kind, issuer, name, before)
         VALUES (:turn, :kind, :issuer, :name, :before)",
    )?;
    statement.execute(named_params! {
        ":turn": turn.as_str(), ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds),
    })?;
    Ok(())
}

/// Has the other gateways learn of it.
pub(crate) fn post(transaction: &Transaction<'_>, turn: Turn, revocation: &Revocation) -> rusqlite::Result<()> {
    let Revocation { revoked, until, made } = revocation;
    let (kind, issuer, name, before) = key(revoked);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO outbox (turn, kind, issuer, name, before, until, made)
         VALUES (:turn, :kind, :issuer, :name, :before, :until, :made)",
    )?;
    statement.execute(named_params! {
        ":turn": turn.as_str(), ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds),
        ":until": until.map(seconds), ":made": seconds(*made),
    })?;
    Ok(())
}

/// Times beyond what SQLite counts are the end of time.
pub(crate) fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
