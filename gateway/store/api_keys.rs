use apikey::KeyRow;
use rusqlite::{Row, named_params};
use terms::Author;

use crate::key_events::{KeyTurn, note};
use crate::rows::seconds;
use crate::{Store, StoreError};

/// A key, and when it was used last, as far as that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptKey {
    /// The key.
    pub row: KeyRow,
    /// By the minute, and written every few minutes.
    pub used: Option<u64>,
}

/// A row, before it is known to be one that this program wrote.
struct Kept {
    id: String,
    digest: Vec<u8>,
    tenant: String,
    name: String,
    roles: String,
    made: i64,
    expires: Option<i64>,
    revoked: Option<i64>,
    used: Option<i64>,
}

impl Store {
    /// Keeps a key that somebody has made. On disk when it returns.
    ///
    /// # Errors
    /// Nothing was kept.
    pub fn add_key(&self, row: &KeyRow, who: Author) -> Result<(), StoreError> {
        self.change(|transaction| {
            insert(transaction, row)?;
            note(transaction, KeyTurn::Created, &row.id, None, who, row.made)
        })
    }

    /// Keeps a key in place of another, which is good until `until` and no longer. `false`: there is no such key that is good.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn replace_key(&self, old: &str, until: u64, row: &KeyRow, who: Author) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let sql = "UPDATE api_keys SET expires = min(coalesce(expires, :until), :until)
                       WHERE id = :id AND revoked IS NULL AND (expires IS NULL OR expires > :made)";
            let parameters = named_params! { ":until": seconds(until), ":id": old, ":made": seconds(row.made) };
            let found = transaction.execute(sql, parameters)? > 0;
            if found {
                insert(transaction, row)?;
                note(transaction, KeyTurn::Rotated, &row.id, Some(old), who, row.made)?;
            }
            Ok(found)
        })
    }

    /// Takes a key back. `false`: there is none of this name, or it was taken back before.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn revoke_key(&self, id: &str, now: u64, who: Author) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let sql = "UPDATE api_keys SET revoked = :now WHERE id = :id AND revoked IS NULL";
            let revoked = transaction.execute(sql, named_params! { ":now": seconds(now), ":id": id })? > 0;
            if revoked {
                note(transaction, KeyTurn::Revoked, id, None, who, now)?;
            }
            Ok(revoked)
        })
    }

    /// Notes when keys were used last. Nobody has to learn of that.
    ///
    /// # Errors
    /// Nothing was noted.
    pub fn note_used(&self, used: &[(Box<str>, u64)]) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            let mut statement = transaction.prepare_cached("UPDATE api_keys SET used = :at WHERE id = :id")?;
            used.iter().try_for_each(|(id, at)| {
                statement.execute(named_params! { ":at": seconds(*at), ":id": &**id }).map(drop)
            })
        })
    }

    /// All keys, also those that are over or taken back, in an order that stays.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn keys(&self) -> Result<Vec<KeptKey>, StoreError> {
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM api_keys ORDER BY tenant, name, made, id")?;
            statement.query_map([], kept)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|kept| self.key(kept)).collect()
    }

    /// FAIL CLOSED: what is not as this program writes it is an error, and not left out.
    fn key(&self, kept: Kept) -> Result<KeptKey, StoreError> {
        let Kept { id, digest, tenant, name, roles, made, expires, revoked, used } = kept;
        let row = KeyRow {
            digest: digest.try_into().map_err(|_| self.damaged("digest", &id))?,
            tenant: tenant.parse().map_err(|_| self.damaged("tenant", &tenant))?,
            roles: roles
                .split_ascii_whitespace()
                .map(|role| role.parse().map_err(|_| self.damaged("roles", role)))
                .collect::<Result<_, _>>()?,
            name: name.into(),
            id: id.into(),
            made: made.cast_unsigned(),
            expires: expires.map(i64::cast_unsigned),
            revoked: revoked.map(i64::cast_unsigned),
        };
        Ok(KeptKey { row, used: used.map(i64::cast_unsigned) })
    }
}

fn insert(connection: &rusqlite::Connection, row: &KeyRow) -> rusqlite::Result<()> {
    let KeyRow { id, digest, tenant, name, roles, made, expires, revoked } = row;
    let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    connection.execute(
        "INSERT INTO api_keys (id, digest, tenant, name, roles, made, expires, revoked)
         VALUES (:id, :digest, :tenant, :name, :roles, :made, :expires, :revoked)",
        named_params! {
            ":id": &**id, ":digest": &digest[..], ":tenant": tenant.as_str(), ":name": &**name, ":roles": roles.join(" "),
            ":made": seconds(*made), ":expires": expires.map(seconds), ":revoked": revoked.map(seconds),
        },
    )?;
    Ok(())
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        id: row.get("id")?,
        digest: row.get("digest")?,
        tenant: row.get("tenant")?,
        name: row.get("name")?,
        roles: row.get("roles")?,
        made: row.get("made")?,
        expires: row.get("expires")?,
        revoked: row.get("revoked")?,
        used: row.get("used")?,
    })
}

#[cfg(test)]
mod tests {
    use apikey::NewKey;

    use super::*;

    fn row(name: &str, expires: Option<u64>) -> KeyRow {
        let NewKey { id, digest, .. } = NewKey::by_chance();
        let roles = vec!["viewer".parse().unwrap(), "clerk".parse().unwrap()];
        KeyRow {
            id,
            digest,
            tenant: "acme".parse().unwrap(),
            name: name.into(),
            roles,
            made: 100,
            expires,
            revoked: None,
        }
    }

    #[test]
    fn keys_are_there_for_every_process_and_go_as_they_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let other = Store::open_existing(folder.path()).unwrap();
        let (a, b) = (row("a", None), row("b", Some(500)));
        store.add_key(&a, Author::Command(1)).unwrap();
        let version = other.version().unwrap();
        store.add_key(&b, Author::Command(1)).unwrap();
        assert_ne!(other.version().unwrap(), version);
        let rows = |store: &Store| store.keys().unwrap().into_iter().map(|kept| kept.row).collect::<Vec<_>>();
        assert_eq!(rows(&other), [a.clone(), b.clone()]);
        assert!(store.add_key(&a, Author::Command(1)).is_err(), "no two keys have one name");

        let next = KeyRow { made: 200, ..row("a", None) };
        assert!(other.replace_key(&a.id, 300, &next, Author::Command(2)).unwrap());
        assert_eq!(rows(&store), [KeyRow { expires: Some(300), ..a.clone() }, next.clone(), b.clone()]);
        assert!(
            !other.replace_key(&a.id, 900, &KeyRow { made: 400, ..row("a", None) }, Author::Command(4)).unwrap(),
            "it is over"
        );
        assert!(store.revoke_key(&b.id, 250, Author::Command(3)).unwrap());
        assert!(
            !store.revoke_key(&b.id, 251, Author::Command(4)).unwrap()
                && !store.revoke_key("nobody", 250, Author::Command(4)).unwrap()
        );
        assert!(
            !store.replace_key(&b.id, 900, &row("b", None), Author::Command(4)).unwrap(),
            "nothing comes of what was taken back"
        );
        assert_eq!(rows(&other)[2].revoked, Some(250));

        // What was done waits for the audit log; what was not done does not.
        let events = |store: &Store| store.key_events(10).unwrap();
        let told: Vec<_> = events(&store).iter().map(|it| (it.turn, it.key.clone(), it.who, it.done)).collect();
        let (of_a, of_b, of_next) = (a.id.to_string(), b.id.to_string(), next.id.to_string());
        let expected = [
            (KeyTurn::Created, of_a.clone(), Author::Command(1), 100),
            (KeyTurn::Created, of_b.clone(), Author::Command(1), 100),
            (KeyTurn::Rotated, of_next, Author::Command(2), 200),
            (KeyTurn::Revoked, of_b, Author::Command(3), 250),
        ];
        assert_eq!(told, expected.map(|(turn, key, who, done)| (turn, key, who, done)));
        assert_eq!(events(&store)[2].replaces, Some(of_a));
        store.key_recorded(&events(&other)[1]).unwrap();
        assert_eq!(events(&other).len(), 2);

        let version = store.version().unwrap();
        other.note_used(&[(next.id.clone(), 777)]).unwrap();
        assert_eq!((store.keys().unwrap()[1].used, store.version().unwrap()), (Some(777), version));
    }
}
