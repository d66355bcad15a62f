//! The gate: judges one request after the other.
//!
//! *What it decides:* whether a request may be forwarded, as whom, to which upstream, and what the client is told if
//! not. `admit.rs` has the order of all checks on one screen; the order is the security model.
//!
//! *What it must never do:* read a file or a socket; know pingora; let anything reach a backend without a [`Permit`].
//!
//! *Who gives it what:* ingress the [`canonical::CanonicalRequest`]; cli the compiled [`Rules`] and replaces them whole;
//! token, tenancy, policy, limit and tally the proofs; audit the journal. The proxy asks [`Gate::admit`], and forwards with the
//! permit or answers with the refusal.
//!
//! *How to add a check:* one file with the proof it yields and its one constructor; a line in `admit.rs`; a cause in
//! `refusal.rs`; its reason's row in `answer.rs` (it does not compile without); a row in the golden table of answers.
#![forbid(unsafe_code)]

mod admit;
mod answer;
mod arrival;
mod assured;
mod challenge;
mod direct;
mod grant;
mod holder;
mod identify;
mod member;
mod origin;
mod permit;
mod preflight;
mod principal;
mod refusal;
mod room;
mod route;
mod rules;
mod shared;
mod tenure;
mod valid;
mod veil;
mod verdict;
mod vouch;

pub use admit::{Admission, Gate};
pub use answer::{Answer, Challenge};

pub use arrival::{Arrival, Asked, Channel, Seen};
pub use challenge::DPOP_NONCE;
pub use direct::DemandingHosts;
pub use member::Member;
pub use permit::Permit;
pub use preflight::Preflight;
pub use principal::{Principal, ServiceCaller};
pub use refusal::{Cause, Refusal, Unheard, Who};
pub use room::Rooms;
pub use rules::Rules;
pub use tenure::Tenure;
