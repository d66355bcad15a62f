//! The demo: what `cloister demo` runs besides the gateway, all in one process and on loopback.
//!
//! *What it decides:* nothing that the gateway relies on. It is a small world to try the gateway on: an issuer that mints
//! tokens for four users of three tenants, sound and broken ones; two backends such as those that the gateway stands in
//! front of (`orders.rs` a JSON API, `streams.rs` and `files.rs` everything that does not end at once); and a tour that
//! makes requests and knows what must become of each.
//!
//! *What it must never do:* be part of a real deployment. The issuer gives a token to whoever asks. It imports nothing
//! of the gateway but the shared words: it sees the gateway as an issuer, a backend and a client see it.
//!
//! *Who gives it what:* cli the addresses and the clock, puts [`Demo::run`] on its list of background tasks, runs the
//! gateway with [`Demo::config`] and looks up in the audit log what became of the requests of the [`Tour`] ([`Look`]).
//!
//! *How to add a step to the tour:* a line in `tour/plan.rs` or `tour/traffic.rs`. *How to add a user:* a line in
//! `people.rs`. *How to write a backend for a gateway like this:* read `trust.rs`; it is all that a backend has to do.
//!
//! ```
//! use std::sync::Arc;
//! use demo::{Demo, Minted, Places, User};
//!
//! let free = "127.0.0.1:0".parse()?;
//! let demo = Demo::start(Places { gateway: free, admin: free, ..Places::default() }, Arc::new(terms::SystemClock))?;
//! let token = demo.issuer().mint(&User::ADA, Minted::Sound)?;
//! assert_eq!(token.split('.').count(), 3);
//! assert!(demo.config("/var/lib/cloister".as_ref()).contains(&demo.places().gateway.to_string()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod files;
mod issuer;
mod keys;
mod orders;
mod people;
mod streams;
mod tour;
mod trust;
mod web;
mod world;

pub use keys::{Issuer, MintError, Minted};
pub use people::User;
pub use tour::{Expected, Ink, Look, Step, Tour, print, settle};
pub use world::{Demo, DemoError, Places};
