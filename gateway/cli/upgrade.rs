//! One binary takes over from another while both serve: `cloister run --upgrade`, and SIGQUIT to the one that runs.
//!
//! The two meet at a socket in the state folder, which the old process makes when it is told to (SIGQUIT), for as long as
//! it waits. Whoever comes must be of the same user; and the folder is closed to all others anyway. Then:
//!
//! 1. The new process has read and checked all of its files before it says hello.
//! 2. The old one gives it every socket that listens. From here on both have them, and the old one alone accepts.
//! 3. The new one makes everything else, then asks for the audit log ([`audit::Journal::hand_over`]).
//! 4. It serves, and says so. Only now the old one stops to accept, and drains as after SIGTERM.
//!
//! Each step has its time. Whatever goes wrong before the fourth, and however it ends, the old process goes on as if
//! nothing had happened. It takes the log back then; and as a log may not have two writers, a new process that has the log
//! and is not ready in time is killed first.
//!
//! What is not handed over: connections (they come to their end where they are), counts of limits (full buckets in the new
//! process; of quotas what was kept when it started), verified tokens and the keys of issuers (fetched anew).

mod channel;
mod new;
mod old;

use std::path::{Path, PathBuf};

pub(crate) use new::Upgrade;
pub(crate) use old::{Old, Spare};

/// Where the two meet.
fn meeting_place(state: &Path) -> PathBuf {
    state.join("upgrade.sock")
}
