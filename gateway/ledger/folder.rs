use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tlog::{Bundle, Hash, InvalidNote, Note, Tile, Tiles, put_entry};

use crate::files::{self, Durable};

/// What the checkpoint is called that witnesses have signed.
const WITNESSED: &str = "checkpoint.witnessed";

/// `tlog/` in the folder of a log: `checkpoint`, `tile/<level>/…` and `tile/entries/…` (C2SP tlog-tiles). A web server may
/// show it as it is.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// That of the log in this directory.
    #[must_use]
    pub fn of(log: &Path) -> Self {
        Self(log.join("tlog"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the newest checkpoint is.
    #[must_use]
    pub fn checkpoint_path(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    /// The newest checkpoint, if there is one yet.
    ///
    /// # Errors
    /// It cannot be read, or is not a note.
    pub fn checkpoint(&self) -> io::Result<Option<Note>> {
        files::read_if_there(&self.checkpoint_path())?.map(|bytes| note(&bytes)).transpose()
    }

    /// The newest checkpoint that enough witnesses have signed, too, if there is one: `checkpoint.witnessed`. The log goes on
    /// beside it.
    ///
    /// # Errors
    /// It cannot be read, or is not a note.
    pub fn witnessed(&self) -> io::Result<Option<Note>> {
        files::read_if_there(&self.0.join(WITNESSED))?.map(|bytes| note(&bytes)).transpose()
    }

    /// Puts it in place of the one before it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_witnessed(&self, note: &Note) -> io::Result<()> {
        files::replace(&self.0.join(WITNESSED), note.to_string().as_bytes(), Durable::Now)
    }

    /// The file of a tile or bundle that has at least this many parts: the full one, or else one that is not full yet.
    fn widest(&self, path: impl Fn(u16) -> String, width: u16) -> io::Result<Option<(u16, Vec<u8>)>> {
        for width in [width, 256] {
            if let Some(bytes) = files::read_if_there(&self.0.join(path(width)))? {
                return Ok(Some((width, bytes)));
            }
        }
        let partial = self.0.join(path(width));
        let Some(folder) = partial.parent().filter(|_| width < 256) else { return Ok(None) };
        let widths = files::names_in(folder)?.into_iter().filter_map(|name| name.parse::<u16>().ok());
        let Some(wider) = widths.filter(|other| *other > width).max() else { return Ok(None) };
        Ok(files::read_if_there(&self.0.join(path(wider)))?.map(|bytes| (wider, bytes)))
    }

    /// What is kept of a tile or bundle, by the path that it has when it is full: how wide each file is, and its bytes.
    pub(crate) fn kept(&self, full: &str) -> io::Result<Vec<(u16, Vec<u8>)>> {
        let mut kept = Vec::new();
        kept.extend(files::read_if_there(&self.0.join(full))?.map(|bytes| (256, bytes)));
        for name in files::names_in(&self.0.join(format!("{full}.p")))? {
            // What has no such name is found by `Folder::foreign`.
            let Ok(width) = name.parse::<u16>() else { continue };
            kept.extend(files::read_if_there(&self.0.join(format!("{full}.p/{name}")))?.map(|bytes| (width, bytes)));
        }
        Ok(kept)
    }

    /// The files that belong to no tree of this size.
    pub(crate) fn foreign(&self, size: u64) -> io::Result<Vec<PathBuf>> {
        let is_ours = |path: &str| {
            let path = path.strip_suffix(files::DRAFT).unwrap_or(path); // what a crash has left of a file that was to be
            let tile =
                |tile: Tile| Tile::in_tree(tile.level, tile.index, size).is_some_and(|it| it.width >= tile.width);
            let bundle = |it: Bundle| Bundle::in_tree(it.index, size).is_some_and(|bundle| bundle.width >= it.width);
            let key = |path: &str| {
                let index = path.strip_prefix("keys/").and_then(|name| name.split('.').next()?.parse::<u64>().ok());
                index.is_some_and(|index| index < size && Self::change_name(index) == path)
            };
            path == "checkpoint"
                || path == WITNESSED
                || key(path)
                || path.parse().is_ok_and(tile)
                || path.parse().is_ok_and(bundle)
        };
        let mut foreign = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.strip_prefix(&self.0).ok().and_then(Path::to_str).is_some_and(is_ours) {
                    foreign.push(path);
                }
            }
        }
        Ok(foreign)
    }

    pub(crate) fn put_tile(&self, tile: Tile, hashes: &[Hash]) -> io::Result<()> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.put(&tile.to_string(), tile.is_full(), &bytes)
    }

    pub(crate) fn put_bundle(&self, bundle: Bundle, bytes: &[u8]) -> io::Result<()> {
        self.put(&bundle.to_string(), bundle.width == 256, bytes)
    }

    fn put(&self, path: &str, is_full: bool, bytes: &[u8]) -> io::Result<()> {
        files::replace(&self.0.join(path), bytes, Durable::Later)?;
        if is_full {
            // Whoever needs what it was at an earlier size finds it at the beginning of what it is now.
            match fs::remove_dir_all(self.0.join(format!("{path}.p"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

pub(crate) fn note(bytes: &[u8]) -> io::Result<Note> {
    let invalid = |why: InvalidNote| io::Error::new(io::ErrorKind::InvalidData, why);
    str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?.parse().map_err(invalid)
}

impl Folder {
    /// The first entries of a bundle, as they are written there.
    pub(crate) fn bundle(&self, bundle: Bundle) -> io::Result<Option<Vec<u8>>> {
        let Some((width, bytes)) = self.widest(|width| Bundle { width, ..bundle }.to_string(), bundle.width)? else {
            return Ok(None);
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let entries = tlog::entries(Bundle { width, ..bundle }, &bytes).map_err(invalid)?;
        let mut first = Vec::new();
        for entry in entries.into_iter().take(usize::from(bundle.width)) {
            let _it_was_short_enough = put_entry(&mut first, entry);
        }
        Ok(Some(first))
    }
}

impl Tiles for Folder {
    type Error = io::Error;

    fn tile(&self, tile: Tile) -> io::Result<Option<Vec<Hash>>> {
        let wider = |width| Tile { width, ..tile };
        let Some((width, bytes)) = self.widest(|width| wider(width).to_string(), tile.width)? else { return Ok(None) };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is not as long as it must be");
        wider(width).hashes(&bytes).map(Some).ok_or_else(invalid)
    }
}
