//! What backends receive about who asks, and how they can know that it is true.
//!
//! *What it decides:* what stands in the assertion (a JWT, [`Minter`]) and in the RFC 9421 signature that binds
//! it to one request; how long either is good; which header names are ours alone (`terms::reserved`); which keys sign
//! ([`Keys`]), when they take turns ([`Schedule`]), and which are published.
//!
//! *What it must never do:* decide who someone is; name anybody whom it was not given; outlive the caller's token; give
//! a private key to anyone; let an assertion be used again where nothing binds it to the request, unless a setting
//! called insecure asks for it.
//!
//! *Who gives it what:* `cli` opens the [`Keys`] and tends them, makes one [`Minter`] and one [`Backend`] per upstream; `proxy` takes
//! every `terms::reserved` field off the request, then asks [`Minter::inject`] with the member's [`Identity`] and the request
//! [`Forwarded`] as it goes out; `admin` publishes [`Keyring::jwks`].
//!
//! *How to add a claim:* a field of [`Identity`], a line in `claims.rs`, the rule for verifiers in `tests/vectors/README.md`,
//! and new vectors (`cargo test -p assertion -- --ignored`). Claims are only ever added: backends check what is there.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use assertion::{Algorithm, Backend, Binding, Forwarded, Identity, Keys, Lifetime, Minter, Schedule, Source};
//!
//! let clock = Arc::new(terms::ManualClock::at(1_790_000_000));
//! let lifetime = Lifetime::try_from(Duration::from_secs(60))?;
//! let schedule = Schedule::new(Duration::from_secs(86_400), Duration::from_secs(300), lifetime)?;
//! let keys = Arc::new(Keys::open(Source::Memory, &[Algorithm::Es256], schedule, clock.clone())?);
//! let minter = Minter::new("https://gateway.example.com".parse()?, lifetime, keys, clock);
//! let orders = Backend::new("orders".parse()?, Binding::PerRequest, Algorithm::Es256, None)?;
//!
//! let injected = minter.inject(
//!     &Identity {
//!         tenant: &"acme".parse()?,
//!         issuer: &"main".parse()?,
//!         subject: &"user-1".parse()?,
//!         roles: &["billing_reader".parse()?],
//!         acr: None,
//!         amr: &[],
//!         auth_time: None,
//!         claimed: &[],
//!         expires_at: 1_790_003_600,
//!         token: &[7; 32],
//!     },
//!     &Forwarded {
//!         id: terms::RequestId::from(1),
//!         method: "GET",
//!         authority: "orders.internal",
//!         path: "/orders/7",
//!         query: None,
//!         digest: None,
//!     },
//!     &orders,
//! )?;
//! let fields: Vec<_> = injected.into_fields().collect();
//! assert_eq!((fields[0].0.as_str(), fields[0].1.to_str()?), ("x-tenant-id", "acme"));
//! assert_eq!(fields[3].0.as_str(), "x-cloister-assertion");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod backend;
mod claims;
mod database;
mod digest;
mod identity;
mod injected;
mod keyring;
mod minter;
mod reuse;
mod signature;
mod telling;

pub use backend::{
    Audience, Backend, Binding, CallersToken, InvalidBackend, InvalidLifetime, InvalidParty, Issuer, Lifetime,
};
pub use database::DatabaseKey;
pub use digest::{BodyDigest, ContentDigest, InvalidDigest};
pub use identity::{Forwarded, Identity};
pub use injected::Injected;
pub use keyring::{
    Algorithm, Change, Hand, InvalidSchedule, Key, Keyring, KeyringError, Keys, Schedule, Source, State, Tended, Turn,
};
pub use minter::{MintError, Minter};
pub use signature::{InvalidSignatureKey, InvalidSigner, SignatureKey, Signer};
pub use telling::{InvalidTelling, Telling};
