//! Text → tree → serde types, so that one bad entry does not hide what is wrong with the next.
//!
//! serde stops at the first mistake. So the text becomes a [`Node`] tree first, and each entry of a section is read off
//! the tree by itself; a value that wants to know where it stands is an [`At`].

mod at;
mod node;
mod read;

pub(crate) use at::{At, Pairs, Spot, Tried};
pub(crate) use node::{Kind, Node, parse};
pub(crate) use read::read;
