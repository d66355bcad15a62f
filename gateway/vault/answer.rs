//! What Vault says, as far as it is looked at. Texts that may be secrets are overwritten when they are let go.

use std::collections::BTreeMap;
use std::fmt;

use secrets::Secret;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A secret of KV, version 2. Of one that was deleted there is the second half alone, and the status says 404.
#[derive(Debug, Deserialize)]
pub(crate) struct Read {
    pub(crate) data: Version,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) data: Option<BTreeMap<String, Field>>,
    pub(crate) metadata: Option<IgnoredAny>,
}

/// Who we are, and for how long.
#[derive(Debug, Deserialize)]
pub(crate) struct LoggedIn {
    pub(crate) auth: Granted,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Granted {
    #[serde(deserialize_with = "text")]
    pub(crate) client_token: Secret<String>,
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
}

/// What a token is worth.
#[derive(Debug, Deserialize)]
pub(crate) struct LookedUp {
    pub(crate) data: Worth,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Worth {
    pub(crate) ttl: u64,
    pub(crate) renewable: bool,
}

/// The value of a field.
pub(crate) enum Field {
    Other,
    Text(Secret<String>),
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(***)")
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(Secret::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(Secret::new(text)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
