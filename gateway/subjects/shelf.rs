use std::{fmt, io};

use directory::Fault;
use terms::{Surrogate, TenantId};

use crate::{Event, HeldRow, Hold, Mark, Order, Print, SubjectRow, TenantRow, Unsealable};

/// Where the rows of the vault are. It knows no keys: what comes here is wrapped, hashed or sealed. Each method is one
/// transaction, on disk when it returns; several processes may use it at once.
pub trait Shelf: fmt::Debug + Send {
    /// Where it is, as it is told to people.
    fn place(&self) -> &str;

    /// What marks this vault now. `None`: there is none, or another one is in its place.
    ///
    /// # Errors
    /// It cannot be read; so with all others, or written.
    fn mark(&mut self) -> Result<Option<Mark>, ShelfError>;

    /// Marks a vault in which nothing is yet. Answers with the mark that counts, which another process may have made.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn begin(&mut self, fresh: &Mark) -> Result<Mark, ShelfError>;

    /// The key of a tenant.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn tenant(&mut self, tenant: &TenantId) -> Result<Option<TenantRow>, ShelfError>;

    /// All tenants that have a key.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn tenants(&mut self) -> Result<Vec<TenantId>, ShelfError>;

    /// Keeps the key of a tenant, unless it has one, and answers with the one that counts. `None`: the mark is another one than
    /// `under` by now, and so is the root.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn put_tenant(&mut self, fresh: &TenantRow, under: &[u8]) -> Result<Option<TenantRow>, ShelfError>;

    /// The rows of these persons.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn find(&mut self, prints: &[Print]) -> Result<Vec<Option<SubjectRow>>, ShelfError>;

    /// Keeps these rows, all or none, and answers with those that count: where a person has one already, that. `None`: the
    /// tenant's key that it was made with is gone by now.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn put(&mut self, fresh: &[SubjectRow]) -> Result<Vec<Option<SubjectRow>>, ShelfError>;

    /// Destroys the row of a person, unless a hold forbids it. Either is on record.
    ///
    /// # Errors
    /// See [`Shelf::mark`]; the mark is another one than `under`.
    fn erase(&mut self, tenant: &TenantId, print: Print, under: &[u8], order: &Order) -> Result<Destroyed, ShelfError>;

    /// Destroys the key of a tenant and the rows of all its persons, unless a hold of any of them forbids it. Either is on
    /// record.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn off_board(&mut self, tenant: &TenantId, order: &Order) -> Result<Destroyed, ShelfError>;

    /// Destroys the rows of these persons, and of these tenants all that were made until then with their keys, and counts on
    /// from `known`. Each person is on record again. Answers how many there were.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn mend(
        &mut self,
        persons: &[Surrogate],
        tenants: &[(TenantId, u64)],
        known: u64,
        order: &Order,
    ) -> Result<u64, ShelfError>;

    /// Leaves as little behind as it can of what was destroyed.
    ///
    /// # Errors
    /// More may be there than needs to be.
    fn scrub(&mut self) -> Result<Scrubbed, ShelfError>;

    /// Keeps everybody in a tenant, or one person, from being erased. That is on record.
    ///
    /// # Errors
    /// See [`Shelf::mark`]; the mark is another one than `under`.
    fn hold(
        &mut self,
        tenant: &TenantId,
        whom: Option<&HeldRow>,
        under: &[u8],
        order: &Order,
    ) -> Result<Hold, ShelfError>;

    /// Takes a hold away. That is on record. `None`: there is none of this name.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn release(&mut self, id: u64, order: &Order) -> Result<Option<Hold>, ShelfError>;

    /// All holds there are.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn holds(&mut self) -> Result<Vec<Hold>, ShelfError>;

    /// Puts another row in the place of each, all of them or none. That is on record. Answers how many persons there are.
    ///
    /// # Errors
    /// See [`Shelf::mark`]; the mark is another one than `under`, or something does not open.
    fn renew(&mut self, under: &[u8], renewal: &mut dyn Renewal, order: &Order) -> Result<u64, ShelfError>;

    /// Has the audit log learn of something.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn note(&mut self, event: &Event) -> Result<(), ShelfError>;

    /// Gives what is not in this audit log yet to somebody who puts it there, the oldest first, and does not give again what was
    /// put there. `false`: not all of it could be put there.
    ///
    /// # Errors
    /// What was put there is put there again.
    fn record(&mut self, log: LogName, put: &mut dyn FnMut(&Event) -> bool) -> Result<bool, ShelfError>;

    /// How many events wait for this audit log, or for another one that others write.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn waiting(&mut self, log: LogName) -> Result<u64, ShelfError>;

    /// How many persons there are.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn persons(&mut self) -> Result<u64, ShelfError>;
}

/// What makes of each row the one that comes in its place: tenants first, then holds, then persons.
pub trait Renewal {
    /// What was sealed with the root, now with the next.
    ///
    /// # Errors
    /// Cryptography failed; so with all others, or it does not open.
    fn check(&mut self) -> Result<Vec<u8>, Unsealable>;

    /// A tenant with another key.
    ///
    /// # Errors
    /// See [`Renewal::check`].
    fn tenant(&mut self, row: &TenantRow) -> Result<TenantRow, Unsealable>;

    /// A person under a hold of this tenant, whose row is given, if there is one.
    ///
    /// # Errors
    /// See [`Renewal::check`].
    fn held(&mut self, tenant: &TenantId, row: &HeldRow, subject: Option<&SubjectRow>) -> Result<HeldRow, Unsealable>;

    /// A person, whose key is the same, wrapped otherwise.
    ///
    /// # Errors
    /// See [`Renewal::check`].
    fn subject(&mut self, row: &SubjectRow) -> Result<SubjectRow, Unsealable>;
}

/// What came of an order to destroy something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destroyed {
    /// It is gone: one row, with this.
    One(Box<SubjectRow>),
    /// It is gone: the key of a tenant, and the rows of so many persons.
    Tenant(u64),
    /// A hold forbids it.
    Held(Hold),
    /// There was nothing.
    Nothing,
}

/// What is left of what was destroyed, once it was scrubbed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scrubbed {
    /// Nothing, in no file that belongs to the vault.
    Gone,
    /// Copies that the database keeps for itself, until it writes over them.
    Kept,
}

/// The id of an audit log.
pub type LogName = [u8; 16];

/// The vault cannot do what was asked of it; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Others use it without an end.
    #[error("{0} is in use: what was destroyed may still lie beside it until this is done again")]
    Busy(String),
    /// What it holds is not what it wrote.
    #[error("{0} holds in `{1}` what cannot be read: {2}")]
    Damaged(String, &'static str, String),
    /// A later version of the program wrote it.
    #[error("{0} is of format {1}, and this program knows {2}: it was used by a later version")]
    Newer(String, i64, i64),
    /// It may have been done or not: the answer did not come.
    #[error("{0} did not say whether it is done: look before it is done again")]
    Unanswered(String, #[source] StorageError),
    /// The root was rotated just now.
    #[error("the root of {0} was rotated just now: do it again")]
    Turned(String),
    /// Whom a hold is about is not known, since an earlier version made it.
    #[error("{0} does not know whom hold {1} is about: take it away, and make it again")]
    Unnamed(String, u64),
    /// What it is kept in says so.
    #[error("{0} cannot be used")]
    Unusable(String, #[source] StorageError),
}

impl ShelfError {
    /// Whether somebody has to put it right, so that waiting does not help.
    #[must_use]
    pub const fn is_to_be_mended(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Turned(_) | Self::Unanswered(..) => false,
            Self::Damaged(..) | Self::Newer(..) | Self::Unnamed(..) => true,
            Self::Unusable(_, StorageError(Cause::Postgresql(fault))) => fault.is_of_the_settings(),
            Self::Unusable(_, StorageError(Cause::Disk(_) | Cause::Sqlite(_))) => true,
        }
    }
}

/// Why rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StorageError(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Disk(io::Error),
    #[error(transparent)]
    Postgresql(Fault),
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        Self(Cause::Disk(error))
    }
}

impl From<Fault> for StorageError {
    fn from(fault: Fault) -> Self {
        Self(Cause::Postgresql(fault))
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Cause::Sqlite(error))
    }
}
