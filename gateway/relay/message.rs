use std::collections::HashMap;

use redis::{FromRedisValue as _, Value};
use store::{Change, Revocation, Told, Turn};
use tenancy::Revoked;
use terms::Author;

/// One entry of the stream.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Message {
    /// Somebody may have missed something: whoever knows of anything is to say it again.
    Ask,
    /// Something has changed.
    Change(Change),
}

/// An entry that no gateway of this version writes.
#[derive(Debug, thiserror::Error)]
#[error("an entry of the stream cannot be read: its `{0}`")]
pub(crate) struct Unreadable(&'static str);

impl Message {
    /// Its fields, in the order in which they are written.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let Self::Change(Change { turn, told, revocation: Revocation { revoked, until, made, author } }) = self else {
            return vec![("turn", "ask".into())];
        };
        // A word of its own, where an earlier version would undo more than is meant, if it understood.
        let (turn, again) = match (turn, told) {
            (Turn::Restored, Told::First) => ("restored", None),
            (Turn::Restored, Told::Again) => ("restored-before", None),
            (Turn::Revoked, Told::First) => ("revoked", None),
            (Turn::Revoked, Told::Again) => ("revoked", Some("again")),
        };
        let mut fields = vec![("turn", turn.into()), ("made", made.to_string())];
        fields.extend(again.map(|again| ("told", again.into())));
        fields.extend(author.map(|author| ("author", author.to_string())));
        let before = match revoked {
            Revoked::Issuer { issuer, before } => {
                fields.push(("issuer", issuer.to_string()));
                Some(*before)
            }
            Revoked::Session { issuer, sid } => {
                fields.extend([("issuer", issuer.to_string()), ("session", sid.to_string())]);
                None
            }
            Revoked::Subject { issuer, subject, before } => {
                fields.extend([("issuer", issuer.to_string()), ("subject", subject.to_string())]);
                *before
            }
            Revoked::Tenant { tenant, before } => {
                fields.push(("tenant", tenant.to_string()));
                Some(*before)
            }
            Revoked::Token { issuer, jti } => {
                fields.extend([("issuer", issuer.to_string()), ("token", jti.to_string())]);
                None
            }
        };
        fields.extend(before.map(|before| ("before", before.to_string())));
        fields.extend(until.map(|until| ("until", until.to_string())));
        fields
    }

    pub(crate) fn read(fields: &HashMap<String, Value>) -> Result<Self, Unreadable> {
        let text = |name: &'static str| match fields.get(name) {
            Some(value) => String::from_redis_value_ref(value).map(Some).map_err(|_| Unreadable(name)),
            None => Ok(None),
        };
        let number =
            |name: &'static str| text(name)?.map(|text| text.parse::<u64>().map_err(|_| Unreadable(name))).transpose();
        let told = match text("told")?.as_deref() {
            None => Told::First,
            Some("again") => Told::Again,
            Some(_) => return Err(Unreadable("told")),
        };
        let (turn, told) = match text("turn")?.as_deref() {
            Some("ask") => return Ok(Self::Ask),
            Some("restored") => (Turn::Restored, told),
            Some("restored-before") => (Turn::Restored, Told::Again),
            Some("revoked") => (Turn::Revoked, told),
            Some(_) | None => return Err(Unreadable("turn")),
        };
        // Earlier versions do not say.
        let author =
            text("author")?.map(|author| author.parse::<Author>().map_err(|_| Unreadable("author"))).transpose()?;
        let issuer = || text("issuer")?.and_then(|issuer| issuer.parse().ok()).ok_or(Unreadable("issuer"));
        let before = number("before")?;
        let revoked = match (text("session")?, text("subject")?, text("tenant")?, text("token")?) {
            (Some(sid), None, None, None) => Revoked::Session { issuer: issuer()?, sid: sid.into() },
            (None, Some(subject), None, None) => Revoked::Subject {
                issuer: issuer()?,
                subject: subject.parse().map_err(|_| Unreadable("subject"))?,
                before,
            },
            (None, None, Some(tenant), None) => Revoked::Tenant {
                tenant: tenant.parse().map_err(|_| Unreadable("tenant"))?,
                before: before.ok_or(Unreadable("before"))?,
            },
            (None, None, None, Some(jti)) => Revoked::Token { issuer: issuer()?, jti: jti.into() },
            (None, None, None, None) => {
                Revoked::Issuer { issuer: issuer()?, before: before.ok_or(Unreadable("tokens"))? }
            }
            _ => return Err(Unreadable("tokens")),
        };
        let made = number("made")?.ok_or(Unreadable("made"))?;
        let revocation = Revocation { revoked, until: number("until")?, made, author };
        Ok(Self::Change(Change { turn, told, revocation }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[(&str, String)]) -> HashMap<String, Value> {
        let value = |text: &String| Value::BulkString(text.clone().into_bytes());
        fields.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let (issuer, subject) = (|| "main".parse().unwrap(), || "ada".parse().unwrap());
        let all = [
            Revoked::Issuer { issuer: issuer(), before: 8 },
            Revoked::Session { issuer: issuer(), sid: "s 1".into() },
            Revoked::Subject { issuer: issuer(), subject: subject(), before: None },
            Revoked::Subject { issuer: issuer(), subject: subject(), before: Some(u64::MAX) },
            Revoked::Tenant { tenant: "acme".parse().unwrap(), before: 7 },
            Revoked::Token { issuer: issuer(), jti: "t\n1".into() },
        ];
        for (revoked, turn) in all.into_iter().flat_map(|it| [(it.clone(), Turn::Revoked), (it, Turn::Restored)]) {
            for (until, told, author) in [
                (None, Told::First, None),
                (Some(9), Told::Again, Some(Author::Issuer)),
                (None, Told::First, Some(Author::Command(1_000))),
            ] {
                let revocation = Revocation { revoked: revoked.clone(), until, made: 5, author };
                let message = Message::Change(Change { turn, told, revocation });
                assert_eq!(Message::read(&written(&message.fields())).unwrap(), message);
            }
        }
        assert_eq!(Message::read(&written(&Message::Ask.fields())).unwrap(), Message::Ask);
    }

    #[test]
    fn what_no_gateway_writes_is_not_guessed_at() {
        let field = |name: &'static str, text: &str| (name, text.to_owned());
        let token = [field("turn", "revoked"), field("made", "5"), field("issuer", "main"), field("token", "t1")];
        assert!(Message::read(&written(&token)).is_ok());
        for (name, text) in [
            ("turn", "revoke"),
            ("made", "soon"),
            ("made", "-1"),
            ("issuer", ""),
            ("issuer", "Not An Issuer"),
            ("session", "s1"),
            ("until", "never"),
            ("told", "twice"),
            ("author", "somebody"),
        ] {
            let mut fields = written(&token);
            fields.insert(name.into(), Value::BulkString(text.into()));
            assert!(Message::read(&fields).is_err(), "{name}: {text}");
        }
        for missing in ["turn", "made", "issuer", "token"] {
            let mut fields = written(&token);
            fields.remove(missing);
            assert!(Message::read(&fields).is_err(), "{missing}");
        }
    }
}
