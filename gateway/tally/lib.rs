//! What several gateways have spent of their limits together, in a Redis or Valkey.
//!
//! *What it decides:* whether one more request fits into those limits of its route that gateways share ([`Tally::ask`]): in one
//! step there, for all of them or for none, by the time of the store. Its answer is [`Asked::Lost`] when the store is late,
//! away, or says anything else; what becomes of the request then, `limit` knows.
//!
//! *What it must never do:* make a request wait for longer than [`Settings::timeout`]; keep anything in the store for ever; tell
//! the store who somebody is; lose in silence what is due when a request is over.
//!
//! *Who gives it what:* `cli` the [`Settings`], and it polls [`Tally::run`]; `gate` asks for each request whose limits stand in
//! the store.
//!
//! *How it works:* `judge.lua` is what `limit` does in process, in a script that the store runs; a property holds the two against
//! each other. What is due when a request is over (`owed.rs`) goes into a bounded queue and from there to `settle.lua`. A place
//! among those in flight is a lease (`leases.rs`): a gateway that is killed renews it no more.
//!
//! *How to add a kind of limit:* its function in `judge.lua`, what is due at its end in `settle.lua`, its words in `script.rs`, a
//! line in the property.
#![forbid(unsafe_code)]

mod keeping;
mod leases;
mod owed;
mod parts;
mod script;
mod state;
mod tally;
#[cfg(test)]
mod tests;

pub use state::{ROUND_TRIP_BOUNDS_MICROS, RoundTrips, State};
pub use tally::{Asked, Settings, Tally};
