use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use secrets::{Kept, Secret};

use crate::identity::Forwarded;
use crate::injected::Signature;
use crate::keyring::{Algorithm, Keys};
use crate::minter::MintError;

/// The components that a signature covers, in this order (RFC 9421 §2).
const COVERED: &str = r#"("@method" "@authority" "@path" "@query" "x-cloister-assertion")"#;

/// The same with the body, which is covered by its digest.
const COVERED_WITH_BODY: &str = r#"("@method" "@authority" "@path" "@query" "x-cloister-assertion" "content-digest")"#;

/// What the signature is called in its fields.
const LABEL: &str = "cloister=";

/// How long a signature is good, in seconds. A verifier keeps its nonces as long.
const LIFE: u64 = 60;

/// What one backend and the gateway share to sign requests with (HMAC-SHA-256, RFC 9421 §3.3.3).
pub struct SignatureKey {
    key: hmac::Key,
    /// The parameters that are the same in every signature.
    fixed: String,
}

/// Why a secret does not make a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSignatureKey {
    /// The name of the key is not one.
    #[error("the name of a key has 1 to 64 letters, digits and `_ - . : /`")]
    Id,
    /// Less than HMAC-SHA-256 is worth.
    #[error("a signature key has at least 32 bytes; make one with `openssl rand -hex 32`")]
    Short,
}

impl SignatureKey {
    /// A key that backends know under `id` (the signature's `keyid`). The bytes of the secret are the key. `{sha256}` in the name
    /// stands for what tells this key from others: the first eight hexadecimal digits of its SHA-256.
    ///
    /// # Errors
    /// The secret is too short, or the name does not fit.
    pub fn new(id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, InvalidSignatureKey> {
        let id = &*told_apart(id, secret);
        let named = (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
        if !named {
            return Err(InvalidSignatureKey::Id);
        }
        if secret.expose().len() < 32 {
            return Err(InvalidSignatureKey::Short);
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), fixed: parameters(id) })
    }
}

/// What signs the requests to one backend.
#[derive(Debug)]
pub struct Signer(Kind);

#[derive(Debug)]
enum Kind {
    /// A key for each time, the latest last.
    Hmac(Box<[(u64, Kept<SignatureKey>)]>),
    /// A pair of the gateway's own, of which backends have the public keys.
    Pair(Algorithm),
}

/// Why there is no such signer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSigner {
    /// RSA would cost more than all the rest of a request.
    #[error("requests are signed with hmac-sha256, ecdsa-p256-sha256 or ed25519")]
    Algorithm,
    /// Nobody could say which of them it was.
    #[error("two keys have the same name; backends tell them apart by it")]
    Named,
}

impl Signer {
    /// With a key that the backend has, too (`hmac-sha256`), and perhaps another one that takes its place at a time, in
    /// seconds since the Unix epoch. Until then the backend has both.
    ///
    /// # Errors
    /// Both have the same name.
    pub fn shared(
        key: impl Into<Kept<SignatureKey>>,
        next: Option<(u64, Kept<SignatureKey>)>,
    ) -> Result<Self, InvalidSigner> {
        let key = key.into();
        match next {
            Some((_, next)) if next.glance().fixed == key.glance().fixed => Err(InvalidSigner::Named),
            next => Ok(Self(Kind::Hmac(iter::once((0, key)).chain(next).collect()))),
        }
    }

    /// With the gateway's own keys for signatures: `ecdsa-p256-sha256` or `ed25519`.
    ///
    /// # Errors
    /// Another algorithm.
    pub const fn pair(algorithm: Algorithm) -> Result<Self, InvalidSigner> {
        match algorithm {
            Algorithm::EdDsa | Algorithm::Es256 => Ok(Self(Kind::Pair(algorithm))),
            Algorithm::Rs256 => Err(InvalidSigner::Algorithm),
        }
    }

    /// Which of the gateway's own keys it needs.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        match &self.0 {
            Kind::Hmac(_) => None,
            Kind::Pair(algorithm) => Some(*algorithm),
        }
    }

    /// Signs one request together with the assertion that it carries. `keys` are the gateway's own.
    pub(crate) fn sign(
        &self,
        request: &Forwarded<'_>,
        assertion: &[u8],
        keys: Option<&Keys>,
        now: u64,
    ) -> Result<Signature, MintError> {
        match &self.0 {
            Kind::Hmac(turns) => {
                let turn = turns.iter().rev().find(|(from, _)| *from <= now);
                let key = turn.ok_or(MintError::Sign)?.1.glance();
                let base = Base::of(request, assertion, &key.fixed, now)?;
                let mut mac = hmac::Context::with_key(&key.key);
                base.pieces().into_iter().for_each(|piece| mac.update(piece));
                base.signed(mac.sign().as_ref())
            }
            Kind::Pair(algorithm) => {
                let ring = keys.ok_or(MintError::Sign)?.glance();
                let key = ring.active(*algorithm).ok_or(MintError::Sign)?;
                let base = Base::of(request, assertion, key.parameters(), now)?;
                let signature = key.sign(&base.pieces().concat()).ok_or(MintError::Sign)?;
                base.signed(signature.octets())
            }
        }
    }
}

impl From<SignatureKey> for Signer {
    fn from(key: SignatureKey) -> Self {
        Self(Kind::Hmac(Box::new([(0, key.into())])))
    }
}

/// The name of a key, with what tells it from others where `{sha256}` stands, so that a backend can have the old key and the new
/// one beside each other while they take turns. Whoever sees a signature may try keys on it in any case, and learns no more from
/// these digits.
pub(crate) fn told_apart<'a>(id: &'a str, secret: &Secret<Vec<u8>>) -> Cow<'a, str> {
    const DIGITS: &str = "{sha256}";
    if !id.contains(DIGITS) {
        return id.into();
    }
    let octets = digest(&SHA256, secret.expose());
    let digits: String = octets.as_ref().iter().take(4).map(|octet| format!("{octet:02x}")).collect();
    id.replace(DIGITS, &digits).into()
}

/// The parameters of a signature that are the same each time, by the key.
pub(crate) fn parameters(keyid: &str) -> String {
    format!(r#";keyid="{keyid}";tag="cloister-v1""#)
}

/// The signature base (RFC 9421 §2.5), in the pieces that it is made of.
struct Base<'a> {
    request: &'a Forwarded<'a>,
    assertion: &'a [u8],
    /// The field `Signature-Input`.
    input: String,
}

impl<'a> Base<'a> {
    fn of(request: &'a Forwarded<'a>, assertion: &'a [u8], fixed: &str, now: u64) -> Result<Self, MintError> {
        let Forwarded { id, method, authority, path, query, digest } = *request;
        // INVARIANT: no value has a line end, so each line of the base is the component that it says it is.
        let signable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let lower = !authority.bytes().any(|byte| byte.is_ascii_uppercase());
        let absolute = path.starts_with('/') && !path.contains(['?', '#']);
        let plain = [method, authority, path].into_iter().all(signable);
        let whole = query.is_none_or(|query| query.is_empty() || signable(query));
        if !(plain && lower && absolute && whole) {
            return Err(MintError::Unsignable); // FAIL CLOSED: what cannot be bound is not sent
        }
        let covered = if digest.is_some() { COVERED_WITH_BODY } else { COVERED };
        let mut input = String::with_capacity(320);
        // Writing to a string does not fail.
        write!(input, r#"{LABEL}{covered};created={now};expires={};nonce="{id}"{fixed}"#, now + LIFE)
            .map_err(|_| MintError::Unsignable)?;
        Ok(Self { request, assertion, input })
    }

    fn pieces(&self) -> [&[u8]; 14] {
        let Forwarded { id: _, method, authority, path, query, digest } = *self.request;
        let (name, digest) = digest.map_or((&b""[..], ""), |digest| (&b"\n\"content-digest\": "[..], digest.as_str()));
        [
            b"\"@method\": ",
            method.as_bytes(),
            b"\n\"@authority\": ",
            authority.as_bytes(),
            b"\n\"@path\": ",
            path.as_bytes(),
            b"\n\"@query\": ?", // §2.2.7: without a query, the value is `?`
            query.unwrap_or_default().as_bytes(),
            b"\n\"x-cloister-assertion\": ",
            self.assertion,
            name,
            digest.as_bytes(),
            b"\n\"@signature-params\": ",
            self.input.strip_prefix(LABEL).unwrap_or_default().as_bytes(),
        ]
    }

    fn signed(self, octets: &[u8]) -> Result<Signature, MintError> {
        let mut signature = String::with_capacity(112);
        signature.push_str("cloister=:");
        BASE64_STANDARD.encode_string(octets, &mut signature);
        signature.push(':');
        Ok(Signature {
            input: HeaderValue::try_from(self.input).map_err(|_| MintError::Unsignable)?,
            signature: HeaderValue::try_from(signature).map_err(|_| MintError::Unsignable)?,
        })
    }
}

/// Shows the name of the key and nothing of the key.
impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignatureKey").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
