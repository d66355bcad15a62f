use std::fmt;
use std::path::PathBuf;

use terms::{Surrogate, TenantId};

use crate::{Event, Hold, Mark, Order, Print, SubjectRow, TenantRow};

/// Where the rows of the vault are. It knows no keys: what comes here is wrapped, hashed or sealed. Each method is one
/// transaction, on disk when it returns; several processes may use it at once.
pub trait Shelf: fmt::Debug + Send {
    /// What marks this vault; it gets this mark if it has none.
    ///
    /// # Errors
    /// It cannot be read or written; so with all others.
    fn mark(&mut self, fresh: &Mark) -> Result<Mark, ShelfError>;

    /// How many times something was destroyed here: whoever remembers rows forgets them when it is another number.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn destroyed(&mut self) -> Result<u64, ShelfError>;

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

    /// Keeps the key of a tenant, unless it has one, and answers with the one that counts.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn put_tenant(&mut self, fresh: &TenantRow) -> Result<TenantRow, ShelfError>;

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
    /// See [`Shelf::mark`].
    fn erase(&mut self, tenant: &TenantId, print: Print, order: &Order) -> Result<Destroyed, ShelfError>;

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

    /// Leaves nothing behind of what was destroyed, in no file that belongs to the vault.
    ///
    /// # Errors
    /// Something may still be there.
    fn scrub(&mut self) -> Result<(), ShelfError>;

    /// Keeps everybody in a tenant, or one person, from being erased. That is on record.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn hold(&mut self, tenant: &TenantId, print: Option<Print>, order: &Order) -> Result<Hold, ShelfError>;

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

    /// Has the audit log learn of something.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn note(&mut self, event: &Event) -> Result<(), ShelfError>;

    /// Gives what is not in the audit log yet to somebody who puts it there, the oldest first, and forgets what was put there.
    /// No other process gets the same meanwhile. `false`: not all of it could be put there.
    ///
    /// # Errors
    /// What was put there is put there again.
    fn record(&mut self, put: &mut dyn FnMut(&Event) -> bool) -> Result<bool, ShelfError>;

    /// How many persons there are.
    ///
    /// # Errors
    /// See [`Shelf::mark`].
    fn persons(&mut self) -> Result<u64, ShelfError>;

    /// Whether it is still the one that was opened: a file may have been put in its place.
    fn is_in_place(&self) -> bool;
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

/// The vault cannot do what was asked of it; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Others use it without an end.
    #[error("`{0}` is in use: what was destroyed may still lie in `{0}-wal` until this is done again")]
    Busy(PathBuf),
    /// What it holds is not what it wrote.
    #[error("`{0}` holds in `{1}` what cannot be read: {2}")]
    Damaged(PathBuf, &'static str, String),
    /// SQLite says so.
    #[error("`{0}` cannot be used")]
    Database(PathBuf, #[source] rusqlite::Error),
    /// A later version of the program wrote it.
    #[error("`{0}` is of format {1}, and this program knows 1: it was used by a later version")]
    Newer(PathBuf, i64),
}
