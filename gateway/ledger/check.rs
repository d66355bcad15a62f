use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use audit::{ReadError, Reader, Stored};
use tlog::{
    Bundle, Checkpoint, Distrust, Growth, Hash, Note, ProofError, ResumeError, Tile, Tiles as _, TrustPolicy, WIDTH,
    consistency, leaf_hash, put_entry, verify_consistency,
};

use crate::changes::Said;
use crate::guard::Guard;
use crate::{Folder, KeyChanges};

/// So many differences are listed; more are counted.
const LISTED: usize = 1_000;

/// How often the edge of a log that grows is looked at, until it stands still or is as it must be.
const ROUNDS: u32 = 20;

/// Where checkpoints are kept besides, as messages say it.
const KEPT: &str = "that was kept";
const GUARD: &str = "in the state folder";

/// What a comparison of the records of a log with its tiles, its bundles and its checkpoint has shown.
#[derive(Debug, Default)]
pub struct Checked {
    /// What the checkpoint says, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Who has signed it, of those whom the policy names.
    pub signed_by: Vec<String>,
    /// How often the key has changed since the one that was trusted at first: each has vouched for the next.
    pub keys_followed: u64,
    /// The first record that was read, if what comes before it was shown by the tiles alone.
    pub read_from: Option<u64>,
    /// How many records there are.
    pub records: u64,
    /// Tiles and bundles that were looked at.
    pub files: u64,
    /// What is wrong, the first thousand.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
}

/// What a log is compared with, besides its own records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Against<'a> {
    /// Whom to trust.
    pub policy: Option<&'a TrustPolicy>,
    /// A checkpoint that somebody has kept. What it covers is not read again: that it is still the beginning of the log is
    /// shown by the tiles.
    pub kept: Option<&'a Note>,
    /// The newest checkpoint as it lies in the state folder ([`guarded`]).
    pub guard: Option<&'a Note>,
}

/// Something that is not as the records say.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// The checkpoint is not to be trusted.
    #[error("the checkpoint is not to be trusted")]
    Checkpoint(#[source] Distrust),
    /// A tile does not have the hashes of the records, a bundle not the records, or a receipt does not show what it must.
    #[error("`tlog/{0}` is not what the records make of it")]
    Content(String),
    /// The log does not go on from a checkpoint that is kept in another place.
    #[error(
        "the log does not go on from the checkpoint of {size} records {place}: what it covers was changed, or it is another log"
    )]
    Forked {
        /// How many records it has.
        size: u64,
        /// Where it was kept.
        place: &'static str,
    },
    /// A file belongs to no tree that these records make.
    #[error("`{}` does not belong there", .0.display())]
    Foreign(PathBuf),
    /// A tile or bundle is not there.
    #[error("`tlog/{0}` is missing; move `tlog` away and restart the gateway: it is made again of the records")]
    Missing(String),
    /// The records do not lead to the checkpoint.
    #[error("the first {size} records have the root {found}, and the checkpoint says {signed}: records were changed")]
    Root {
        /// How many.
        size: u64,
        /// What they lead to.
        found: Hash,
        /// What was signed.
        signed: Hash,
    },
    /// A checkpoint that is kept in another place is not one of this log.
    #[error("the checkpoint {place} is not one of this log")]
    Stranger {
        /// Where it was kept.
        place: &'static str,
        /// Why not, if it is not just another name.
        source: Option<Distrust>,
    },
    /// There are fewer records than were signed for.
    #[error("there are {records} records, and the checkpoint was signed for {size}: records are missing at the end")]
    Shorter {
        /// How many there are.
        records: u64,
        /// How many were signed for.
        size: u64,
    },
    /// There is no checkpoint, and one was to be trusted.
    #[error("there is no checkpoint, so nothing shows that these are the records that were signed for")]
    Unsigned,
    /// The tiles do not show that the log goes on from the checkpoint that was kept.
    #[error("the tiles do not show what came before the checkpoint that was kept")]
    Unproven(#[source] ProofError<io::Error>),
    /// A tile or bundle cannot be read.
    #[error("`tlog/{0}` cannot be read")]
    Unread(String, #[source] io::Error),
}

/// Makes the tree of the records of a log again, and compares it with everything that was published. With a policy, the
/// checkpoint must be there, and trusted by it. Without both there is nothing to compare with.
///
/// # Errors
/// The records or the checkpoint cannot be read at all.
pub fn check(log: &Path, policy: Option<&TrustPolicy>) -> Result<Checked, ReadError> {
    check_against(log, Against { policy, ..Against::default() })
}

/// The newest checkpoint of the log with this id as it lies in this state folder, if it does.
///
/// # Errors
/// It cannot be read, or is not a note.
pub fn guarded(state: &Path, log: [u8; 16]) -> io::Result<Option<Note>> {
    Guard::of(state, log).last()
}

/// The same as [`check`], and compares the log with checkpoints that are kept in other places, too.
///
/// # Errors
/// The records or the checkpoint cannot be read at all.
pub fn check_against(log: &Path, against: Against<'_>) -> Result<Checked, ReadError> {
    let Against { policy, kept, guard } = against;
    let folder = Folder::of(log);
    let path = folder.checkpoint_path();
    let mut note = folder.checkpoint().map_err(|error| ReadError::Io(path.clone(), error))?;
    // Where witnesses must have signed, the newest checkpoint need not have them all yet: the one that has them is compared.
    let changes = KeyChanges::of(log).map_err(|error| ReadError::Io(folder.keys_path(), error))?;
    let trusted_at_first = policy.map_or(0, |policy| policy.logs().len());
    let policy = policy.map(|policy| changes.follow(policy.clone()));
    let policy = policy.as_ref();
    let lacks = |note: &Note| policy.is_some_and(|policy| policy.judge(note).err() == Some(Distrust::Quorum));
    if note.as_ref().is_some_and(lacks) {
        let witnessed = folder.witnessed().map_err(|error| ReadError::Io(path.clone(), error))?;
        note = witnessed.or(note);
    }
    let invalid = |error| ReadError::Io(path.clone(), io::Error::new(io::ErrorKind::InvalidData, error));
    let checkpoint = note.as_ref().map(Checkpoint::of).transpose().map_err(invalid)?;
    let keys_followed = policy.map_or(0, |policy| policy.logs().len() - trusted_at_first) as u64;
    let mut checked = Checked { checkpoint, keys_followed, ..Checked::default() };
    let (Some(note), Some(checkpoint)) = (note, checked.checkpoint.clone()) else {
        if policy.is_some() {
            checked.differs(Difference::Unsigned); // FAIL CLOSED: who takes the checkpoint away has shown nothing
        }
        return Ok(checked);
    };
    match policy.map(|policy| policy.judge(&note)) {
        Some(Ok(trusted)) => {
            checked.signed_by = trusted.by.iter().map(|signed| signed.key.name().to_string()).collect();
            checked.signed_by.dedup(); // of one name, where two keys of the log sign
        }
        Some(Err(distrust)) => checked.differs(Difference::Checkpoint(distrust)),
        None => {}
    }
    let mut elsewhere = Vec::new();
    for (note, place) in kept.map(|note| (note, KEPT)).into_iter().chain(guard.map(|note| (note, GUARD))) {
        match of_this_log(note, &checkpoint, policy.filter(|_| place == KEPT), place) {
            Ok(known) => elsewhere.push((known, place)),
            Err(difference) => checked.differs(difference),
        }
    }
    let watched = elsewhere.iter().map(|(known, _)| known.size).chain([checkpoint.size]).collect();
    let mut comparing = Comparing::new(&folder, checkpoint.size);
    let known = elsewhere.iter().find(|(_, place)| *place == KEPT).map(|(known, _)| known);
    // What a pruned log still has of what was kept, is read as of any pruned log.
    let first = Reader::first_index(log)?.unwrap_or(0);
    let start = known.map(|known| known.size.min(checkpoint.size) / WIDTH * WIDTH).filter(|start| *start >= first);
    let taken_up = match start {
        Some(start) => Records::from(log, start, &folder, checkpoint.size, watched)?,
        None => Ok(Records::of(log, checkpoint.size, watched)?),
    };
    let mut all = match taken_up {
        Ok(all) => all,
        Err(unproven) => {
            checked.differs(Difference::Unproven(unproven));
            return Ok(checked);
        }
    };
    checked.read_from = start;
    if let Some(known) = known.filter(|known| (1..=checkpoint.size).contains(&known.size)) {
        match consistency(&folder, known.size, checkpoint.size) {
            Ok(proof) => {
                let (older, newer) = ((known.size, known.root), (checkpoint.size, checkpoint.root));
                if verify_consistency(older, newer, &proof).is_err() {
                    checked.differs(Difference::Forked { size: known.size, place: KEPT });
                }
            }
            Err(unproven) => checked.differs(Difference::Unproven(unproven)),
        }
    }
    if start.is_none() && !all.take_pruned(&folder, &mut comparing)? {
        comparing.differences.into_iter().for_each(|difference| checked.differs(difference));
        return Ok(checked);
    }
    all.read_on(&mut comparing)?;
    let mut edge = all.compare_edge(&folder, checkpoint.size);
    for _ in 0..ROUNDS {
        // Where the gateway is at it, what is published may be of records that came after those that were read.
        if edge.differences.is_empty() || !all.read_on(&mut comparing)? {
            break;
        }
        edge = all.compare_edge(&folder, checkpoint.size);
    }
    comparing.key_changes(&changes, &all);
    checked.records = all.tree.size();
    checked.files = comparing.files + edge.files;
    comparing.differences.into_iter().chain(edge.differences).for_each(|difference| checked.differs(difference));
    for (known, place) in elsewhere {
        // One that ends before what was read is in the tiles, which lead to what was signed.
        let before = start.filter(|start| known.size < *start).and_then(|_| tlog::root(&folder, known.size).ok());
        match before.or_else(|| all.root(known.size)) {
            Some(found) if found == known.root => {}
            Some(_) => checked.differs(Difference::Forked { size: known.size, place }),
            None => checked.differs(Difference::Shorter { records: checked.records, size: known.size }),
        }
    }
    let size = checkpoint.size;
    match all.root(size) {
        Some(found) if found == checkpoint.root => {}
        Some(found) => checked.differs(Difference::Root { size, found, signed: checkpoint.root }),
        None => checked.differs(Difference::Shorter { records: checked.records, size }),
    }
    Ok(checked)
}

/// The records of a log, and the tree that they make.
struct Records {
    log: PathBuf,
    reader: Reader,
    tree: Growth,
    bundle: Entries,
    /// How large the checkpoint is.
    size: u64,
    /// The roots of the tree when it was so large.
    watched: BTreeMap<u64, Option<Hash>>,
    /// The first that is read.
    first: u64,
    /// Those that say how the key of the log has changed.
    of_keys: Vec<Stored>,
}

impl Records {
    fn of(log: &Path, size: u64, watched: Vec<u64>) -> Result<Self, ReadError> {
        let (reader, tree, bundle) = (Reader::open(log)?, Growth::default(), Entries::default());
        let watched = watched.into_iter().map(|size| (size, None)).collect();
        Ok(Self { log: log.to_owned(), reader, tree, bundle, size, watched, first: 0, of_keys: Vec::new() })
    }

    /// From this record on, which begins a tile: what comes before it is what the tiles say.
    fn from(
        log: &Path,
        start: u64,
        folder: &Folder,
        size: u64,
        watched: Vec<u64>,
    ) -> Result<Result<Self, ProofError<io::Error>>, ReadError> {
        let of = Self::of(log, size, watched)?;
        let reader = Reader::from(log, start)?;
        Ok(match Growth::resume(folder, start) {
            Ok(tree) => Ok(Self { reader, tree, first: start, ..of }),
            Err(ResumeError::Edge(why)) => Err(why),
        })
    }

    fn push(&mut self, leaf: Hash, comparing: &mut Comparing<'_>) {
        if let Some(root) = self.watched.get_mut(&self.tree.size()) {
            *root = Some(self.tree.root());
        }
        self.tree.push(leaf, |tile, hashes| comparing.tile(tile, &bytes_of(hashes)));
    }

    /// Of records that were pruned the tiles have the hashes: whether these are right, the root will say. Of the bundle in
    /// which the first record lies that is left, the others are taken. Answers whether it could be gone on.
    fn take_pruned(&mut self, folder: &Folder, comparing: &mut Comparing<'_>) -> Result<bool, ReadError> {
        let Some(first) = Reader::first_index(&self.log)?.filter(|first| *first > 0) else { return Ok(true) };
        self.first = first;
        let start = first - first % WIDTH;
        for index in 0..first.div_ceil(WIDTH) {
            let width = first.min((index + 1) * WIDTH) - index * WIDTH;
            let tile = Tile { level: 0, index, width: u16::try_from(width).unwrap_or(256) };
            let unread = |error| Difference::Unread(tile.to_string(), error);
            let hashes = match folder.tile(tile) {
                Ok(Some(hashes)) => hashes,
                Ok(None) => return Ok(comparing.ends_with(Difference::Missing(tile.to_string()))),
                Err(error) => return Ok(comparing.ends_with(unread(error))),
            };
            for hash in hashes.iter().take(usize::from(tile.width)) {
                self.push(*hash, comparing);
            }
        }
        if start < first {
            let bundle = Bundle::in_tree(start / WIDTH, self.size);
            let missing = || Difference::Missing(Bundle { index: start / WIDTH, width: 256 }.to_string());
            let Some((bundle, bytes)) = bundle.and_then(|bundle| Some((bundle, folder.bundle(bundle).ok()??))) else {
                return Ok(comparing.ends_with(missing()));
            };
            let Ok(entries) = tlog::entries(bundle, &bytes) else {
                return Ok(comparing.ends_with(Difference::Content(bundle.to_string())));
            };
            for entry in entries.into_iter().take(usize::try_from(first - start).unwrap_or(0)) {
                self.bundle.put(entry);
            }
        }
        Ok(true)
    }

    /// Compares what is full and will never change. Answers whether there were more records.
    fn read_on(&mut self, comparing: &mut Comparing<'_>) -> Result<bool, ReadError> {
        let before = self.tree.size();
        while let Some(stored) = self.reader.next() {
            let stored = stored?;
            self.push(leaf_hash(&stored.json), comparing);
            self.bundle.put(&stored.json);
            if self.tree.size().is_multiple_of(WIDTH) {
                comparing.bundle(self.tree.size() / WIDTH - 1, &self.bundle);
                self.bundle = Entries::default();
            }
            if Said::of(&stored.json).is_some() {
                self.of_keys.push(stored);
            }
        }
        Ok(self.tree.size() > before)
    }

    /// Compares what is not full.
    fn compare_edge<'f>(&self, folder: &'f Folder, size: u64) -> Comparing<'f> {
        let mut comparing = Comparing::new(folder, size);
        self.tree.tips().for_each(|(tile, hashes)| comparing.tile(tile, &bytes_of(hashes)));
        if !self.bundle.ends.is_empty() {
            comparing.bundle(self.tree.size() / WIDTH, &self.bundle);
        }
        comparing.foreign(self.tree.size());
        comparing
    }

    /// The root of the tree when it was so large, if it was.
    fn root(&self, size: u64) -> Option<Hash> {
        let seen = self.watched.get(&size).copied().flatten();
        seen.or_else(|| (self.tree.size() == size).then(|| self.tree.root()))
    }
}

/// What a checkpoint says that is kept in another place, if it is one of this log.
fn of_this_log(
    note: &Note,
    checkpoint: &Checkpoint,
    policy: Option<&TrustPolicy>,
    place: &'static str,
) -> Result<Checkpoint, Difference> {
    let stranger = |source| Difference::Stranger { place, source };
    let known = Checkpoint::of(note).map_err(|_| stranger(Some(Distrust::NoCheckpoint)))?;
    if known.origin != checkpoint.origin {
        return Err(stranger(None));
    }
    match policy.map(|policy| policy.judge(note)) {
        // Whoever has kept it need not have waited for witnesses.
        None | Some(Ok(_) | Err(Distrust::Quorum)) => Ok(known),
        Some(Err(why)) => Err(stranger(Some(why))),
    }
}

impl Checked {
    fn differs(&mut self, difference: Difference) {
        if self.differences.len() < LISTED {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }
}

fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// A bundle as the records make it, and where each of its entries ends.
#[derive(Default)]
struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Entries {
    fn put(&mut self, entry: &[u8]) {
        let _is_short_enough = put_entry(&mut self.bytes, entry); // what is too long for a bundle is in none, and differs
        self.ends.push(self.bytes.len());
    }

    fn first(&self, width: u16) -> Option<&[u8]> {
        let end = *self.ends.get(usize::from(width).checked_sub(1)?)?;
        self.bytes.get(..end)
    }
}

struct Comparing<'c> {
    folder: &'c Folder,
    /// How many entries the checkpoint has.
    size: u64,
    files: u64,
    differences: Vec<Difference>,
}

impl<'c> Comparing<'c> {
    const fn new(folder: &'c Folder, size: u64) -> Self {
        Self { folder, size, files: 0, differences: Vec::new() }
    }

    /// Nothing more can be compared. Answers that it is over.
    fn ends_with(&mut self, difference: Difference) -> bool {
        self.differences.push(difference);
        false
    }

    fn tile(&mut self, tile: Tile, bytes: &[u8]) {
        let needed = Tile::in_tree(tile.level, tile.index, self.size);
        let path = Tile { width: 256, ..tile }.to_string();
        let first = |width: u16| bytes.get(..usize::from(width) * Hash::BYTES);
        self.place(&path, needed.map(|tile| (tile.width, tile.to_string())), first);
    }

    fn bundle(&mut self, index: u64, entries: &Entries) {
        let needed = Bundle::in_tree(index, self.size);
        let path = Bundle { index, width: 256 }.to_string();
        self.place(&path, needed.map(|bundle| (bundle.width, bundle.to_string())), |width| entries.first(width));
    }

    /// Compares every file of one place, whether the checkpoint needs it or not.
    fn place<'b>(&mut self, full: &str, needed: Option<(u16, String)>, first: impl Fn(u16) -> Option<&'b [u8]>) {
        let kept = match self.folder.kept(full) {
            Ok(kept) => kept,
            Err(error) => return self.differences.push(Difference::Unread(full.to_owned(), error)),
        };
        for (width, bytes) in &kept {
            self.files += 1;
            if first(*width) != Some(bytes.as_slice()) {
                let path = if *width == 256 { full.to_owned() } else { format!("{full}.p/{width}") };
                self.differences.push(Difference::Content(path));
            }
        }
        if let Some((width, path)) = needed
            && !kept.iter().any(|(kept, _)| *kept == width || *kept == 256)
        {
            self.differences.push(Difference::Missing(path));
        }
    }

    /// Each record about the key has its receipt, and each receipt its record; that of one that was pruned is in the tree.
    fn key_changes(&mut self, changes: &KeyChanges, all: &Records) {
        for kept in changes.kept() {
            self.files += 1;
            let Some(change) = kept.change.as_ref().filter(|change| change.fits(kept.index, self.folder)) else {
                self.differences.push(Difference::Content(Folder::change_name(kept.index)));
                continue;
            };
            let is_said = all.of_keys.iter().any(|it| (it.index, &it.json) == (kept.index, &change.record));
            if kept.index >= all.first && !is_said {
                self.differences.push(Difference::Foreign(self.folder.path().join(Folder::change_name(kept.index))));
            }
        }
        for said in all.of_keys.iter().filter(|said| said.index < self.size) {
            if !changes.kept().iter().any(|kept| kept.index == said.index) {
                self.differences.push(Difference::Missing(Folder::change_name(said.index)));
            }
        }
    }

    fn foreign(&mut self, records: u64) {
        match self.folder.foreign(records) {
            Ok(foreign) => foreign.into_iter().for_each(|path| self.differences.push(Difference::Foreign(path))),
            Err(error) => self.differences.push(Difference::Unread(String::new(), error)),
        }
    }
}
