//! How much of it: rates, quotas, requests in flight, bytes and failed logins, per tenant, user, client address and more, judged
//! together.
//!
//! *What it decides:* whether one more request fits into every limit of its route ([`Limits::spend`]). Either it is
//! charged to all of them or to none: a refused request consumes nothing at any level. What only its end tells (its place
//! among those in flight, its bytes, its status) is settled when its [`Held`] is dropped. What the answer says of it
//! (`RateLimit-Policy`, `RateLimit`, `Retry-After`) is rendered here too.
//!
//! *What it must never do:* take more memory than it was given; let a key go unlimited because there is no room or
//! because a part of the key is missing; forget someone who is at their limit. It knows no file, socket or clock: the
//! caller says what time it is.
//!
//! *Who gives it what:* `policy` compiles `limits:` and each route's list of them; `gate` calls [`Limits::new`] once,
//! [`Limits::succeed`] at each reload, [`Limits::spend`] per request.
//!
//! *How it works:* each key has one number of 64 bits, to which the kind of its limit gives a meaning (`pace.rs`), so that
//! one step judges all kinds, and a store that several gateways share could. [`governor`] judges rates by GCRA. The keys of a limit live in a
//! table of small sets: a key can only be in its own set, so a lookup is bounded, a slot whose time has passed is
//! free for the next key, and there is neither a sweep nor a resize. A request holds the locks of its few sets for
//! some hundred nanoseconds, in one order for all, which makes the whole step atomic without a refund.
//!
//! *How to add a part to a key:* a variant of [`KeyPart`], its bytes in `key.rs`, a field of [`Asker`], a line in the table
//! of `key.rs`'s tests. *A kind:* a variant of [`Numbers`] and of `Pace`, its three arms in `judge.rs`, what `goes_on` says
//! of it, its item in `fields.rs`.
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use limit::{Asker, KeyPart, Limit, Limits, Mode, Numbers, Scope, Seed};
//!
//! let start = Instant::now();
//! let per_tenant = Limit {
//!     id: "per_tenant".parse()?,
//!     key: vec![KeyPart::Tenant],
//!     mode: Mode::Enforce,
//!     scope: Scope::Gateway,
//!     numbers: Numbers::Rate { rate: "100/m".parse()?, burst: 2 },
//!     plans: Vec::new(),
//!     tenants: Vec::new(),
//! };
//! let limits = Arc::new(Limits::new(vec![per_tenant], Vec::new(), Seed::random(), 10_000, start)?);
//! let tenant = "acme".parse()?;
//! let route = "invoices".parse()?;
//! let asker = Asker { tenant: Some(&tenant), ..Asker::stranger([192, 0, 2, 1].into(), Some(&route), std::time::SystemTime::UNIX_EPOCH) };
//! let spend = |now| limits.spend(&[0], &asker, NonZeroU32::MIN, now);
//!
//! assert_eq!(spend(start).unwrap().standing.levels()[0].remaining, 1);
//! assert_eq!(spend(start).unwrap().standing.levels()[0].remaining, 0);
//! let exceeded = spend(start).unwrap_err();
//! assert_eq!(exceeded.retry_after(), Some(1)); // 600 ms, rounded up
//! assert!(spend(start + Duration::from_millis(600)).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod asking;
mod charge;
mod fields;
mod gcra;
mod held;
mod judge;
mod key;
mod limits;
mod lockout;
mod near;
mod numbers;
mod pace;
mod quotas;
mod share;
mod standing;
mod table;
mod tiers;
mod used;

pub use asking::{Asking, Demand, Due, Measure, Name, Reply, Seen, Verdict};
pub use held::{Held, Settling};
pub use judge::Ended;
pub use key::{Asker, KeyPart, Seed};
pub use limits::{Limits, MAX_LEVELS, Spent};
pub use near::{Mark, Near};
pub use numbers::{Failures, InvalidLimit, Limit, Mode, Numbers, OnLoss, Scope};
pub use quotas::UsedQuota;
pub use standing::{Exceeded, Level, Room, Standing};
