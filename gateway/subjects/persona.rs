use std::fmt;

use terms::{IssuerId, Subject, Surrogate, TenantId};

use crate::key::Key;

/// Somebody in one tenant, as its issuer names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Person<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Whose subject.
    pub issuer: &'a IssuerId,
    /// Who.
    pub subject: &'a Subject,
}

/// What the log has of somebody: the name that it goes by there, and the key of all that is personal. The key is overwritten
/// with the last copy of this.
pub struct Persona {
    pub(crate) surrogate: Surrogate,
    pub(crate) key_id: KeyId,
    pub(crate) key: Key,
    pub(crate) fields: Fields,
}

/// What a subject's key is called: 48 random bits in base64url.
pub(crate) type KeyId = [u8; 8];

/// Which personal fields go into records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fields {
    /// The client's address, whole.
    pub client_ip: bool,
    /// The `User-Agent`.
    pub user_agent: bool,
}

impl Fields {
    /// All there are.
    pub const ALL: Self = Self { client_ip: true, user_agent: true };
    /// None of them.
    pub const NONE: Self = Self { client_ip: false, user_agent: false };
}

impl Persona {
    /// The name in the log.
    #[must_use]
    pub const fn surrogate(&self) -> Surrogate {
        self.surrogate
    }

    /// What the key is called.
    #[must_use]
    pub fn key_id(&self) -> &str {
        std::str::from_utf8(&self.key_id).unwrap_or_default()
    }
}

/// The surrogate, and nothing of the key.
impl fmt::Debug for Persona {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Persona").field(&self.surrogate).finish()
    }
}
