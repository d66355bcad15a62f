use rusqlite::{Row, Transaction, named_params};
use terms::Author;

use crate::rows::seconds;
use crate::{Store, StoreError};

/// Something that was done with an API key and is not in the audit log yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyEvent {
    id: i64,
    /// Whether it was made, replaced or taken back.
    pub turn: KeyTurn,
    /// What the key is called that was made or taken back.
    pub key: String,
    /// What the key is called that it replaces.
    pub replaces: Option<String>,
    /// Who did it.
    pub who: Author,
    /// When, in seconds since the Unix epoch.
    pub done: u64,
}

/// What was done with an API key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyTurn {
    /// It was made.
    Created,
    /// It was taken back.
    Revoked,
    /// It was made in place of another.
    Rotated,
}

impl KeyTurn {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
        }
    }
}

impl Store {
    /// What was done with keys and is not in the audit log yet, the oldest first; so many at most.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn key_events(&self, most: u32) -> Result<Vec<KeyEvent>, StoreError> {
        let all = self.read(|connection| {
            let sql = "SELECT id, turn, key, replaces, who, done FROM api_key_events ORDER BY id LIMIT :most";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| {
                let (id, turn, key) = (row.get("id")?, row.get("turn")?, row.get("key")?);
                Ok((id, turn, key, row.get("replaces")?, row.get("who")?, row.get("done")?))
            };
            let all = statement.query_map(named_params! { ":most": most }, row)?;
            all.collect::<rusqlite::Result<Vec<(i64, String, String, Option<String>, String, i64)>>>()
        })?;
        let event = |(id, turn, key, replaces, who, done): (i64, String, String, Option<String>, String, i64)| {
            let turn =
                [KeyTurn::Created, KeyTurn::Revoked, KeyTurn::Rotated].into_iter().find(|it| it.as_str() == turn);
            let turn = turn.ok_or_else(|| self.damaged("turn", &key))?;
            let who = who.parse().map_err(|_| self.damaged("who", &who))?;
            Ok(KeyEvent { id, turn, key, replaces, who, done: done.cast_unsigned() })
        };
        all.into_iter().map(event).collect()
    }

    /// Forgets what was done with keys up to this event: it is in the audit log.
    ///
    /// # Errors
    /// It is not forgotten, and will be in the log twice.
    pub fn key_recorded(&self, last: &KeyEvent) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM api_key_events WHERE id <= :id", named_params! { ":id": last.id })?;
            Ok(())
        })
    }
}

/// Has the audit log learn of it, whichever process did it and whether or not a gateway runs.
pub(crate) fn note(
    transaction: &Transaction<'_>,
    turn: KeyTurn,
    key: &str,
    replaces: Option<&str>,
    who: Author,
    done: u64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO api_key_events (turn, key, replaces, who, done) VALUES (:turn, :key, :replaces, :who, :done)",
    )?;
    statement.execute(named_params! {
        ":turn": turn.as_str(), ":key": key, ":replaces": replaces, ":who": who.to_string(), ":done": seconds(done),
    })?;
    Ok(())
}
