//! The admin listener: what an operator, an orchestrator and the backends ask the gateway about itself.
//!
//! *What it decides:* nothing about requests. It says whether the process lives (`/livez`), whether it should get
//! traffic and what is down if not (`/readyz`), what it counted (`/metrics`), what it is (`/version`), and which keys
//! its assertions are signed with (`/.well-known/cloister/jwks.json`). Operators who show the token of the configuration have
//! it take tokens back (`/revocations`); backends that show one of their own put events on record (`/audit/events`); issuers have it take back their own by what they sign (`/notices`).
//!
//! *What it must never do:* change anything for anybody else; show a token, a secret or a tenant's data; be reachable by the clients of
//! the gateway. It listens on loopback unless told otherwise, and then says so in the log.
//!
//! *Who gives it what:* cli the registry of metrics, one [`Check`] per thing that can be down, one [`Collect`] per
//! gauge that is computed only when asked for, and the document of the assertion's keys.
//!
//! *How to add a page:* a handler and its line in `pages.rs`, a promise in `tests.rs`. *How to add a check:* implement
//! [`Check`] beside the thing that can be down, and hand it over in cli; a line in the operator's runbook.
//!
//! ```
//! let page = admin::Admin {
//!     registry: prometheus::Registry::new(),
//!     refresh: vec![],
//!     readiness: vec![],
//!     key_sets: vec![],
//!     version: "0.1.0",
//!     operations: None,
//!     notices: None,
//!     events: None,
//! };
//! let bound = page.bind("127.0.0.1:0".parse()?)?;
//! assert_ne!(bound.address().port(), 0);
//! drop(bound.serve(async { /* until told to stop */ }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod events;
mod listen;
mod notices;
mod operations;
mod pages;
mod readiness;
#[cfg(test)]
mod tests;
mod witness;

pub use events::{Events, Inbox, Untaken};
pub use listen::{BindError, Bound, ServeError};
pub use notices::{Notices, Unheard};
pub use operations::{AdminToken, Desk, Guessable, Operations, Refusal};
pub use pages::{Admin, KeySet, KeySetPage};
pub use readiness::{Check, Collect, Standing};
pub use witness::{Witnessing, witness};
