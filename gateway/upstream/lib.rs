//! The backends: which address the next attempt of a permitted request goes to.
//!
//! *What it decides:* which addresses an upstream has ([`Upstream`]), which of them are good enough to be asked, and which
//! one is next ([`Upstream::choose`]).
//!
//! An address is out if it fails its checks ([`keep_checked`]), or for a while if too many requests in a row fail there; back
//! again, it gets a share that grows. What one tenant asks for never puts it out for the others.
//!
//! *What it must never do:* see a request, a token or a header; wait on a request's path; decide whether somebody may.
//! It does not know the proxy's framework either: what it chose is a socket address, and `proxy` turns it into a
//! connection.
//!
//! *Who gives it what:* `cli` the settings, `proxy` how each attempt went ([`Upstream::report`]) and the means to ask an
//! address whether it is well ([`Probe`]).
//!
//! *How to add to it:* what is set for one upstream is a field of [`Settings`]. What counts for one address lives in
//! `address.rs` and `condition.rs`, in atomics: addresses are shared by all workers and outlive a change of the list. What counts for the
//! upstream as a whole (budgets, breakers, caps) is a file of its own and a field of [`Upstream`], asked by `proxy` before
//! [`Upstream::choose`] and told by [`Upstream::report`]. Each attempt holds its own [`Chosen`]; the next attempt of the
//! same request passes what was tried before in [`Tried`], so that it goes elsewhere if there is an elsewhere.
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod balance;
mod breaker;
mod budget;
mod bulkhead;
mod checks;
mod chosen;
mod condition;
mod defence;
mod health;
mod list;
mod names;
mod pace;
mod pool;
mod queue;
mod resolver;
mod settings;
mod streak;
mod tls;
mod tried;
mod turns;
mod upstream;
mod window;

pub use address::Address;
pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerSettings, Open, Pass, Phase, Verdict};
pub use budget::{Budget, BudgetSettings, Spent};
pub use bulkhead::{Bound, Bulkhead, Caps, InFlight, Occupancy, Shed};
pub use checks::{Probe, ProbeError, keep_checked};
pub use chosen::{Chosen, Went};
pub use defence::{Defence, DefenceSettings, Retries};
pub use health::{Check, CheckSettings, EjectionSettings, HealthSettings};
pub use names::keep_resolved;
pub use pool::Groups;
pub use resolver::{Dns, ResolveError, Resolver, Special};
pub use settings::{AddressSettings, Balance, InvalidLocation, Location, Pool, Protocol, Settings, Timeouts};
pub use tls::{ClientTls, TlsError, TlsSettings, Verify};
pub use tried::Tried;
pub use upstream::{States, Unavailable, Upstream};
