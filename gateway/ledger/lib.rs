//! The audit log as a transparency log: what others verify it by, without asking or trusting us.
//!
//! *What it decides:* when a checkpoint is signed, and that none is signed which does not go on from the one before it.
//! The records in the segments are the truth; tiles, bundles and checkpoint (`tlog/` in the folder of the log, laid out as
//! C2SP tlog-tiles has it) are made of them and can be made again.
//!
//! *What it must never do:* write to a segment; sign a tree that it could not derive from the records; go on with a log
//! that has become shorter or another one ([`LedgerError::is_of_the_log`]).
//!
//! *Who gives it what:* `audit` writes the records, and [`audit::Reader`] reads them. `cli` opens a [`Publisher`] once the
//! journal is open and calls [`Publisher::publish`] again and again, on a thread that may wait for the disk; its commands
//! make proofs ([`prove`]) and look at all of it ([`check`]).
#![forbid(unsafe_code)]

mod changes;
mod check;
mod files;
mod folder;
mod guard;
mod key;
mod keys;
mod proof;
mod prune;
mod publisher;
mod reach;
#[cfg(test)]
mod tests;

pub use changes::KeyChanges;
pub use check::{Against, Checked, Difference, check, check_against, guarded};
pub use files::replace_durably;
pub use folder::Folder;
pub use guard::recheck_path;
pub use key::{KeyError, KeyFile, Turn};
pub use keys::{Held, Keys, State};
pub use proof::{NoProof, prove};
pub use prune::prune_bundles;
pub use publisher::{Due, LedgerError, NotOurs, Published, Publisher, Settings};
pub use reach::reaches;
