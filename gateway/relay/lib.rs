//! What one gateway was told, for the others: which tokens were taken back, through a stream of Redis or Valkey.
//!
//! *What it decides:* the order in which all gateways take over what any of them has said, and that whoever missed some of it
//! gets it from the others.
//!
//! *What it must never do:* hold up a request, or the gateway that something was told to. Without Redis each gateway knows
//! what it was told itself, says in `/readyz` that it hears of no other, and catches up when it does.
//!
//! *Who gives it what:* `cli` the address ([`hub::Server`]) and the store, whose outbox it empties and whose inbox it fills; it
//! polls [`Relay::run`].
//!
//! *How to add something that travels:* a kind of [`store::Change`], its fields in `message.rs`, and a line in `tests.rs`.
#![forbid(unsafe_code)]

mod message;
mod relay;
#[cfg(test)]
mod tests;

pub use relay::{Hearing, Relay, RelayError};
