use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrets::Secret;
use serde::{Deserialize, Deserializer};

use super::{Key, Keyring, KeyringError, State};

/// The file: a private JWK Set (RFC 7517) whose keys also say where in their life they are. Other tools can read it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    crv: String,
    kty: String,
    x: String,
    y: String,
    r#use: String,
    alg: String,
    kid: String,
    #[serde(deserialize_with = "secret")]
    d: Secret<String>,
    state: State,
    created: u64,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
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
            let Entry { crv, kty, x, y, r#use, alg, kid, d, state, created } = entry;
            let kind = (crv.as_str(), kty.as_str(), r#use.as_str(), alg.as_str());
            let key = (kind == ("P-256", "EC", "sig", "ES256")).then(|| assemble(&x, &y, &d, state, created)).flatten();
            // The thumbprint is what backends see: a file in which it differs was edited by hand.
            key.filter(|key| key.kid() == kid).ok_or(KeyringError::Key { path: path.to_owned(), kid })
        })
        .collect::<Result<Vec<Key>, _>>()?;
    match keys.iter().filter(|key| key.state() == State::Active).count() {
        1 => Ok(Keyring::of(keys)),
        count => Err(KeyringError::Active { path: path.to_owned(), count }),
    }
}

fn assemble(x: &str, y: &str, d: &Secret<String>, state: State, created: u64) -> Option<Key> {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|octets| octets.len() == 32);
    let private = Secret::new(decode(d.expose())?);
    let point = [vec![4], decode(x)?, decode(y)?].concat();
    Key::assemble(private.expose(), &point, state, created)
}

pub(super) fn render(keys: &[Key]) -> Result<Secret<Vec<u8>>, KeyringError> {
    // Enough for every key, so that no copy is left behind by growing.
    let mut text = String::with_capacity(64 + keys.len() * 512);
    text.push_str("{\"keys\":[");
    for (i, key) in keys.iter().enumerate() {
        let public = key.public_jwk();
        let members = public.strip_suffix('}').unwrap_or_default();
        let (d, state, created) = (key.private_text()?, key.state().as_str(), key.created());
        let comma = if i > 0 { "," } else { "" };
        write!(text, r#"{comma}{members},"d":"{}","state":"{state}","created":{created}}}"#, d.expose())
            .map_err(|_| KeyringError::Generate)?;
    }
    text.push_str("]}\n");
    Ok(Secret::new(text.into_bytes()))
}
