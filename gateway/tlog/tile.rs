use std::fmt;
use std::str::FromStr;

use crate::Hash;

/// How many hashes a full tile has, and how many entries a full bundle.
pub const WIDTH: u64 = 256;

/// The largest level: with it a tree of 2^64 entries would have its root in one tile.
const LEVELS: u8 = 64;

/// A place in the tree where up to 256 hashes that follow each other are kept together (C2SP tlog-tiles). At level 0 they
/// are those of entries; above, each is that of a full tile below.
///
/// Its text is its path: `tile/0/x001/x234/067`, or `tile/1/000.p/17` if it has 17 hashes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tile {
    /// How far above the entries, in steps of 256.
    pub level: u8,
    /// Which of its level.
    pub index: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

/// The entries of one tile of level 0. Its text is its path: `tile/entries/x001/x234/067`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bundle {
    /// Which.
    pub index: u64,
    /// How many entries it has, 1 to 256.
    pub width: u16,
}

/// Why a text is not the path of a tile or a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tile is at `tile/<level>/<index>[.p/<width>]`, a bundle at `tile/entries/<index>[.p/<width>]`")]
pub struct InvalidTile;

impl Tile {
    /// How many hashes it must have in a tree of this size, if it is in it at all.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = at_level(size, level);
        let before = index.checked_mul(WIDTH)?;
        let width = hashes.checked_sub(before)?.min(WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { level, index, width })
    }

    /// Whether it has all that it can have, and so never changes.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == WIDTH
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.width as usize * Hash::BYTES
    }

    /// The first entry behind it, once it is full.
    #[must_use]
    pub fn end(&self) -> u64 {
        let entries = WIDTH.checked_pow(u32::from(self.level) + 1);
        entries.and_then(|entries| entries.checked_mul(self.index + 1)).unwrap_or(u64::MAX)
    }

    /// Reads its hashes off its bytes, if they are as many as it has.
    #[must_use]
    pub fn hashes(&self, bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::BYTES }>();
        let whole = rest.is_empty() && hashes.len() == usize::from(self.width);
        whole.then(|| hashes.iter().map(|hash| Hash::from(*hash)).collect())
    }
}

impl Bundle {
    /// The bundle beside a tile of level 0.
    #[must_use]
    pub fn in_tree(index: u64, size: u64) -> Option<Self> {
        Tile::in_tree(0, index, size).map(|tile| Self { index, width: tile.width })
    }
}

/// How many hashes a level has in a tree of this size.
pub(crate) fn at_level(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// `x001/x234/067.p/17`: groups of three digits, so that no folder has more than a thousand, and no file is in the way of a
/// folder.
fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let groups = std::iter::successors(Some(index), |rest| (*rest >= 1000).then_some(rest / 1000));
    let groups: Vec<u64> = groups.map(|rest| rest % 1000).collect();
    for (left, group) in groups.iter().enumerate().rev() {
        if left > 0 {
            write!(f, "x{group:03}/")?;
        } else {
            write!(f, "{group:03}")?;
        }
    }
    if u64::from(width) < WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

fn read_place(text: &str) -> Option<(u64, u16)> {
    let (place, width) = match text.split_once(".p/") {
        Some((place, width)) => (place, decimal(width).and_then(|width| u16::try_from(width).ok())?),
        None => (text, 256),
    };
    let (folders, last) = place.rsplit_once('/').map_or((None, place), |(folders, last)| (Some(folders), last));
    let folders = folders.into_iter().flat_map(|folders| folders.split('/')).map(|folder| folder.strip_prefix('x'));
    let mut index = 0_u64;
    for group in folders.chain([Some(last)]) {
        let group = group.filter(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()))?;
        index = index.checked_mul(1000)?.checked_add(group.parse().ok()?)?;
    }
    Some((index, width))
}

/// A number in ASCII, without anything around it and without zeros in front of it.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

impl FromStr for Tile {
    type Err = InvalidTile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (level, place) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(InvalidTile)?;
        let level = decimal(level).and_then(|level| u8::try_from(level).ok()).filter(|level| *level < LEVELS);
        let (index, width) = read_place(place).ok_or(InvalidTile)?;
        let tile = Self { level: level.ok_or(InvalidTile)?, index, width };
        (width > 0 && tile.to_string() == text).then_some(tile).ok_or(InvalidTile)
    }
}

impl FromStr for Bundle {
    type Err = InvalidTile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text.strip_prefix("tile/entries/").ok_or(InvalidTile)?;
        let (index, width) = read_place(place).ok_or(InvalidTile)?;
        let bundle = Self { index, width };
        (width > 0 && bundle.to_string() == text).then_some(bundle).ok_or(InvalidTile)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_place(f, self.index, self.width)
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_place(f, self.index, self.width)
    }
}
