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
//! *How to keep it elsewhere:* a [`Shelf`], which has no cryptography: it keeps rows and does in one transaction what must not
//! be done by halves. *How to seal one more field:* in `personal.rs`, with another version, and a line in
//! `record.schema.json` of `audit`.
#![forbid(unsafe_code)]

mod chacha;
mod events;
mod files;
mod holds;
mod keeper;
mod key;
mod memory;
mod persona;
mod personal;
mod rows;
mod shelf;
mod sqlite;
mod subjects;
#[cfg(test)]
mod tests;
mod vault;

pub use events::{Event, EventKind, Order};
pub use files::RootError;
pub use holds::{Held, Hold};
pub use keeper::Keeper;
pub use key::Unsealable;
pub use persona::{Fields, Person, Persona};
pub use personal::{About, Opened, Personal, SEALED_MAX, Sealed, USER_AGENT_MAX};
pub use rows::{Mark, Print, SubjectRow, TenantRow};
pub use shelf::{Destroyed, Shelf, ShelfError};
pub use subjects::{State, Subjects, Unavailable};
pub use vault::{Making, SubjectVault, VaultError};
