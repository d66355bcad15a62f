//! Secrets that are in HashiCorp Vault, or in OpenBao, which speaks as it does: its KV engine, version 2.
//!
//! *What it decides:* who we are to Vault (a token, an AppRole, an account of Kubernetes), for how long that is so, and when it
//! has to be proven again; that what comes back is the text of one field, of a version that was not deleted.
//!
//! *What it must never do:* follow a redirect, believe a certificate that was not asked for, wait or read without end, say in an
//! error or a log what a value or a token was, keep a connection, or use a token elsewhere than at the address that is written.
//!
//! *Who gives it what:* `cli` the address and the ways to fetch what proves who we are ([`Settings`]); it asks for values at the
//! start and again and again ([`Vault::read`]), and lets the token be renewed ([`Vault::tend`]). What is done with the values is
//! not this part's business.
//!
//! *How to add a way to log in:* a variant of [`Auth`], its body in `session.rs`, its settings in `cli`, a test against a real
//! server in `tests/stories/vault.rs` and the faults in `tests.rs`.
#![forbid(unsafe_code)]

mod answer;
mod client;
mod error;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod vault;

pub use error::VaultError;
pub use settings::{Auth, Fetch, InvalidVault, Settings};
pub use vault::{Found, Hearing, Vault};
