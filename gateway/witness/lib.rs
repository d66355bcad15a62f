//! Witnesses of a log (C2SP tlog-witness): others who have seen it grow, and say so by their signature.
//!
//! *What it decides:* as a [`Witness`], whether a checkpoint goes on from the one that was seen before, and is signed; as
//! one who asks ([`Seat::ask`]), whether what a witness answers is its signature, or says that the log has a second history.
//!
//! *What it must never do:* sign a tree that does not go on from the one before it, or before that is on disk; believe a
//! witness more than its signature; hold anything up: whoever asks is told within [`PATIENCE`].
//!
//! *Who gives it what:* `cli` runs a [`Witness`] behind a listener (`cloister witness run`), and asks those of its own
//! settings from time to time, with the proofs that `ledger` has.
//!
//! *How to add a kind of witness:* it speaks the same `add-checkpoint`, so nothing is to be done here.
#![forbid(unsafe_code)]

mod seat;
mod witness;

pub use seat::{Asked, InvalidSeat, PATIENCE, Seat, Unseen};
pub use witness::{Said, Witness, WitnessError};
