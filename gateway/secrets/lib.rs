//! Where secrets come from, and how they are kept from going anywhere else.
//!
//! *What it decides:* that a setting which should hold a secret names a file, an environment variable or a place in Vault instead
//! ([`Reference`]); that the file is regular, ours, and closed to everybody else; that the value is neither empty nor
//! larger than 64 KiB.
//!
//! *What it must never do:* print, log or serialise a secret, or repeat in an error what was written where a reference
//! should stand, since that may be the secret itself. A [`Secret`] has no `Display`, no `Clone` and no `Serialize`, its
//! `Debug` shows nothing, and its memory is overwritten when it is dropped.
//!
//! *Who gives it what:* the settings of other parts hold a [`Reference`]; `cli` calls [`resolve`] with the
//! [`ProcessEnvironment`], tests with a map. Parts that keep private keys of their own use [`read_private`] and
//! [`create_private`] and [`update_private`], so that the rules for such files stand in one place.
//!
//! What is made of a secret is [`Kept`] by whoever needs it, and [`Followed`] makes it anew when the secret changes while the
//! gateway runs. What cannot be used changes nothing.
//!
//! *How to add a setting that is a secret:* `Compiler::kept` in `cli` with its name and what is made of it. A value that cannot
//! change while the gateway runs is pinned ([`Followed::pin`]), and `config/cloister.yaml` says why.
//!
//! *How to add a place where secrets come from:* a variant of [`Reference`] with its spelling in `reference.rs`, an arm
//! in `resolve.rs`, its failures with their remedies in [`SecretError`], and a test for each failure.
//!
//! *How to add a use of a root secret:* a [`Purpose`], whose words no other has. No key serves two purposes.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! let reference: secrets::Reference = "${env:BILLING_KEY}".parse()?;
//! let environment = BTreeMap::from([("BILLING_KEY".to_owned(), "correct horse".to_owned())]);
//! let secret = secrets::resolve(&reference, &environment)?;
//! assert_eq!(secret.expose(), b"correct horse");
//! assert_eq!(format!("{secret:?}"), "Secret(***)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod derive;
mod environment;
mod followed;
mod kept;
mod private;
mod reference;
mod resolve;
mod secret;
mod update;
mod vault_place;

pub use derive::{Purpose, derive};
pub use environment::{Environment, ProcessEnvironment};
pub use followed::{Condition, Followed, Outcome, Turn, Unfit, Use};
pub use kept::Kept;
pub use private::{PrivateFileError, create_private, read_private};
pub use reference::{InvalidReference, Reference};
pub use resolve::{SecretError, accept, resolve};
pub use secret::Secret;
pub use update::{UpdateError, update_private};
pub use vault_place::VaultPlace;

/// The largest secret, in bytes. A key chain in PEM stays well below; what is larger is the wrong file.
pub const MAX: usize = 64 * 1024;
