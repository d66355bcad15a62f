use terms::{Author, Surrogate, TenantId};

/// Persons that must not be erased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// What it is called.
    pub id: u64,
    /// Of this tenant.
    pub tenant: TenantId,
    /// All of them, or one, who may not have a name in the log yet.
    pub whom: Held,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub who: Author,
    /// When, in seconds since the Unix epoch.
    pub made: u64,
}

/// Who is under a hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// Everybody in the tenant.
    All,
    /// One person; under this name, where the log had one for it then.
    One(Option<Surrogate>),
}
