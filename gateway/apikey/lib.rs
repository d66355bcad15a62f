//! API keys: what programs show that can get no token.
//!
//! *What it decides:* what a key looks like, and whose it is that is shown: the tenant, the name and the roles of the one key
//! whose digest is its own, and that is neither over nor taken back.
//!
//! *What it must never do:* keep a key, print one, or say of two that were refused how they differ.
//!
//! *Who gives it what:* `cli` makes keys and has `store` keep their digests; the running gateway puts what the store says into
//! [`ApiKeys`], and `gate` asks that of every request.
//!
//! *How to change how keys look:* another prefix in `text.rs`; what was given out stays as it is.
//!
//! ```
//! use apikey::{ApiKeys, KeyError, KeyRow, NewKey};
//!
//! let NewKey { text, id, digest } = NewKey::by_chance();
//! let row = KeyRow {
//!     id, digest, tenant: "acme".parse()?, name: "ci".into(), roles: vec!["viewer".parse()?], made: 0, expires: Some(100), revoked: None,
//! };
//! let keys = ApiKeys::default().succeeded_by(vec![row]);
//! assert_eq!(keys.find(&text, 50).map(|key| key.subject().to_string()), Ok("acme/ci".into()));
//! assert_eq!(keys.find(&text, 100).err(), Some(KeyError::Expired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod keys;
mod text;

pub use keys::{ApiKey, ApiKeys, ISSUER, KeyError, KeyRow, Outlook, subject};
pub use text::NewKey;
