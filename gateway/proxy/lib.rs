//! The proxy: pingora's `ProxyHttp` over the gate. The only part that knows pingora's proxy.
//!
//! *What it decides:* how a judged request travels: with which fields, over which connection, within which time; and how a
//! refusal looks on the wire.
//!
//! *What it must never do:* reach a backend without a [`gate::Permit`]; send another path than the one that was judged;
//! let a field through that only Cloister may write; answer before the decision is in the journal.
//!
//! *Who gives it what:* ingress the connections, gate the permits and refusals, upstream the addresses, cli the
//! backends and the minter.
//!
//! *How to add to it:* what is sent to backends is in `forward.rs`, what clients get in `reply.rs`, the life of one
//! request in `filters.rs`, in the order in which pingora calls. How an address is asked whether it is well is in `prober.rs`.
#![forbid(unsafe_code)]

mod application;
mod attempt;
mod backends;
mod close;
mod context;
mod deadline;
mod echo;
mod effort;
mod ends;
mod filters;
mod forward;
mod go_on;
mod hold;
mod inject;
mod metrics;
mod old;
mod patience;
mod prober;
mod proxy;
mod reply;
mod response;
mod retry;
mod running;
mod secure;
mod socket;
mod spelling;
mod streams;
mod tcp;
mod trace;
mod unparsed;
mod upload;

pub use application::Application;
pub use backends::{Backend, Backends};
pub use context::Context;
pub use metrics::Metrics;
pub use prober::Prober;
pub use proxy::{Proxy, Serving};
pub use response::{RateLimitFields, ResponseBounds, ResponseSettings, SecurityHeaders};
pub use secure::{Security, Unfit};
pub use unparsed::Recorder;
