use std::fmt;
use std::str::FromStr;

use crate::{Checkpoint, Hash, Note, VerifierKey, lines, verify_consistency};

/// What a log asks a witness (C2SP tlog-witness, `add-checkpoint`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// How large the log was when the witness saw it last.
    pub old: u64,
    /// That the tree of then is the beginning of that of now.
    pub proof: Vec<Hash>,
    /// The log as it is now.
    pub checkpoint: Note,
}

/// How a witness saw a log last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a text is not what a log asks a witness.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the body is `old <size>`, up to 63 hashes, an empty line and a checkpoint")]
pub struct InvalidRequest;

/// Why a witness does not sign. [`NotWitnessed::status`] is what HTTP says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotWitnessed {
    /// The log was this large when it was seen last, and not as large as the request says.
    #[error("the log had {0} entries when it was seen last")]
    Conflict(u64),
    /// Two different trees of one size: the log shows different things to different people.
    #[error("the log has shown another tree of this size ({0} entries)")]
    Fork(u64),
    /// The body is not as it must be.
    #[error("the checkpoint, or the size before it, is not as it must be")]
    Malformed,
    /// None of the keys of the log has signed it.
    #[error("no key of the log has signed the checkpoint")]
    Signature,
    /// The new tree does not go on from the old one, or that is not shown.
    #[error("the tree is not shown to go on from that which was seen last")]
    Inconsistent,
    /// This log is not known here.
    #[error("the log is not known here")]
    Unknown,
}

impl NotWitnessed {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Signature => 403,
            Self::Unknown => 404,
            Self::Conflict(_) | Self::Fork(_) => 409,
            Self::Inconsistent => 422,
        }
    }
}

/// Whether a witness that knows these keys of logs, and has seen a log so, signs what it is asked. Between this and the
/// writing down of the new head nobody else may come in, and nothing is signed before it is written down.
///
/// # Errors
/// It does not, and why.
pub fn judge<'k>(
    request: &AddCheckpoint,
    keys: impl Iterator<Item = &'k VerifierKey> + Clone,
    seen: impl FnOnce(&Checkpoint) -> Option<Head>,
) -> Result<Checkpoint, NotWitnessed> {
    let checkpoint = Checkpoint::of(&request.checkpoint).map_err(|_| NotWitnessed::Malformed)?;
    let of_log = keys.filter(|key| *key.name() == checkpoint.origin);
    if of_log.clone().next().is_none() {
        return Err(NotWitnessed::Unknown);
    }
    request.checkpoint.verify(of_log).map_err(|_| NotWitnessed::Signature)?;
    if request.old > checkpoint.size {
        return Err(NotWitnessed::Malformed);
    }
    let seen = seen(&checkpoint).filter(|head| head.size > 0);
    let size = seen.map_or(0, |head| head.size);
    if request.old != size {
        return Err(NotWitnessed::Conflict(size));
    }
    let Some(seen) = seen else {
        // What is seen for the first time goes on from nothing.
        return if request.proof.is_empty() { Ok(checkpoint) } else { Err(NotWitnessed::Inconsistent) };
    };
    if size == checkpoint.size && seen.root != checkpoint.root {
        return Err(NotWitnessed::Fork(size));
    }
    verify_consistency((size, seen.root), (checkpoint.size, checkpoint.root), &request.proof)
        .map_err(|_| NotWitnessed::Inconsistent)?;
    Ok(checkpoint)
}

impl FromStr for AddCheckpoint {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = lines::split(text, |line| line.contains(' ')).ok_or(InvalidRequest)?;
        let [old] = parts.head.as_slice() else { return Err(InvalidRequest) };
        let old = lines::number(old, "old").ok_or(InvalidRequest)?;
        let checkpoint = parts.note.parse().map_err(|_| InvalidRequest)?;
        Ok(Self { old, proof: parts.hashes, checkpoint })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        lines::write(f, &self.proof, &self.checkpoint)
    }
}
