use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use terms::IssuerId;

use crate::json::{Bounds, InvalidJson, Json, parse_object};
use crate::key::Key;
use crate::standing::Standing;
use crate::{Algorithm, TokenError};

/// The public keys of one issuer. Swapped whole.
#[derive(Debug)]
pub(crate) struct KeySet {
    published: Vec<Published>,
    /// Whose they are, and how long they are used that could not be read again.
    issuer: IssuerId,
    max_stale: Duration,
}

/// A key, and how it stands. A key keeps its standing while it is published unchanged, so that a token verified with it
/// need not be verified again; one that is taken away and put back is a new key.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) key: Key,
    pub(crate) standing: Arc<Standing>,
}

/// A set that was read, and what of it is not used.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) set: KeySet,
    pub(crate) refused: Vec<String>,
}

/// Why a document is not a set of keys.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidKeySet {
    #[error("this is not a jwk set: {0}")]
    Document(&'static str),
    #[error("there is no key in it that can be used{0}")]
    Empty(String),
    #[error("there are more than 100 keys in it")]
    Many,
}

const MOST_KEYS: usize = 100;
const BOUNDS: Bounds = Bounds { depth: 8, values: 10_000 };

impl KeySet {
    /// None yet.
    pub(crate) const fn none(issuer: IssuerId, max_stale: Duration) -> Self {
        Self { published: Vec::new(), issuer, max_stale }
    }

    /// Reads a JWK set that comes after `previous`. Keys of no use here are passed over; broken ones are refused and
    /// named; a set in which no key can be used is an error, so that it does not displace one that has some.
    ///
    /// Keys that share a `kid` are refused, all of them: which of them is meant would be for the token to choose.
    pub(crate) fn parse(bytes: &[u8], previous: &Self) -> Result<Reading, InvalidKeySet> {
        let document = parse_object(bytes, BOUNDS).map_err(|invalid| {
            InvalidKeySet::Document(match invalid {
                InvalidJson::Deep => "it is nested too deeply",
                InvalidJson::Duplicate => "a name stands twice in an object",
                InvalidJson::Many => "it has too many values",
                InvalidJson::Syntax => "it is not a json object",
            })
        })?;
        let listed =
            document.get("keys").and_then(Json::as_list).ok_or(InvalidKeySet::Document("`keys` is not a list"))?;
        if listed.len() > MOST_KEYS {
            return Err(InvalidKeySet::Many);
        }
        let mut keys = Vec::new();
        let mut refused = Vec::new();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for (index, item) in listed.iter().enumerate() {
            let jwk = item.as_object().ok_or(InvalidKeySet::Document("a key is not an object"))?;
            match Key::read(jwk) {
                Ok(Some(key)) => {
                    if let Some(kid) = jwk.get("kid").and_then(Json::as_text) {
                        *uses.entry(kid).or_default() += 1;
                    }
                    keys.push(key);
                }
                Ok(None) => {}
                Err(invalid) => refused.push(format!("key {index}: {invalid}")),
            }
        }
        keys.retain(|key| key.kid.as_deref().is_none_or(|kid| uses.get(kid) == Some(&1)));
        let shared = uses.iter().filter(|(_, count)| **count > 1);
        refused.extend(shared.map(|(kid, count)| format!("{count} keys share the kid `{}`", kid.escape_debug())));
        if keys.is_empty() {
            let why = if refused.is_empty() { "" } else { ": " };
            return Err(InvalidKeySet::Empty(format!("{why}{}", refused.join(", "))));
        }
        Ok(Reading { set: Self::succeed(keys, previous), refused })
    }

    /// Gives each key the standing that it had, or a new one.
    fn succeed(keys: Vec<Key>, previous: &Self) -> Self {
        let Self { published, issuer, max_stale } = previous;
        let standing = |key: &Key| match published.iter().find(|old| old.key.equals(key)) {
            Some(old) => Arc::clone(&old.standing),
            None => Arc::new(Standing::new(issuer.clone(), *max_stale)),
        };
        let published = keys.into_iter().map(|key| Published { standing: standing(&key), key }).collect();
        Self { published, issuer: issuer.clone(), max_stale: *max_stale }
    }

    /// The key for a token: the one that it names, or if it names none, the only one that fits.
    pub(crate) fn choose(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&Published, TokenError> {
        if let Some(kid) = kid {
            let named = self.published.iter().find(|known| known.key.kid.as_deref() == Some(kid));
            return match named {
                None => Err(TokenError::Key("the issuer has none with this `kid`")),
                Some(known) if known.key.fits(algorithm) => Ok(known),
                Some(_) => Err(TokenError::Algorithm("it does not fit the key")),
            };
        }
        let mut fitting = self.published.iter().filter(|known| known.key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(TokenError::Key("there is no `kid`, and no key fits")),
            (Some(known), None) => Ok(known),
            (Some(_), Some(_)) => Err(TokenError::Key("there is no `kid`, and more than one key fits")),
        }
    }

    /// Whether this key is still published, unchanged.
    pub(crate) fn holds(&self, standing: &Arc<Standing>) -> bool {
        self.published.iter().any(|known| Arc::ptr_eq(&known.standing, standing))
    }

    /// Whether both have the same keys.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.len() == other.len() && self.standings().all(|standing| other.holds(standing))
    }

    /// How its keys stand.
    pub(crate) fn standings(&self) -> impl Iterator<Item = &Arc<Standing>> {
        self.published.iter().map(|known| &known.standing)
    }

    pub(crate) fn len(&self) -> usize {
        self.published.len()
    }
}

#[cfg(test)]
mod tests;
