use std::fmt::Write as _;
use std::path::Path;

use secrets::Secret;
use serde::{Deserialize, Deserializer};

use super::pair::Parts;
use super::{Algorithm, Key, Keyring, KeyringError, State};

/// The file: a private JWK Set (RFC 7517) whose keys also say where in their life they are. Other tools can read it, but for
/// the private part of RSA keys, which is PKCS #8 in one piece.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    r#use: String,
    alg: Algorithm,
    kid: String,
    #[serde(default, deserialize_with = "secret")]
    d: Option<Secret<String>>,
    #[serde(default, deserialize_with = "secret")]
    pkcs8: Option<Secret<String>>,
    state: State,
    created: u64,
    /// Since when it has been in its state: since it was made, if it is left out.
    since: Option<u64>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    String::deserialize(deserializer).map(Secret::new).map(Some)
}

pub(super) fn parse(path: &Path, content: &Secret<Vec<u8>>) -> Result<Keyring, KeyringError> {
    let File { keys } = serde_json::from_slice(content.expose()).map_err(|error| KeyringError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    let keys = keys
        .into_iter()
        .map(|entry| {
            // The thumbprint is what backends see: a file in which it differs was edited by hand.
            let key = assemble(&entry).filter(|key| **key.kid() == *entry.kid);
            key.ok_or(KeyringError::Key { path: path.to_owned(), kid: entry.kid })
        })
        .collect::<Result<Vec<Key>, _>>()?;
    Keyring::of(keys).map_err(|(algorithm, count)| KeyringError::Active { path: path.to_owned(), algorithm, count })
}

fn assemble(entry: &Entry) -> Option<Key> {
    let Entry { kty, crv, x, y, n, e, r#use, alg, kid: _, d, pkcs8, state, created, since } = entry;
    let private = match (alg, kty.as_str(), crv.as_deref(), d, pkcs8) {
        (Algorithm::EdDsa, "OKP", Some("Ed25519"), Some(d), None) => d,
        (Algorithm::Es256, "EC", Some("P-256"), Some(d), None) => d,
        (Algorithm::Rs256, "RSA", None, None, Some(pkcs8)) => pkcs8,
        (Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Rs256, ..) => return None,
    };
    let parts = Parts { x: x.as_deref(), y: y.as_deref(), n: n.as_deref(), e: e.as_deref(), private };
    (r#use == "sig").then(|| Key::assemble(*alg, &parts, *state, *created, since.unwrap_or(*created))).flatten()
}

pub(super) fn render(keys: &[Key]) -> Result<Secret<Vec<u8>>, KeyringError> {
    // Enough for every key, so that no copy is left behind by growing.
    let mut text = String::with_capacity(64 + keys.len() * 4096);
    text.push_str("{\"keys\":[");
    for (i, key) in keys.iter().enumerate() {
        let public = key.public_jwk();
        let members = public.strip_suffix('}').unwrap_or_default();
        let name = match key.algorithm() {
            Algorithm::EdDsa | Algorithm::Es256 => "d",
            Algorithm::Rs256 => "pkcs8",
        };
        let (private, state, created, since) = (key.private_text()?, key.state().as_str(), key.created(), key.since());
        let comma = if i > 0 { "," } else { "" };
        let private = private.expose();
        write!(
            text,
            r#"{comma}{members},"{name}":"{private}","state":"{state}","created":{created},"since":{since}}}"#
        )
        .map_err(|_| KeyringError::Generate)?;
    }
    text.push_str("]}\n");
    Ok(Secret::new(text.into_bytes()))
}
