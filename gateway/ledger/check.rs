use std::io;
use std::path::{Path, PathBuf};

use audit::{ReadError, Reader};
use tlog::{
    Bundle, Checkpoint, Distrust, Growth, Hash, Note, Tile, Tiles as _, TrustPolicy, WIDTH, leaf_hash, put_entry,
};

use crate::Folder;

/// So many differences are listed; more are counted.
const LISTED: usize = 1_000;

/// How often the edge of a log that grows is looked at, until it stands still or is as it must be.
const ROUNDS: u32 = 20;

/// What a comparison of the records of a log with its tiles, its bundles and its checkpoint has shown.
#[derive(Debug)]
pub struct Checked {
    /// What the checkpoint says, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Who has signed it, of those whom the policy names.
    pub signed_by: Vec<String>,
    /// How many records there are.
    pub records: u64,
    /// Tiles and bundles that were looked at.
    pub files: u64,
    /// What is wrong, the first thousand.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
}

/// Something that is not as the records say.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// The checkpoint is not to be trusted.
    #[error("the checkpoint is not to be trusted")]
    Checkpoint(#[source] Distrust),
    /// A tile does not have the hashes of the records, or a bundle not the records.
    #[error("`tlog/{0}` is not what the records make of it")]
    Content(String),
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
    let folder = Folder::of(log);
    let path = folder.checkpoint_path();
    let mut note = folder.checkpoint().map_err(|error| ReadError::Io(path.clone(), error))?;
    // Where witnesses must have signed, the newest checkpoint need not have them all yet: the one that has them is compared.
    let lacks = |note: &Note| policy.is_some_and(|policy| policy.judge(note).err() == Some(Distrust::Quorum));
    if note.as_ref().is_some_and(lacks) {
        let witnessed = folder.witnessed().map_err(|error| ReadError::Io(path.clone(), error))?;
        note = witnessed.or(note);
    }
    let invalid = |error| ReadError::Io(path.clone(), io::Error::new(io::ErrorKind::InvalidData, error));
    let checkpoint = note.as_ref().map(Checkpoint::of).transpose().map_err(invalid)?;
    let mut checked =
        Checked { checkpoint, signed_by: Vec::new(), records: 0, files: 0, differences: Vec::new(), more: 0 };
    let (Some(note), Some(checkpoint)) = (note, checked.checkpoint.clone()) else {
        if policy.is_some() {
            checked.differs(Difference::Unsigned); // FAIL CLOSED: who takes the checkpoint away has shown nothing
        }
        return Ok(checked);
    };
    match policy.map(|policy| policy.judge(&note)) {
        Some(Ok(trusted)) => {
            checked.signed_by = trusted.by.iter().map(|signed| signed.key.name().to_string()).collect();
        }
        Some(Err(distrust)) => checked.differs(Difference::Checkpoint(distrust)),
        None => {}
    }
    let (mut all, mut comparing) = (Records::of(log, checkpoint.size)?, Comparing::new(&folder, checkpoint.size));
    if !all.take_pruned(&folder, &mut comparing)? {
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
    checked.records = all.tree.size();
    checked.files = comparing.files + edge.files;
    comparing.differences.into_iter().chain(edge.differences).for_each(|difference| checked.differs(difference));
    let size = checkpoint.size;
    match all.root() {
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
    /// How large the checkpoint is, and the root of the tree when it was as large.
    size: u64,
    root: Option<Hash>,
}

impl Records {
    fn of(log: &Path, size: u64) -> Result<Self, ReadError> {
        let reader = Reader::open(log)?;
        Ok(Self { log: log.to_owned(), reader, tree: Growth::default(), bundle: Entries::default(), size, root: None })
    }

    /// Of records that were pruned the tiles have the hashes: whether these are right, the root will say. Of the bundle in
    /// which the first record lies that is left, the others are taken. Answers whether it could be gone on.
    fn take_pruned(&mut self, folder: &Folder, comparing: &mut Comparing<'_>) -> Result<bool, ReadError> {
        let Some(first) = Reader::first_index(&self.log)?.filter(|first| *first > 0) else { return Ok(true) };
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
                self.tree.push(*hash, |tile, hashes| comparing.tile(tile, &bytes_of(hashes)));
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
        for stored in self.reader.by_ref() {
            if self.tree.size() == self.size {
                self.root = Some(self.tree.root());
            }
            let stored = stored?;
            self.tree.push(leaf_hash(&stored.json), |tile, hashes| comparing.tile(tile, &bytes_of(hashes)));
            self.bundle.put(&stored.json);
            if self.tree.size().is_multiple_of(WIDTH) {
                comparing.bundle(self.tree.size() / WIDTH - 1, &self.bundle);
                self.bundle = Entries::default();
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

    /// The root where the checkpoint is, if there are as many records.
    fn root(&self) -> Option<Hash> {
        self.root.or_else(|| (self.tree.size() == self.size).then(|| self.tree.root()))
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

    fn foreign(&mut self, records: u64) {
        match self.folder.foreign(records) {
            Ok(foreign) => foreign.into_iter().for_each(|path| self.differences.push(Difference::Foreign(path))),
            Err(error) => self.differences.push(Difference::Unread(String::new(), error)),
        }
    }
}
