//! Signed sets of files: who may say what is allowed, and that nobody brings back what was allowed once.
//!
//! *What it decides:* whether a set of files is the one that somebody signed whose key is known, and whether it is newer than the
//! one before. The files stay as they are, in any folder and any repository; beside them lies [`FILE`], a signed note (C2SP
//! signed-note, Ed25519) that names each of them with its SHA-256, and a version that only rises.
//!
//! *What it must never do:* read a file, or believe a name. Whoever calls says what the files hold; the bytes that are looked at
//! here are the bytes that are used.
//!
//! *Who gives it what:* `cli` reads folders, keeps the last version in the state folder, and signs with `cloister bundle sign`.
//!
//! ```
//! use bundle::{Manifest, verify};
//! use tlog::SigningKey;
//!
//! let key = SigningKey::generate("policies.example.com".parse()?)?;
//! let files = [("roles.yaml", "roles: {}\n"), ("routes.yaml", "routes: []\n")];
//! let note = Manifest::of(7, files)?.sign(&key).to_string();
//! let verified = verify(&note, [key.verifier()].into_iter(), files)?;
//! assert_eq!(verified.version, 7);
//! assert!(verify(&note, [key.verifier()].into_iter(), [("roles.yaml", "roles: {}\n")]).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod floor;
mod manifest;
mod sum;

pub use floor::{Floor, NotNewer, UnreadableFloor};
pub use manifest::{InvalidManifest, Manifest, NotSigned, Verified, verify};
pub use sum::{InvalidSum, Sum};

/// What the note is called that lies beside the files.
pub const FILE: &str = "bundle.note";
