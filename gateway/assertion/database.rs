use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::HeaderValue;
use secrets::Secret;

use crate::claims::push_base64url;
use crate::identity::{Forwarded, Identity};
use crate::minter::MintError;
use crate::signature::{InvalidSignatureKey, told_apart};

/// What a backend hands on to its database, which verifies it by itself: `config/postgresql/cloister.sql`. No JSON, and
/// nothing that SQL could not take apart by its dots. The key is the database's alone, and signs nothing else.
pub struct DatabaseKey {
    id: Box<str>,
    key: hmac::Key,
}

impl DatabaseKey {
    /// A key that the database knows under `id`. The bytes of the secret are the key. `{sha256}` in the name stands for the first
    /// eight hexadecimal digits of its SHA-256.
    ///
    /// # Errors
    /// The secret is too short, or the name has other characters than letters, digits, `_` and `-`.
    pub fn new(id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, InvalidSignatureKey> {
        let id = &*told_apart(id, secret);
        let named = (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !named {
            return Err(InvalidSignatureKey::Id);
        }
        if secret.expose().len() < 32 {
            return Err(InvalidSignatureKey::Short);
        }
        Ok(Self { id: id.into(), key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()) })
    }

    /// The context of one request, good for as long as an assertion is.
    pub(crate) fn context(
        &self,
        identity: &Identity<'_>,
        request: &Forwarded<'_>,
        issued_at: u64,
        expires_at: u64,
    ) -> Result<HeaderValue, MintError> {
        let mut text = String::with_capacity(512);
        // Writing to a string does not fail. A tenant is a DNS label: it has no dot.
        write!(text, "v1.{}.{}.", self.id, identity.tenant).map_err(|_| MintError::Field)?;
        push_base64url(&mut text, identity.subject.as_str().as_bytes());
        write!(text, ".{issued_at}.{expires_at}.{}", request.id).map_err(|_| MintError::Field)?;
        let mac = hmac::sign(&self.key, text.as_bytes());
        text.push('.');
        mac.as_ref().iter().try_for_each(|octet| write!(text, "{octet:02x}")).map_err(|_| MintError::Field)?;
        let mut field = HeaderValue::try_from(text).map_err(|_| MintError::Field)?;
        field.set_sensitive(true);
        Ok(field)
    }
}

/// Shows the name of the key and nothing of the key.
impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseKey").field("id", &self.id).finish_non_exhaustive()
    }
}
