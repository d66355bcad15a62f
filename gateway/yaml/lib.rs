//! Text → tree → serde types, so that one bad entry does not hide what is wrong with the next.
//!
//! *What it decides:* whether a text is YAML of the plain kind that our files are written in, and where each value of it
//! stands. serde stops at the first mistake; so the text becomes a [`Node`] tree first, and each entry of a section is
//! read off the tree by itself. A value that wants to know where it stands is an [`At`].
//!
//! *What it must never do:* read a file; know what a section means; let a small text grow into a large tree.
//!
//! *Who gives it what:* `policy` and `cli` the texts of their files and the types of their sections.
//!
//! *How to add to it:* a new shape of section is a function in `section.rs`; the words for a mistake are in `read.rs`.
#![forbid(unsafe_code)]

mod at;
mod format;
mod node;
mod read;
mod section;
mod within;

pub use at::{At, Pairs, Spot, Tried};
pub use format::{Unformatted, format};
pub use node::{Kind, Node, parse};
pub use read::read;
pub use section::{Named, listed, named, sections, unknown_section};
pub use within::within;
