//! A bearer token's text becomes a [`Caller`], or a [`TokenError`] with its reason.
//!
//! *What it decides:* whether a token was signed by an issuer that the route accepts, with a key that this issuer
//! published, for us, and is valid now; and what of its claims may be believed. What is no JWT, its issuer is asked about
//! where that is configured.
//!
//! *What it must never do:* let the token choose its key, its algorithm family or the place where keys come from;
//! remember a refusal; take the time from anything but the [`terms::Clock`]; write a token anywhere; answer "invalid"
//! when it only lacks the keys to know.
//!
//! *Who gives it what:* `cli` gives one [`IssuerSettings`] per issuer and polls [`Verifier::run`]; `gate` gives the
//! token and the issuers of the route, and takes the [`Caller`] further.
//!
//! *How to add to it:* a check of the header goes to `header.rs`, one of the claims to `caller.rs`, each with a variant
//! or text of [`TokenError`] and a row in `verify/tests.rs`; an algorithm goes to `algorithm.rs` and `key.rs`. The order
//! of all checks is `Verifier::judge`, in `verify.rs`, and nowhere else; what an issuer that is asked says of a token is held
//! to the same by `introspection/answer.rs`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use token::{Algorithm, IssuerSettings, JwksSource, Verifier};
//!
//! let keys = JwksSource::Url("https://idp.example.com/jwks.json".into());
//! let main = IssuerSettings::new("main".parse()?, "https://idp.example.com/", "saas-api", Algorithm::ES256, keys);
//! let verifier = Arc::new(Verifier::new(vec![main], Arc::new(terms::SystemClock), 100_000)?);
//! verifier.prefetch().await;
//! let caller = verifier.verify("eyJhbGciOi…", &["main".parse()?].into()).await?;
//! assert_eq!(caller.tenant(), Some("acme"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod algorithm;
mod belonging;
mod cache;
mod caller;
mod claims;
mod compact;
mod confirmation;
mod dpop;
mod error;
mod fetch;
#[cfg(any(test, feature = "test"))]
pub mod forge;
mod header;
mod introspection;
mod issuer;
mod json;
mod key;
mod key_set;
mod notice;
mod pattern;
mod place;
mod realms;
mod refresh;
mod settings;
mod standing;
mod verify;
mod wanted;
mod weak;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use belonging::Belonging;
pub use cache::CacheStats;
pub use caller::Caller;
pub use confirmation::Confirmation;
pub use dpop::{Dpop, DpopSettings, InvalidNonceKey, NonceKey, ProofError, Wanted};
pub use error::TokenError;
pub use introspection::{ClientKey, IntrospectionState, InvalidClientKey};
pub use issuer::IssuerState;
pub use notice::{About, Notice, NoticeKind};
pub use place::{ClaimPlace, InvalidClaimPlace};
pub use realms::RealmsState;
pub use settings::{
    ClientAuthentication, ClientCredentials, IntrospectionSettings, IssuerSettings, JwksSource, NoticeSettings,
    Profile, Reach, SettingsError, TenantNaming, Unfit,
};
pub use verify::{IsRegistered, Unheard, Verifier};
pub use wanted::{Form, ToldClaim};
