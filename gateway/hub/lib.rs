//! The Redis or Valkey where several gateways meet: how it is reached.
//!
//! *What it decides:* that a connection over the network is secured, or that somebody has said that it need not be; who we are
//! there; what our keys begin with.
//!
//! *What it must never do:* say anything there. What is said, its users say: `relay` which tokens were taken back, `tally` what
//! was spent of limits.
//!
//! *Who gives it what:* `cli` makes a [`Server`] of the settings; `relay` and `tally` connect with it, each for itself.
//!
//! *How to add a way to reach it:* a variant of [`Place`], how it connects in `login.rs`, and a test against a real one.
#![forbid(unsafe_code)]

mod connection;
mod login;
mod server;

pub use connection::{Connection, Together};
pub use login::{Access, Identity, InvalidServer, Login, Place, Plaintext};
pub use server::Server;
