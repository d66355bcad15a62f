//! A transparency log: a Merkle tree that can only grow, and the proofs of it.
//!
//! *What it decides:* what the root of a tree is, whether a proof of inclusion (RFC 6962 §2.1.1) or of consistency
//! (§2.1.2) holds, whether a note was signed by whom it says (C2SP signed-note), and whether a checkpoint is to be
//! trusted ([`TrustPolicy`], C2SP tlog-policy).
//!
//! *What it must never do:* know what the entries mean, read a file, a clock or a socket, invent a format. Everything
//! that leaves it can be read by tools that other people wrote.
//!
//! *Who gives it what:* whoever keeps a log pushes the hash of each entry into a [`Growth`], puts the [`Tile`]s that come
//! out of it where the layout says (C2SP tlog-tiles), and signs a [`Checkpoint`]. Whoever proves something implements
//! [`Tiles`]. Whoever verifies needs the bytes of the entry, a [`Receipt`] and a [`TrustPolicy`], and nothing of us.
//!
//! *How to add a kind of signature:* a variant of [`KeyKind`] with its byte, and the arms that the compiler then asks for.
//!
//! ```
//! use tlog::{Checkpoint, Growth, Receipt, SigningKey, TrustPolicy, leaf_hash, inclusion};
//!
//! let key = SigningKey::generate("log.example/audit".parse()?)?;
//! let entries = ["one", "two", "three"];
//! let mut tiles = std::collections::HashMap::new();
//! let mut tree = Growth::default();
//! for entry in entries {
//!     tree.push(leaf_hash(entry.as_bytes()), |tile, hashes| drop(tiles.insert(tile, hashes.to_vec())));
//! }
//! tree.tips().for_each(|(tile, hashes)| drop(tiles.insert(tile, hashes.to_vec())));
//! let checkpoint = Checkpoint { origin: "log.example/audit".parse()?, size: tree.size(), root: tree.root() };
//!
//! let receipt = Receipt {
//!     extra: None,
//!     index: 1,
//!     proof: inclusion(&tiles, 1, tree.size())?,
//!     checkpoint: key.sign(&checkpoint.to_string()),
//! };
//! let policy: TrustPolicy = format!("log {}\nquorum none\n", key.verifier()).parse()?;
//! let receipt: Receipt = receipt.to_string().parse()?;
//! assert_eq!(receipt.verify(b"two", &policy)?.checkpoint, checkpoint);
//! assert!(receipt.verify(b"too", &policy).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bundle;
mod checkpoint;
mod growth;
mod hash;
mod key;
mod lines;
mod name;
mod note;
mod proof;
mod receipt;
mod stored;
#[cfg(test)]
mod tests;
mod tile;
mod trust;
mod witness;

pub use bundle::{ENTRY_MAX, InvalidBundle, entries, put_entry};
pub use checkpoint::{Checkpoint, InvalidCheckpoint};
pub use growth::{Growth, ResumeError};
pub use hash::{Hash, InvalidHash, leaf_hash, node_hash};
pub use key::{InvalidKey, KeyId, KeyKind, SigningKey, Unsignable, VerifierKey};
pub use name::{InvalidName, Name};
pub use note::{InvalidNote, Note, Signature, Signed, Untrusted};
pub use proof::{Disproved, verify_consistency, verify_inclusion};
pub use receipt::{InvalidReceipt, NotIncluded, Receipt};
pub use stored::{ProofError, Tiles, consistency, inclusion, root};
pub use tile::{Bundle, InvalidTile, Tile, WIDTH};
pub use trust::{Distrust, InvalidPolicy, TrustPolicy, Trusted};
pub use witness::{AddCheckpoint, Head, InvalidRequest, NotWitnessed, judge};
