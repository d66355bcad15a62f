//! How the key of a log has changed, as the log itself shows it: whoever trusts one key of it can find out by nothing else
//! whom to trust today.
//!
//! `key.rotated` names the key that signs from then on. The old one has signed a tree that holds this record, and so vouches
//! for it. `key.retired` ends the old one: **no tree that holds this record is signed by the old one**, whoever has it by then.
//! Of both there is a receipt (C2SP tlog-proof, the record in its `extra` line) in `tlog/keys`.

use std::io;
use std::path::{Path, PathBuf};

use audit::Row;
use tlog::{Checkpoint, Note, Receipt, TrustPolicy, VerifierKey, leaf_hash, verify_inclusion};

use crate::Folder;
use crate::files::{self, Durable};

/// What the files of receipts end with.
const SUFFIX: &str = ".tlog-proof";

/// What a record says of the keys of its log.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A key is retired.
    Retired {
        old: VerifierKey,
        new: VerifierKey,
        /// The last checkpoint that both had signed.
        checkpoint: Note,
    },
    /// A key signs from then on.
    Rotated { old: VerifierKey, new: VerifierKey },
}

impl Said {
    /// Nothing, if it is about something else.
    pub(crate) fn of(record: &[u8]) -> Option<Self> {
        // The log's own records begin with their kind, and nobody else's can.
        if !record.starts_with(br#"{"v":1,"kind":"key."#) {
            return None;
        }
        let row = Row::parse(record).ok().filter(|row| row.of == Some("log"))?;
        let (old, new): (VerifierKey, VerifierKey) =
            (row.old_key.as_ref()?.parse().ok()?, row.new_key.as_ref()?.parse().ok()?);
        if old == new || old.name() != new.name() {
            return None;
        }
        match row.kind? {
            "key.retired" => Some(Self::Retired { old, new, checkpoint: row.checkpoint?.parse().ok()? }),
            "key.rotated" => Some(Self::Rotated { old, new }),
            _ => None,
        }
    }

    /// Whose signatures its receipt has, and no others.
    pub(crate) fn signers(&self) -> Vec<&VerifierKey> {
        match self {
            Self::Retired { new, .. } => vec![new],
            Self::Rotated { old, new } => vec![old, new],
        }
    }
}

/// A record about the keys of its log, and what shows that it is in there.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) record: Vec<u8>,
    pub(crate) said: Said,
    pub(crate) receipt: Receipt,
    /// The same as text.
    text: String,
}

impl Change {
    pub(crate) fn of(record: Vec<u8>, said: Said, mut receipt: Receipt) -> Self {
        receipt.extra = Some(record.clone());
        receipt.checkpoint = receipt.checkpoint.signed_only_by(&said.signers());
        let text = receipt.to_string();
        Self { record, said, receipt, text }
    }

    fn read(text: String) -> Option<Self> {
        let receipt: Receipt = text.parse().ok()?;
        let record = receipt.extra.clone()?;
        let said = Said::of(&record)?;
        Some(Self { record, said, receipt, text })
    }

    /// Whether this key shows by its signature that the record is in its log. Answers how large the tree was.
    fn signed_by(&self, key: &VerifierKey) -> Option<u64> {
        let Checkpoint { origin, size, root } = Checkpoint::of(&self.receipt.checkpoint).ok()?;
        if origin != *key.name() {
            return None;
        }
        self.receipt.checkpoint.verify(std::iter::once(key)).ok()?;
        verify_inclusion(leaf_hash(&self.record), self.receipt.index, size, &self.receipt.proof, root).ok()?;
        Some(size)
    }

    /// Whether it is, byte for byte, what it must be beside these tiles.
    pub(crate) fn fits(&self, index: u64, folder: &Folder) -> bool {
        let signers = self.said.signers();
        let note = &self.receipt.checkpoint;
        let is_of_tree =
            Checkpoint::of(note).is_ok_and(|said| tlog::root(folder, said.size).is_ok_and(|root| root == said.root));
        is_of_tree
            && self.receipt.index == index
            && self.text == self.receipt.to_string()
            && note.signatures().len() == signers.len()
            && signers.into_iter().all(|key| self.signed_by(key).is_some())
    }
}

/// A file of `tlog/keys`.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) index: u64,
    text: String,
    /// Nothing, if it is not what it should be.
    pub(crate) change: Option<Change>,
}

/// All that is kept of how the key of a log has changed. Nothing of it is to be believed before it is followed.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges(Vec<Kept>);

impl KeyChanges {
    /// Those beside the log in this folder.
    ///
    /// # Errors
    /// They cannot be read. That there are none is none.
    pub fn of(log: &Path) -> io::Result<Self> {
        Self::read(&Folder::of(log).keys_path())
    }

    /// Those in this folder.
    ///
    /// # Errors
    /// They cannot be read. That there are none is none.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut kept = Vec::new();
        for name in files::names_in(folder)? {
            let index = name.strip_suffix(SUFFIX).and_then(|index| index.parse::<u64>().ok());
            let Some(index) = index.filter(|index| self::name(*index) == name) else { continue };
            let Some(bytes) = files::read_if_there(&folder.join(&name))? else { continue };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            kept.push(Kept { index, change: Change::read(text.clone()), text });
        }
        kept.sort_by_key(|kept| kept.index);
        Ok(Self(kept))
    }

    /// Writes them into another folder, which is made if there are any.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn copy_to(&self, folder: &Path) -> io::Result<()> {
        self.0
            .iter()
            .try_for_each(|kept| files::replace(&folder.join(name(kept.index)), kept.text.as_bytes(), Durable::Later))
    }

    /// Each with the name of its file and its text.
    pub fn texts(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|kept| (name(kept.index), kept.text.as_str()))
    }

    /// Whom to trust, if this is whom to trust at first: the keys that those have vouched for by their signatures, one by the
    /// other; and each only up to where it was retired.
    #[must_use]
    pub fn follow(&self, policy: TrustPolicy) -> TrustPolicy {
        let changes = self.0.iter().filter_map(|kept| kept.change.as_ref());
        changes.fold(policy, |policy, change| match &change.said {
            Said::Rotated { old, new } => {
                let most = policy.most(old);
                let vouches = policy.logs().contains(old)
                    && change.signed_by(old).is_some_and(|size| most.is_none_or(|most| size <= most));
                if vouches { policy.and(new.clone()) } else { policy }
            }
            Said::Retired { old, new, .. } => {
                let knows = policy.logs().contains(old) && policy.logs().contains(new);
                if knows && change.signed_by(new).is_some() {
                    policy.retiring(old, change.receipt.index)
                } else {
                    policy
                }
            }
        })
    }

    pub(crate) fn kept(&self) -> &[Kept] {
        &self.0
    }
}

fn name(index: u64) -> String {
    format!("{index}{SUFFIX}")
}

impl Folder {
    /// Where it is kept how the key has changed.
    #[must_use]
    pub fn keys_path(&self) -> PathBuf {
        self.path().join("keys")
    }

    /// What a file there is called, seen from the folder.
    pub(crate) fn change_name(index: u64) -> String {
        format!("keys/{}", name(index))
    }

    pub(crate) fn has_change(&self, index: u64) -> bool {
        self.keys_path().join(name(index)).exists()
    }

    pub(crate) fn put_change(&self, change: &Change) -> io::Result<()> {
        files::replace(&self.keys_path().join(name(change.receipt.index)), change.text.as_bytes(), Durable::Now)
    }
}
