use std::io;
use std::path::Path;

use tlog::{Checkpoint, Disproved, Hash, InvalidCheckpoint, Note, ProofError, Receipt, inclusion, verify_inclusion};

use crate::Folder;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum NoProof {
    /// The checkpoint cannot be read.
    #[error("the checkpoint of the log cannot be read")]
    Checkpoint(#[source] io::Error),
    /// There is none.
    #[error("the log has no checkpoint yet")]
    None,
    /// It is something else.
    #[error("the checkpoint of the log is none")]
    Invalid(#[from] InvalidCheckpoint),
    /// The record is not in it yet.
    #[error("record {index} is not in the checkpoint yet, which has {size}; a newer one comes within seconds")]
    Later {
        /// The record.
        index: u64,
        /// How many the checkpoint has.
        size: u64,
    },
    /// A tile is missing.
    #[error("the tiles of the log cannot be read")]
    Tiles(#[from] ProofError<io::Error>),
    /// The tiles lead somewhere else.
    #[error("the tiles of the log do not lead from record {0} to its checkpoint")]
    Wrong(u64, #[source] Disproved),
}

/// The proof that the record at this place, which has this hash, is in the log of this folder: by its newest checkpoint, and
/// only if it holds.
///
/// # Errors
/// There is none.
pub fn prove(log: &Path, index: u64, leaf: Hash) -> Result<Receipt, NoProof> {
    let folder = Folder::of(log);
    // One that witnesses have signed says more, if it has the record.
    let witnessed = folder.witnessed().map_err(NoProof::Checkpoint)?;
    let covers = |note: &Note| Checkpoint::of(note).is_ok_and(|checkpoint| index < checkpoint.size);
    let note: Note = match witnessed.filter(covers) {
        Some(note) => note,
        None => folder.checkpoint().map_err(NoProof::Checkpoint)?.ok_or(NoProof::None)?,
    };
    let Checkpoint { origin: _, size, root } = Checkpoint::of(&note)?;
    if index >= size {
        return Err(NoProof::Later { index, size });
    }
    let proof = inclusion(&folder, index, size)?;
    verify_inclusion(leaf, index, size, &proof, root).map_err(|why| NoProof::Wrong(index, why))?;
    Ok(Receipt { extra: None, index, proof, checkpoint: note })
}
