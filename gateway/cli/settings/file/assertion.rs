//! What one backend is told about who asks.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::{At, Pairs};

/// What one backend is told about who asks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamAssertion {
    /// The `aud` of its assertions. By default the name of the upstream.
    pub(crate) audience: Option<At<String>>,
    /// What its assertions are signed with.
    pub(crate) algorithm: AssertionAlgorithm,
    /// What ties an assertion to one request.
    pub(crate) binding: Binding,
    /// What its requests are signed with (RFC 9421). By default `hmac-sha256` if there is a `key`, and nothing if not.
    pub(crate) signature: Option<At<SignatureAlgorithm>>,
    /// The key of `hmac-sha256`, which the backend has, too, at least 32 bytes: `${file:…}` or `${env:…}`. If it is left out,
    /// it comes of `root` under `assertion`: `cloister keys derive` prints it.
    pub(crate) key: Option<At<String>>,
    /// The name of that key, which each signature tells. By default the name of the upstream.
    pub(crate) key_id: Option<At<String>>,
    /// The key that takes its place at a time. Give it to the backend before, beside the other one.
    pub(crate) next_key: Option<At<NextKey>>,
    /// Claims of the caller's token that it is told in fields of their own. No client may say any of them; a claim that is not
    /// there leaves its field out, and one that does not fit has the request refused.
    #[schemars(with = "BTreeMap<String, Field>")]
    pub(crate) fields: Pairs<At<Field>>,
    /// The key of contexts for its database (`X-Cloister-Db-Context`). It gets none if it is left out.
    pub(crate) database: Option<Database>,
    /// Whether it gets the caller's token, too, in `Authorization`. Whoever has a token can use it wherever the caller could.
    pub(crate) forward_token: bool,
}

impl UpstreamAssertion {
    /// Whether its requests are signed.
    pub(crate) const fn signs(&self) -> bool {
        self.signature.is_some() || self.key.is_some() || self.key_id.is_some() || self.next_key.is_some()
    }
}

/// The key of contexts for a database.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// At least 32 bytes: `${file:…}` or `${env:…}`. If it is left out, it comes of `root` under `assertion`: `cloister keys
    /// derive --of database` prints it.
    pub(crate) key: Option<At<String>>,
    /// Its name, in the database and in each context. By default the name of the upstream.
    pub(crate) id: Option<At<String>>,
}

/// A claim, and how it is told.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Field {
    /// The claim, told as a text: `email`, or `/org/name`, a way into a claim (RFC 6901).
    Text(String),
    /// With how it is told.
    Formed(FormedField),
}

/// A claim, and how it is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a claim, or a mapping with `claim` and `as`")]
pub(crate) struct FormedField {
    /// The claim: `groups`, `/realm_access/roles`, `/orgs/*/id`.
    pub(crate) claim: At<String>,
    /// How it is told. What it is instead is never made to fit.
    pub(crate) r#as: FieldForm,
    /// What stands between the texts of a list: `,` if it is left out. No text may have it inside.
    #[serde(default)]
    pub(crate) join: Option<At<String>>,
}

/// How a claim is told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldForm {
    /// `true` or `false`.
    Bool,
    /// Whatever it is, as JSON in ASCII.
    Json,
    /// A list of texts, or one text.
    List,
    /// A number.
    Number,
    /// A text of visible ASCII, with spaces between.
    Text,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claim, or a mapping with `claim` and `as`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
                Ok(Field::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
                FormedField::deserialize(MapAccessDeserializer::new(map)).map(Field::Formed)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// A key that takes the place of another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextKey {
    /// Its name, which no other key of this backend has.
    pub(crate) id: At<String>,
    /// `${file:…}` or `${env:…}`
    pub(crate) key: At<String>,
    /// From when on it signs: `2026-12-01T00:00:00Z`.
    pub(crate) from: At<String>,
}

/// What assertions are signed with.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AssertionAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA over P-256: what most libraries can verify.
    #[default]
    Es256,
    /// RSA: for those that can verify nothing else. A signature costs almost twenty times as much.
    Rs256,
}

/// What requests are signed with, in the words of RFC 9421 §6.2.2.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(crate) enum SignatureAlgorithm {
    /// A pair of the gateway's own; its public keys are at `/.well-known/cloister/signature-keys.json`.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// The same with Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// A key that the backend has, too: a twentieth of the cost.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// What ties an assertion to one request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Binding {
    /// A fresh assertion for each request, with its method and path inside.
    #[default]
    PerRequest,
    /// An assertion that says who, used again for half of its life, and an RFC 9421 signature that says this request.
    /// Needs `key` or `signature`.
    Reuse,
    /// An assertion that says who, used again for half of its life, and nothing that says this request: whoever sees one
    /// can use it for any request of that user until it expires.
    InsecureReuse,
}
