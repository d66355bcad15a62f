use terms::{Surrogate, TenantId};

/// A keyed hash of tenant, issuer and subject: whoever has the root can look for a person, and nobody can list them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Print(pub [u8; 32]);

/// What tells one vault from another, and its root from others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// By chance.
    pub id: [u8; 16],
    /// Something that was sealed with the root.
    pub check: Vec<u8>,
    /// How many times something was destroyed here.
    pub destroyed: u64,
}

/// The key of a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TenantRow {
    /// Whose.
    pub tenant: TenantId,
    /// What it is called: another one, if the tenant comes back.
    pub id: [u8; 16],
    /// The key, wrapped.
    pub key: Vec<u8>,
}

/// A person, as far as it can be told without keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectRow {
    /// Which.
    pub print: Print,
    /// Where.
    pub tenant: TenantId,
    /// What the key of the tenant is called that has wrapped the key here.
    pub tenant_key: [u8; 16],
    /// The name in the log.
    pub surrogate: Surrogate,
    /// What the key is called.
    pub key_id: [u8; 8],
    /// The key, wrapped.
    pub key: Vec<u8>,
    /// Issuer and subject, sealed with the key.
    pub identity: Vec<u8>,
    /// When it was made, in seconds since the Unix epoch.
    pub made: u64,
}

/// A person under a hold, who may have no row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeldRow {
    /// Which.
    pub print: Print,
    /// Issuer and subject, sealed with the root. `None`: an earlier version made the hold.
    pub identity: Option<Vec<u8>>,
}
