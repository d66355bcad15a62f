//! The audit log: one record for every request, on disk, findable, and shown to be whole.
//!
//! *What it decides:* whether a request can be recorded; if not, it is not served, unless its route says otherwise
//! ([`Journal::begin_in_any_case`]) and it is counted. How records look ([`record_schema`]),
//! how they get to disk, what a crash leaves of them, and whether a log that is found is whole ([`verify`]).
//!
//! *What it must never do:* hold a token, a header, a body, a query string, a raw path or a subject's name ([`Entry`] has
//! no field for them); lose a record in silence; take a lock or a system call on the way of a request; go on with a log
//! that is damaged.
//!
//! *Who gives it what:* `proxy` begins and finishes a record for each request, `cli` opens the [`Journal`], gives the
//! [`Committer`] a thread of its own, and reads logs for its commands.
//!
//! # The way of a record
//!
//! [`Journal::begin`] writes what is known into a slot of the thread's own lane, a mapped file: from there on it survives
//! the process. [`Open::finish`] publishes the one final record in the lane's ring and frees the slot. The committer
//! collects all rings, appends what it finds to the segment as one batch that ends with a commit, syncs, and only then
//! lets the lanes reuse the space. The next start cuts a batch that was not finished, takes from the lanes what the last
//! commit does not have, and closes the slots that are still open as `interrupted`.
//!
//! Each record gets its place in the chain of its tenant there (`chains.rs`): a tenant's records are complete by themselves.
//!
//! When a binary is replaced, the log goes from one process to the next while both serve: see `handover.rs`.
//!
//! Two promises: what [`Journal::begin`] took survives `kill -9`; what [`Journal::begin_strict`] took survives a power
//! cut.
//!
//! *How to add a field to the record:* a field in [`Entry`] or [`Outcome`] whose type bounds it; a line in `record.rs`; a
//! field in [`Row`]; a property in `record.schema.json`; the test of the longest record still passes. A field may be
//! added within version 1, none may change its meaning.

mod accounts;
mod beside;
mod cached;
mod chains;
mod committer;
mod entry;
mod event;
mod handle;
mod handover;
mod index;
mod journal;
mod lane;
mod line;
mod log;
mod logs;
mod open;
mod prune;
mod pseudonym;
mod query;
mod reader;
mod record;
mod recover;
mod row;
mod runs;
mod segment;
mod stats;
mod strict;
#[cfg(test)]
mod tests;
mod verify;

pub use cached::forget_cached;
pub use committer::Committer;
pub use entry::{
    Cause, Decision, Digest, Echo, End, Entry, Files, Glass, KeyChange, KeyOf, KeyTurn, LogUse, Note, Outcome,
    PERSONAL_MAX, Personal, PersonsChange, Protocol, Sender, Shadow, TokensOf, Turn, WithoutStore,
};
pub use event::{Detail, DetailName, Event, EventOutcome, InvalidDetailName};
pub use handle::{Open, Witness};
pub use handover::{Handed, NotHandedOver, Predecessor};
pub use index::{IndexError, Indexed, Indexer};
pub use journal::{Doubt, Journal, NotClosed, Settings, Unavailable};
pub use logs::Logs;
pub use open::OpenError;
pub use prune::{Horizon, Prunable, prunable};
pub use pseudonym::{LogKey, LogKeyError, Pseudonym};
pub use query::{Matches, Order, Query, QueryError, Reach, Sieve, Which};
pub use reader::{ReadError, Reader, Stored};
pub use record::record_schema;
pub use row::{InvalidRecord, Row};
pub use runs::{Ended, Run};
pub use segment::InvalidHeader;
pub use segment::frame::Damage;
pub use stats::{COMMIT_BOUNDS_MICROS, Stats};
pub use verify::{Fault, Problem, Report, Slice, Torn, verify, verify_from};
