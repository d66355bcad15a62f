use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::trust::{Distrust, TrustPolicy, Trusted};
use crate::{Disproved, Hash, Note, leaf_hash, lines, verify_inclusion};

const VERSION: &str = "c2sp.org/tlog-proof@v1";

/// That an entry is in a log, to be verified without asking anybody (C2SP tlog-proof; files end with `.tlog-proof`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Whatever was put beside it. Nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// Where the entry is.
    pub index: u64,
    /// The proof of that.
    pub proof: Vec<Hash>,
    /// The checkpoint that it leads to.
    pub checkpoint: Note,
}

/// Why a text is not a receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a proof as `c2sp.org/tlog-proof@v1` has it")]
pub struct InvalidReceipt;

/// Why a receipt shows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotIncluded {
    /// The proof does not fit the entry and the checkpoint.
    #[error("the entry is not shown to be in the log")]
    Proof(#[from] Disproved),
    /// The checkpoint is not to be trusted.
    #[error("the checkpoint is not to be trusted")]
    Checkpoint(#[from] Distrust),
}

impl Receipt {
    /// Shows that this entry, byte for byte, is in a log that the policy trusts.
    ///
    /// # Errors
    /// It does not show that.
    pub fn verify<'p>(&self, entry: &[u8], policy: &'p TrustPolicy) -> Result<Trusted<'p>, NotIncluded> {
        let trusted = policy.judge(&self.checkpoint)?;
        let (size, root) = (trusted.checkpoint.size, trusted.checkpoint.root);
        verify_inclusion(leaf_hash(entry), self.index, size, &self.proof, root)?;
        Ok(trusted)
    }
}

impl FromStr for Receipt {
    type Err = InvalidReceipt;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('\n')).ok_or(InvalidReceipt)?;
        let parts = lines::split(text, |line| line.contains(' ')).ok_or(InvalidReceipt)?;
        let (extra, index) = match parts.head.as_slice() {
            [index] => (None, *index),
            [extra, index] => (Some(extra.strip_prefix("extra ").ok_or(InvalidReceipt)?), *index),
            _ => return Err(InvalidReceipt),
        };
        let extra = extra.map(|extra| STANDARD.decode(extra).map_err(|_| InvalidReceipt)).transpose()?;
        let index = lines::number(index, "index").ok_or(InvalidReceipt)?;
        let checkpoint = parts.note.parse().map_err(|_| InvalidReceipt)?;
        Ok(Self { extra, index, proof: parts.hashes, checkpoint })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extra, index, proof, checkpoint } = self;
        writeln!(f, "{VERSION}")?;
        if let Some(extra) = extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {index}")?;
        lines::write(f, proof, checkpoint)
    }
}
