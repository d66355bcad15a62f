//! How much of it: rates per tenant, user, client address and route, judged together.
//!
//! *What it decides:* whether one more request fits into every limit of its route ([`Limits::spend`]). Either it is
//! charged to all of them or to none: a refused request consumes nothing at any level. What the answer says of it
//! (`RateLimit-Policy`, `RateLimit`, `Retry-After`) is rendered here too.
//!
//! *What it must never do:* take more memory than it was given; let a key go unlimited because there is no room or
//! because a part of the key is missing; forget someone who is at their limit. It knows no file, socket or clock: the
//! caller says what time it is.
//!
//! *Who gives it what:* `policy` compiles `limits:` and each route's list of them; `gate` calls [`Limits::new`] once,
//! [`Limits::succeed`] at each reload, [`Limits::spend`] per request.
//!
//! *How it works:* [`governor`] judges each level by GCRA, which keeps one time per key. The keys of a limit live in a
//! table of small sets: a key can only be in its own set, so a lookup is bounded, a slot whose time has passed is
//! free for the next key, and there is neither a sweep nor a resize. A request holds the locks of its few sets for
//! some hundred nanoseconds, in one order for all, which makes the whole step atomic without a refund.
//!
//! *How to add a part to a key:* a variant of [`KeyPart`], its bytes in `key.rs` with a tag of its own, a field of
//! [`Asker`], a line in the table of `key.rs`'s tests.
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::time::{Duration, Instant};
//!
//! let start = Instant::now();
//! let per_tenant = limit::Limit {
//!     id: "per_tenant".parse()?,
//!     rate: "100/m".parse()?,
//!     burst: NonZeroU32::new(2).unwrap(),
//!     key: vec![limit::KeyPart::Tenant],
//! };
//! let limits = limit::Limits::new(vec![per_tenant], 10_000, start)?;
//! let tenant = "acme".parse()?;
//! let route = "invoices".parse()?;
//! let asker = limit::Asker { tenant: Some(&tenant), user: None, client_ip: [192, 0, 2, 1].into(), route: &route };
//!
//! assert_eq!(limits.spend(&[0], &asker, start).unwrap().levels()[0].remaining, 1);
//! assert_eq!(limits.spend(&[0], &asker, start).unwrap().levels()[0].remaining, 0);
//! let exceeded = limits.spend(&[0], &asker, start).unwrap_err();
//! assert_eq!(exceeded.retry_after(), 1); // 600 ms, rounded up
//! assert!(limits.spend(&[0], &asker, start + Duration::from_millis(600)).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod fields;
mod gcra;
mod key;
mod limits;
mod quota;
mod standing;
mod table;

pub use key::{Asker, KeyPart};
pub use limits::{Limits, MAX_LEVELS};
pub use quota::{InvalidLimit, Limit};
pub use standing::{Exceeded, Level, Standing};
