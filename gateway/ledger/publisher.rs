use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use audit::{ReadError, Reader, Stored};
use rustix::fs::{FlockOperation, flock};
use tlog::{
    Bundle, Checkpoint, Growth, Hash, InvalidCheckpoint, Name, Note, Receipt, SigningKey, Untrusted, VerifierKey,
    WIDTH, leaf_hash, put_entry,
};

use crate::changes::{Change, Said};
use crate::files::{self, Durable};
use crate::folder::Folder;
use crate::guard::Guard;
use crate::keys::{Held, Keys, State};

/// So many records are taken up before a checkpoint is signed that covers them, even if more are waiting.
const AT_ONCE: usize = 200_000;

/// Which log is published, and as what.
#[derive(Debug)]
pub struct Settings {
    /// The folder of the log.
    pub log: PathBuf,
    /// Its id ([`audit::Reader::log_id`]).
    pub id: [u8; 16],
    /// Where the newest checkpoint is kept a second time.
    pub state: PathBuf,
    /// What signs. Their name is that of the log.
    pub keys: Keys,
}

/// Makes tiles, bundles and checkpoints of the records of a log. One process at a time does that for one log.
#[derive(Debug)]
pub struct Publisher {
    folder: Folder,
    guard: Guard,
    keys: Keys,
    /// The keys that the log says are retired, of those that there are.
    retired: Vec<VerifierKey>,
    /// What it says of keys, and of which there is no receipt yet.
    changes: Vec<(Stored, Said)>,
    /// The key whose record is in the tree, and which is to sign.
    named: Option<VerifierKey>,
    /// The last checkpoint, as it was signed.
    note: Option<Note>,
    reader: Reader,
    tree: Growth,
    /// The entries beside the tile of level 0 that is not full.
    bundle: Vec<u8>,
    published: Published,
    /// Keeps other publishers out.
    _lock: File,
}

/// What was signed last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Published {
    /// How many records.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// What there is to do for the keys of a log. It may be asked for again and again until it has come about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Due {
    /// The log is to say which key signs next, and who asked for it ([`audit::Note::KeyRotated`]).
    Announce {
        /// The key that signs.
        old: VerifierKey,
        /// The one that is to sign.
        new: VerifierKey,
        /// Which user asked for it, if it was not time.
        asked: Option<u32>,
    },
    /// The key file is to forget this key: the log says that it is retired.
    Forget(VerifierKey),
    /// The log is to say that a key is retired ([`audit::Note::KeyRetired`]).
    Retire {
        /// The key.
        old: VerifierKey,
        /// The one that signs.
        new: VerifierKey,
        /// The last checkpoint that both have signed, and every other key of that time.
        checkpoint: Note,
    },
    /// The key file is to say that this key signs: its record has a checkpoint that it has signed.
    TakeOver(VerifierKey),
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process is at it.
    #[error("another process publishes the log in `{}`", .0.display())]
    Busy(PathBuf),
    /// A checkpoint that was kept is not one, or is of another log.
    #[error("`{}` is not a checkpoint of this log", .0.display())]
    Checkpoint(PathBuf, #[source] NotOurs),
    /// The records are not those that were signed for.
    #[error(
        "the first {size} records of the log are not those that the checkpoint in `{}` was signed for: records were \
         changed, or the log is another one. Keep everything as it is, and find out why",
        path.display()
    )]
    Forked {
        /// How many records.
        size: u64,
        /// The checkpoint.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The first records are gone, so that the tree cannot be made again.
    #[error("the tiles are not whole, and cannot be made again: the log begins with record {0}")]
    Pruned(u64),
    /// The records cannot be read.
    #[error("the records cannot be read")]
    Read(#[from] ReadError),
    /// There are fewer records than were signed for.
    #[error(
        "the log has {records} records, and the checkpoint in `{}` was signed for {size}: it was cut off, or set back to \
         an earlier day. Put the right one back; if it is lost, move the folder of the log and this file away together, and \
         a new log begins",
        path.display()
    )]
    Shorter {
        /// How many there are.
        records: u64,
        /// For how many was signed.
        size: u64,
        /// Where.
        path: PathBuf,
    },
}

/// Why a checkpoint is not one of this log's.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// It does not read as one.
    #[error(transparent)]
    Invalid(#[from] InvalidCheckpoint),
    /// It is of a log of another name.
    #[error("it is of the log `{0}`")]
    Origin(Name),
    /// This log's key has not signed it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl LedgerError {
    /// Whether the log itself is at fault, and not only the disk: then nothing may be added to it any more.
    #[must_use]
    pub const fn is_of_the_log(&self) -> bool {
        match self {
            Self::Checkpoint(..) | Self::Forked { .. } | Self::Pruned(_) | Self::Shorter { .. } => true,
            Self::Read(
                ReadError::Damaged { .. } | ReadError::Foreign(_) | ReadError::Missing { .. } | ReadError::Order(_),
            ) => true,
            // A segment that is just being made, on a disk that is full, begins as none does.
            Self::Read(ReadError::Header(..) | ReadError::Io(..)) | Self::Busy(_) | Self::Io { .. } => false,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

impl Publisher {
    /// Takes up the log where its last checkpoint ends, once its records are shown to be those that were signed for.
    ///
    /// # Errors
    /// They are not, or another process is at it, or the disk fails.
    pub fn open(settings: Settings) -> Result<Self, LedgerError> {
        let Settings { log, id, state, keys } = settings;
        let (folder, guard) = (Folder::of(&log), Guard::of(&state, id));
        files::make_folder(folder.path()).map_err(LedgerError::io("make", folder.path()))?;
        let lock = lock(folder.path())?;

        let path = folder.checkpoint_path();
        let shown = folder.checkpoint().map_err(LedgerError::io("read", &path))?;
        let note = shown.clone();
        let shown = shown.map(|note| ours(&note, &keys, &path)).transpose()?;
        let kept = guard.last().map_err(LedgerError::io("read", guard.path()))?;
        let kept = kept.map(|note| ours(&note, &keys, guard.path())).transpose()?;

        let shown = shown.map(|checkpoint| (checkpoint, path.as_path()));
        let kept = kept.map(|checkpoint| (checkpoint, guard.path()));
        let size = shown.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size);
        let root = shown.as_ref().map_or_else(Hash::of_empty_tree, |(checkpoint, _)| checkpoint.root);
        let resumed = Growth::resume(&folder, size).ok().filter(|tree| tree.root() == root);
        // Tiles that are not whole are made again, all of them, and signed for again.
        let published = resumed.as_ref().map_or(0, |_| size);
        let note = note.filter(|_| resumed.is_some());
        let tree = resumed.unwrap_or_default();
        // Records of the last bundle are read again: they are needed, and shown to be those of the tile.
        let start = tree.size() - tree.size() % WIDTH;
        let mut reader = Reader::from(&log, start)?;
        reader.stop_at(size.max(kept.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size))); // what was signed for is durable
        let mut publisher = Self {
            folder,
            guard: guard.clone(),
            keys,
            retired: Vec::new(),
            changes: Vec::new(),
            named: None,
            note,
            reader,
            tree,
            bundle: Vec::new(),
            published: Published { size: published, root },
            _lock: lock,
        };
        publisher.refill(start, &path)?;
        let mut signed: Vec<_> = shown.into_iter().chain(kept).collect();
        signed.sort_by_key(|(checkpoint, _)| checkpoint.size);
        for (checkpoint, path) in signed {
            publisher.reach(&checkpoint, path)?;
        }
        Ok(publisher)
    }

    /// What was signed last.
    #[must_use]
    pub const fn published(&self) -> Published {
        self.published
    }

    /// Takes up what is new in the log, and signs a checkpoint for it, if there is anything new. `durable` is how many of its
    /// records are on disk for good: others may be cut off again, and written anew with other words. After an error it is to
    /// be opened again.
    ///
    /// # Errors
    /// The records cannot be read, or the disk fails. Nothing was signed then.
    pub fn publish(&mut self, durable: u64) -> Result<Published, LedgerError> {
        self.reader.stop_at(durable);
        loop {
            let mut taken = 0;
            while self.tree.size() < durable && taken < AT_ONCE {
                let Some(stored) = self.reader.next() else { break };
                self.take(&stored?)?;
                taken += 1;
            }
            if self.tree.size() > self.published.size {
                self.sign()?;
            }
            if taken < AT_ONCE {
                return Ok(self.published);
            }
        }
    }

    /// Puts the records of the last bundle into memory, each of which must be that of the tile.
    fn refill(&mut self, start: u64, path: &Path) -> Result<(), LedgerError> {
        let size = self.tree.size();
        let hashes: Vec<Hash> =
            self.tree.tips().find(|(tile, _)| tile.level == 0).map(|(_, hashes)| hashes.to_vec()).unwrap_or_default();
        for (index, hash) in (start..size).zip(hashes) {
            let stored = self.reader.next().transpose()?.filter(|stored| stored.index == index);
            let Some(stored) = stored else {
                return Err(LedgerError::Shorter { records: index, size, path: path.to_owned() });
            };
            if leaf_hash(&stored.json) != hash || !put_entry(&mut self.bundle, &stored.json) {
                return Err(LedgerError::Forked { size, path: path.to_owned() });
            }
        }
        Ok(())
    }

    /// Grows to where a checkpoint was signed, and finds the same root there.
    fn reach(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), LedgerError> {
        let size = checkpoint.size;
        while self.tree.size() < size {
            let records = self.tree.size();
            let stored = self.reader.next().transpose()?;
            let stored = stored.ok_or_else(|| LedgerError::Shorter { records, size, path: path.to_owned() })?;
            self.take(&stored)?;
        }
        let root = if self.tree.size() == size { Ok(self.tree.root()) } else { tlog::root(&self.folder, size) };
        if root.is_ok_and(|root| root == checkpoint.root) {
            Ok(())
        } else {
            Err(LedgerError::Forked { size, path: path.to_owned() })
        }
    }

    fn take(&mut self, stored: &Stored) -> Result<(), LedgerError> {
        if stored.index != self.tree.size() {
            return Err(LedgerError::Pruned(stored.index));
        }
        let folder = &self.folder;
        let failed = |source| LedgerError::Io { what: "write below", path: folder.path().to_owned(), source };
        if !put_entry(&mut self.bundle, &stored.json) {
            return Err(failed(io::Error::other("a record is too long for a bundle")));
        }
        let mut written = Ok(());
        self.tree.push(leaf_hash(&stored.json), |tile, hashes| {
            if written.is_ok() {
                written = folder.put_tile(tile, hashes);
            }
        });
        written.map_err(failed)?;
        if self.tree.size().is_multiple_of(WIDTH) {
            let bundle = Bundle { index: self.tree.size() / WIDTH - 1, width: 256 };
            folder.put_bundle(bundle, &self.bundle).map_err(failed)?;
            self.bundle.clear();
        }
        if let Some(said) = Said::of(&stored.json) {
            self.hear(stored.clone(), said);
        }
        Ok(())
    }

    fn hear(&mut self, stored: Stored, said: Said) {
        match &said {
            Said::Retired { old, .. } => self.retired.push(old.clone()),
            Said::Rotated { new, .. } => self.named = Some(new.clone()),
        }
        self.changes.push((stored, said));
    }

    /// Those whose time it is. ORDER: a key signs once its record is in the tree, and no tree that says that it is retired.
    fn signers(&self) -> impl Iterator<Item = &SigningKey> {
        let next = self.keys.next().map(Held::verifier);
        let is_named = |key: &VerifierKey| {
            self.named.as_ref() == Some(key) || self.note.as_ref().is_some_and(|note| note.names(key))
        };
        self.keys
            .all()
            .iter()
            .filter(move |held| next != Some(held.verifier()) || is_named(held.verifier()))
            .filter(|held| !self.retired.contains(held.verifier()))
            .map(|held| &held.key)
    }

    /// Other keys, or the same in other states. They take effect with the next checkpoint.
    pub fn hold(&mut self, keys: Keys) {
        self.keys = keys;
    }

    /// What there is to do for the keys, now that everything in the log is published. `overlap` is how long one that is replaced
    /// signs on.
    #[must_use]
    pub fn due(&self, now: u64, overlap: u64) -> Option<Due> {
        let note = self.note.as_ref()?;
        let signing = self.keys.signing().verifier();
        if let Some(next) = self.keys.next() {
            let (new, asked) = (next.verifier().clone(), next.asked());
            return Some(if note.names(&new) {
                Due::TakeOver(new)
            } else {
                Due::Announce { old: signing.clone(), new, asked }
            });
        }
        self.keys.retiring().find_map(|held| {
            let old = held.verifier();
            if !note.names(old) {
                return Some(Due::Forget(old.clone()));
            }
            let over = held.state() == State::Leaving || now >= held.since().saturating_add(overlap);
            over.then(|| Due::Retire { old: old.clone(), new: signing.clone(), checkpoint: note.clone() })
        })
    }

    /// Keeps a receipt of each change of the key, as soon as a checkpoint covers it that shows what it must show.
    fn keep_changes(&mut self, note: &Note) -> Result<(), LedgerError> {
        let size = self.tree.size();
        let mut left = Vec::new();
        let last: Vec<(VerifierKey, Note)> = self
            .changes
            .iter()
            .filter_map(|(_, said)| match said {
                Said::Retired { old, checkpoint, .. } => Some((old.clone(), checkpoint.clone())),
                Said::Rotated { .. } => None,
            })
            .collect();
        for (stored, said) in std::mem::take(&mut self.changes) {
            if self.folder.has_change(stored.index) {
                continue;
            }
            // Where all of it is made again, the old key is not there any more; what it has signed is in the log.
            let vouching = match &said {
                Said::Retired { new, .. } => new,
                Said::Rotated { old, .. } => old,
            };
            let checkpoint = if note.names(vouching) {
                Some(note)
            } else {
                last.iter().find(|(key, _)| key == vouching).map(|(_, note)| note)
            };
            let covered = checkpoint.and_then(|note| Checkpoint::of(note).ok().map(|it| (note, it.size)));
            match covered.filter(|(_, of)| (stored.index + 1..=size).contains(of)) {
                Some((note, of)) => {
                    let below = self.folder.path().to_owned();
                    let unread = |error| LedgerError::io("read below", &below)(io::Error::other(error));
                    let proof = tlog::inclusion(&self.folder, stored.index, of).map_err(unread)?;
                    let receipt = Receipt { extra: None, index: stored.index, proof, checkpoint: note.clone() };
                    let change = Change::of(stored.json, said, receipt);
                    self.folder.put_change(&change).map_err(LedgerError::io("write below", &below))?;
                }
                None => left.push((stored, said)),
            }
        }
        self.changes = left;
        Ok(())
    }

    fn sign(&mut self) -> Result<(), LedgerError> {
        let (size, root) = (self.tree.size(), self.tree.root());
        let below = self.folder.path();
        for (tile, hashes) in self.tree.tips() {
            self.folder.put_tile(tile, hashes).map_err(LedgerError::io("write below", below))?;
        }
        if let Some(bundle) = Bundle::in_tree(size / WIDTH, size) {
            self.folder.put_bundle(bundle, &self.bundle).map_err(LedgerError::io("write below", below))?;
        }
        files::sync_all_of(below).map_err(LedgerError::io("bring to disk", below))?;
        let origin = self.keys.signing().verifier().name().clone();
        let text = Checkpoint { origin, size, root }.to_string();
        let mut signed = self.keys.signing().sign(&text);
        self.signers().map(|key| key.signature(&text)).for_each(|line| signed.add(line));
        let note = signed.to_string();
        // ORDER: tiles, then the guard, then the checkpoint: nobody sees one that we could forget, or that lacks a tile.
        self.guard.advance(&note).map_err(LedgerError::io("write", self.guard.path()))?;
        self.keep_changes(&signed)?;
        let path = self.folder.checkpoint_path();
        files::replace(&path, note.as_bytes(), Durable::Now).map_err(LedgerError::io("write", &path))?;
        (self.published, self.note) = (Published { size, root }, Some(signed));
        Ok(())
    }
}

fn lock(folder: &Path) -> Result<File, LedgerError> {
    let file = File::open(folder).map_err(LedgerError::io("open", folder))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Busy(folder.to_owned())),
        Err(error) => Err(LedgerError::io("lock", folder)(error.into())),
    }
}

/// What a note of ours says.
fn ours(note: &Note, keys: &Keys, path: &Path) -> Result<Checkpoint, LedgerError> {
    let read = || -> Result<Checkpoint, NotOurs> {
        let checkpoint = Checkpoint::of(note)?;
        if checkpoint.origin != *keys.signing().verifier().name() {
            return Err(NotOurs::Origin(checkpoint.origin));
        }
        note.verify(keys.all().iter().map(Held::verifier))?;
        Ok(checkpoint)
    };
    read().map_err(|why| LedgerError::Checkpoint(path.to_owned(), why))
}
