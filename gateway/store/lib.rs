//! What must survive a restart and is not written in files: API keys, what was used of quotas, and which tokens were taken back,
//! here or at another gateway.
//!
//! *What it decides:* that a change is on disk before it is acknowledged, that several processes may read and write at
//! once, and that whoever reads learns of a change by one number.
//!
//! *What it must never do:* answer when it does not know. What is damaged, of another version or cannot be read is an
//! error, and never taken for empty.
//!
//! *Who gives it what:* `cli` opens it in the state folder: for the gateway, which looks at [`Store::version`] several times
//! a second, and for the commands that change something beside it.
//!
//! *How to add something to keep:* its table is one more step in `database.rs` (a step that was released is never
//! changed), its methods stand in a file of their own; each change goes through `Store::change`.
//!
//! ```
//! use store::{Revocation, Store};
//! use tenancy::Revoked;
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path())?;
//! let before = store.version()?;
//! let revoked = Revoked::Token { issuer: "main".parse()?, jti: "a1b2c3".into() };
//! let revocation = Revocation { revoked, until: None, made: 1_795_000_000, author: None };
//! store.revoke(&revocation, 1_795_000_000)?;
//! assert_ne!(store.version()?, before);
//! assert_eq!(store.revocations(1_795_000_000)?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod api_keys;
mod audit_uses;
mod database;
mod exchange;
mod key_events;
mod quotas;
mod revocations;
mod rows;

pub use api_keys::KeptKey;
pub use audit_uses::{AuditUse, UseOf, UsesUpTo};
pub use database::{Store, StoreError};
pub use exchange::{Change, Posted, Told};
pub use key_events::{KeyEvent, KeyTurn};
pub use quotas::{Keeping, KeptQuota, LastRun};
pub use revocations::{Event, Extent, News, Revocation, Taken, Turn};
