use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use secrets::Secret;

use crate::identity::Forwarded;
use crate::injected::Signature;
use crate::minter::MintError;

/// The components that a signature covers, in this order (RFC 9421 §2).
const COVERED: &str = r#"("@method" "@authority" "@path" "@query" "x-cloister-assertion")"#;

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
    /// A key that backends know under `id` (the signature's `keyid`). The bytes of the secret are the key.
    ///
    /// # Errors
    /// The secret is too short, or the name does not fit.
    pub fn new(id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, InvalidSignatureKey> {
        let named = (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
        if !named {
            return Err(InvalidSignatureKey::Id);
        }
        if secret.expose().len() < 32 {
            return Err(InvalidSignatureKey::Short);
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()),
            fixed: format!(r#";keyid="{id}";tag="cloister-v1""#),
        })
    }

    /// Signs one request together with the assertion that it carries.
    pub(crate) fn sign(&self, request: &Forwarded<'_>, assertion: &[u8], now: u64) -> Result<Signature, MintError> {
        let Forwarded { id, method, authority, path, query } = *request;
        // INVARIANT: no value has a line end, so each line of the base is the component that it says it is.
        let signable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let lower = !authority.bytes().any(|byte| byte.is_ascii_uppercase());
        let absolute = path.starts_with('/') && !path.contains(['?', '#']);
        let plain = [method, authority, path].into_iter().all(signable);
        if !(plain && lower && absolute && query.is_none_or(|query| query.is_empty() || signable(query))) {
            return Err(MintError::Unsignable); // FAIL CLOSED: what cannot be bound is not sent
        }

        let mut input = String::with_capacity(256);
        // Writing to a string does not fail.
        write!(input, r#"cloister={COVERED};created={now};expires={};nonce="{id}""#, now + LIFE)
            .map_err(|_| MintError::Unsignable)?;
        input.push_str(&self.fixed);
        let parameters = input.strip_prefix("cloister=").ok_or(MintError::Unsignable)?;

        // The signature base (§2.5) goes into the MAC piece by piece and is never put together.
        let mut base = hmac::Context::with_key(&self.key);
        for piece in [
            "\"@method\": ",
            method,
            "\n\"@authority\": ",
            authority,
            "\n\"@path\": ",
            path,
            "\n\"@query\": ?", // §2.2.7: without a query, the value is `?`
            query.unwrap_or_default(),
            "\n\"x-cloister-assertion\": ",
        ] {
            base.update(piece.as_bytes());
        }
        base.update(assertion);
        base.update(b"\n\"@signature-params\": ");
        base.update(parameters.as_bytes());

        let mut signature = String::with_capacity(64);
        signature.push_str("cloister=:");
        BASE64_STANDARD.encode_string(base.sign(), &mut signature);
        signature.push(':');
        Ok(Signature {
            input: HeaderValue::try_from(input).map_err(|_| MintError::Unsignable)?,
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
