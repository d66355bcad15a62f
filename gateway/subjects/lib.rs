//! The subject vault: what stands between a person and the name that the audit log has for it, and can be destroyed.
//!
//! *What it decides:* which surrogate the records of a subject in a tenant carry, and under which key what is personal in
//! them is sealed ([`Persona`]); that both are on disk before a record may name them; that nobody is erased who is under a
//! hold; that what was destroyed is gone from every file that this part writes.
//!
//! *What it must never do:* show or keep a key or a name in clear; hand out a surrogate that it may not know tomorrow; take
//! a vault for empty that is damaged, was set back or belongs to another root.
//!
//! *Who gives it what:* `gate` asks [`Subjects::of`] for each member, which is remembered beside the verified token; `cli`
//! opens the [`SubjectVault`] for the gateway and for `cloister privacy`, gives the [`Keeper`] a thread of its own, and has the
//! audit log learn of what was done ([`SubjectVault::record`]).
//!
//! # The keys
//!
//! A root (32 bytes or more from the settings) wraps one key for each tenant, which wraps one key for each subject in that
//! tenant. With the subject's key its name and the personal fields of its records are sealed. A row is found by a keyed hash of
//! tenant, issuer and subject, so that the table lists no names. Destroying a row erases the person; destroying the tenant's
//! key erases all of its persons at once. All sealing is XChaCha20-Poly1305.
//!
//! Another root takes the place of one in a single transaction ([`SubjectVault::rotate`]): tenants get other keys, keys of persons
//! are wrapped with these, and rows are found otherwise. What was sealed with the root tells which one is in force, so a process
//! that has both goes on with the other one as soon as it looks.
//!
//! *How it stays true what is remembered:* the vault is looked at five times a second ([`SubjectVault::look`]) for how often
//! something was destroyed in it, and before each question of a request. Whoever is remembered from before is forgotten, and once
//! no look has succeeded for a moment, nobody is believed.
//!
//! *How to keep it elsewhere:* a [`Shelf`], which has no cryptography: it keeps rows and does in one transaction what must not
//! be done by halves. There are two: a file of SQLite, of which nothing that was destroyed is left, and a PostgreSQL that
//! several gateways share, which keeps copies for a while (`config/postgresql/subjects.sql` says which). *How to seal one more field:* in `personal.rs`, with another version, and a line in
//! `record.schema.json` of `audit`.
#![forbid(unsafe_code)]

mod chacha;
mod error;
mod events;
mod files;
mod holds;
mod keeper;
mod kept;
mod key;
mod memory;
mod persona;
mod personal;
mod postgresql;
mod root;
mod roots;
mod rotation;
mod rows;
mod shelf;
mod sqlite;
mod subjects;
#[cfg(test)]
mod tests;
mod vault;

pub use error::VaultError;
pub use events::{Event, EventKind, Order};
pub use files::RootError;
pub use holds::{Held, Hold};
pub use keeper::Keeper;
pub use key::Unsealable;
pub use persona::{Fields, Person, Persona};
pub use personal::{About, JUSTIFICATION_MAX, Opened, Personal, SEALED_MAX, Sealed, USER_AGENT_MAX};
pub use roots::GivenRoots;
pub use rows::{HeldRow, Mark, Print, SubjectRow, TenantRow};
pub use shelf::{Destroyed, LogName, Renewal, Scrubbed, Shelf, ShelfError, StorageError};
pub use subjects::{State, Subjects, Unavailable};
pub use vault::{Keeping, Making, SubjectVault};
