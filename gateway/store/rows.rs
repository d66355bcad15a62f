//! How revocations stand in tables.

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};
use tenancy::Revoked;
use terms::Author;

use crate::{Revocation, Store, StoreError, Told, Turn};

/// What is gone is remembered for so many changes. Whoever is further behind reads all that is there.
pub(crate) const REMEMBERED: u64 = 10_000;

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

/// A row of revocations, before it is known that this program wrote it.
pub(crate) struct KeptRevocation {
    kept: Kept,
    until: Option<i64>,
    made: i64,
    author: Option<String>,
}

impl KeptRevocation {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (kept, until, made) = (Kept::read(row)?, row.get("until")?, row.get("made")?);
        Ok(Self { kept, until, made, author: row.get("author")? })
    }
}

impl Store {
    pub(crate) fn revocation(&self, row: KeptRevocation) -> Result<Revocation, StoreError> {
        let KeptRevocation { kept, until, made, author } = row;
        let (revoked, author) = (self.revoked(kept)?, self.author(author)?);
        Ok(Revocation { revoked, until: until.map(i64::cast_unsigned), made: made.cast_unsigned(), author })
    }

    /// FAIL CLOSED: what is not as this program writes it is an error, and not left out.
    pub(crate) fn revoked(&self, kept: Kept) -> Result<Revoked, StoreError> {
        let Kept { kind, issuer, name, before } = kept;
        let before = before.map(i64::cast_unsigned);
        let issuer = || issuer.parse().map_err(|_| self.damaged("issuer", &issuer));
        Ok(match (kind.as_str(), before) {
            ("issuer", Some(before)) => Revoked::Issuer { issuer: issuer()?, before },
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

    pub(crate) fn author(&self, written: Option<String>) -> Result<Option<Author>, StoreError> {
        written.map(|written| written.parse().map_err(|_| self.damaged("author", &written))).transpose()
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
        Revoked::Issuer { issuer, before } => ("issuer", issuer.as_str(), "", Some(*before)),
        Revoked::Session { issuer, sid } => ("session", issuer.as_str(), sid, None),
        Revoked::Subject { issuer, subject, before } => ("subject", issuer.as_str(), subject.as_str(), *before),
        Revoked::Tenant { tenant, before } => ("tenant", "", tenant.as_str(), Some(*before)),
        Revoked::Token { issuer, jti } => ("token", issuer.as_str(), jti, None),
    }
}

/// Takes tokens back, and forgets what may be forgotten `now`. `false`: all of that was taken back already.
pub(crate) fn put(transaction: &Transaction<'_>, revocation: &Revocation, now: u64) -> rusqlite::Result<bool> {
    let Revocation { revoked, until, made, author } = revocation;
    let (kind, issuer, name, before) = key(revoked);
    forget(transaction, now)?;
    // Nothing is later than a time that is not there. Whoever made it first stays its author.
    let mut statement = transaction.prepare_cached(
        "INSERT INTO revocations (kind, issuer, name, before, until, made, author, at)
         VALUES (:kind, :issuer, :name, :before, :until, :made, :author, (SELECT count + 1 FROM changes))
         ON CONFLICT DO UPDATE SET made = max(made, excluded.made), at = excluded.at,
            before = CASE WHEN before IS NULL OR excluded.before IS NULL THEN NULL ELSE max(before, excluded.before) END,
            until = CASE WHEN until IS NULL OR excluded.until IS NULL THEN NULL ELSE max(until, excluded.until) END
         WHERE (before IS NOT NULL AND (excluded.before IS NULL OR excluded.before > before))
            OR (until IS NOT NULL AND (excluded.until IS NULL OR excluded.until > until))",
    )?;
    let changed = statement.execute(named_params! {
        ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds), ":until": until.map(seconds),
        ":made": seconds(*made), ":author": author.map(|author| author.to_string()),
    })?;
    if changed > 0 {
        let sql = "DELETE FROM removals WHERE kind = :kind AND issuer = :issuer AND name = :name";
        transaction.prepare_cached(sql)?.execute(named_params! { ":kind": kind, ":issuer": issuer, ":name": name })?;
    }
    Ok(changed > 0)
}

/// Whether they are taken back in this way already, before whatever time.
pub(crate) fn is_kept(transaction: &Transaction<'_>, revoked: &Revoked) -> rusqlite::Result<bool> {
    let (kind, issuer, name, _) = key(revoked);
    let sql = "SELECT 1 FROM revocations WHERE kind = :kind AND issuer = :issuer AND name = :name";
    transaction.prepare_cached(sql)?.exists(named_params! { ":kind": kind, ":issuer": issuer, ":name": name })
}

/// How many are there that this issuer, or any issuer, has made itself.
pub(crate) fn made_by_issuers(transaction: &Transaction<'_>, issuer: &str) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT count(*) FROM revocations WHERE issuer = :issuer AND author = 'issuer'";
    let mut theirs = transaction.prepare_cached(sql)?;
    let theirs: i64 = theirs.query_row(named_params! { ":issuer": issuer }, |row| row.get(0))?;
    let mut all = transaction.prepare_cached("SELECT count(*) FROM revocations WHERE author = 'issuer'")?;
    let all: i64 = all.query_row([], |row| row.get(0))?;
    Ok((theirs.cast_unsigned(), all.cast_unsigned()))
}

/// Lets tokens be good again. `false`: they were not taken back in just this way, or later than `made`, if that is given.
pub(crate) fn remove(transaction: &Transaction<'_>, revoked: &Revoked, made: Option<u64>) -> rusqlite::Result<bool> {
    let (kind, issuer, name, _) = key(revoked);
    let made = made.map_or(i64::MAX, seconds);
    let sql = "DELETE FROM revocations WHERE kind = :kind AND issuer = :issuer AND name = :name AND made <= :made
               RETURNING before, made";
    let parameters = named_params! { ":kind": kind, ":issuer": issuer, ":name": name, ":made": made };
    let removed = transaction.query_row(sql, parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((before, made)): Option<(Option<i64>, i64)> = removed else { return Ok(false) };
    let sql = "INSERT OR REPLACE INTO removals
               VALUES (:kind, :issuer, :name, :before, :made, (SELECT count + 1 FROM changes))";
    let parameters =
        named_params! { ":kind": kind, ":issuer": issuer, ":name": name, ":before": before, ":made": made };
    transaction.execute(sql, parameters)?;
    forget_removals(transaction)?;
    Ok(true)
}

/// Whether this very revocation, or a later one of the same tokens, was undone and nothing was taken back since.
pub(crate) fn is_undone(transaction: &Transaction<'_>, revocation: &Revocation) -> rusqlite::Result<bool> {
    let (kind, issuer, name, _) = key(&revocation.revoked);
    let sql = "SELECT 1 FROM removals WHERE kind = :kind AND issuer = :issuer AND name = :name AND made >= :made";
    let parameters =
        named_params! { ":kind": kind, ":issuer": issuer, ":name": name, ":made": seconds(revocation.made) };
    transaction.prepare_cached(sql)?.exists(parameters)
}

/// Forgets what may be forgotten `now`. Answers whether there was any.
pub(crate) fn forget(transaction: &Transaction<'_>, now: u64) -> rusqlite::Result<bool> {
    // Nobody undid them: told again with a later end, they are taken back again.
    let mut noted = transaction.prepare_cached(
        "INSERT OR REPLACE INTO removals SELECT kind, issuer, name, before, NULL, (SELECT count + 1 FROM changes)
         FROM revocations WHERE until <= :now",
    )?;
    if noted.execute(named_params! { ":now": seconds(now) })? == 0 {
        return Ok(false);
    }
    transaction.execute("DELETE FROM revocations WHERE until <= :now", named_params! { ":now": seconds(now) })?;
    forget_removals(transaction)?;
    Ok(true)
}

fn forget_removals(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM removals WHERE at <= (SELECT count FROM changes) - :remembered";
    transaction.execute(sql, named_params! { ":remembered": REMEMBERED.cast_signed() }).map(drop)
}

/// Has the audit log learn of it, whichever process made the change and whether or not a gateway runs.
pub(crate) fn note(
    transaction: &Transaction<'_>,
    turn: Turn,
    revoked: &Revoked,
    author: Option<Author>,
) -> rusqlite::Result<()> {
    let (kind, issuer, name, before) = key(revoked);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO revocation_events (turn, kind, issuer, name, before, author)
         VALUES (:turn, :kind, :issuer, :name, :before, :author)",
    )?;
    statement.execute(named_params! {
        ":turn": turn.as_str(), ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds),
        ":author": author.map(|author| author.to_string()),
    })?;
    Ok(())
}

/// Has the other gateways learn of it.
pub(crate) fn post(transaction: &Transaction<'_>, turn: Turn, revocation: &Revocation) -> rusqlite::Result<()> {
    let Revocation { revoked, until, made, author } = revocation;
    let (kind, issuer, name, before) = key(revoked);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO outbox (turn, kind, issuer, name, before, until, made, author)
         VALUES (:turn, :kind, :issuer, :name, :before, :until, :made, :author)",
    )?;
    statement.execute(named_params! {
        ":turn": turn.as_str(), ":kind": kind, ":issuer": issuer, ":name": name, ":before": before.map(seconds),
        ":until": until.map(seconds), ":made": seconds(*made), ":author": author.map(|author| author.to_string()),
    })?;
    Ok(())
}

/// Whether it is told for the first time, as it stands in tables.
pub(crate) const fn told(again: bool) -> Told {
    if again { Told::Again } else { Told::First }
}

/// Times beyond what SQLite counts are the end of time.
pub(crate) fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
