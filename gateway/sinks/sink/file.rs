//! A line for each record: to a file, or to standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::batch::Batch;
use crate::sink::{Class, Delivery, Sink, SinkError};

/// The longest line that can be the beginning of one of ours.
const LONGEST: u64 = 1 << 20;

/// Adds lines to a file, and opens it again when it was moved away.
pub(crate) struct FileSink {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    place: (u64, u64),
}

impl FileSink {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn put(&mut self, batch: &Batch) -> io::Result<()> {
        let place = fs::metadata(&self.path).ok().map(|it| (it.dev(), it.ino()));
        let mut open = match self.open.take() {
            Some(open) if Some(open.place) == place => open,
            Some(_) | None => Open::at(&self.path)?,
        };
        // Another log of this gateway may be delivered to the same file: a line is written while nobody else writes.
        flock(&open.file, FlockOperation::LockExclusive)?;
        let written = open.append(&lines(batch));
        flock(&open.file, FlockOperation::Unlock)?;
        written?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if is_new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, place: (found.dev(), found.ino()) })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let before = cut(&mut self.file)?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a line is no line. Where this fails, too, the next to write cuts it off.
            drop(self.file.set_len(before));
        }
        written
    }
}

/// Takes off the beginning of a line whose end was never written. Gives how long the file is then.
fn cut(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] {
        return Ok(length);
    }
    let begin = length.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.take(LONGEST).read_to_end(&mut tail)?;
    let line = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let half = tail.get(line..).unwrap_or_default();
    if !(half.starts_with(b"{") || b"CEF:0|".starts_with(half.get(..6).unwrap_or(half))) {
        return Err(io::Error::other("it ends with something that is no line of ours; write to another file"));
    }
    let whole = begin + line as u64;
    file.set_len(whole)?;
    file.sync_all()?;
    Ok(whole)
}

pub(crate) fn lines(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.items.iter().map(|item| item.text.len() + 1).sum());
    for item in &batch.items {
        bytes.extend_from_slice(item.text.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

impl Sink for FileSink {
    /// Blocks: the thread has nothing else to do.
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(async move {
            let put = self.put(batch);
            put.map_err(|error| SinkError::of(Class::Local, &format!("`{}`", self.path.display()), &error))
        })
    }
}

/// Lines for whoever reads standard output. What it has taken is delivered: nobody there says more.
pub(crate) struct StdoutSink;

impl Sink for StdoutSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(async move {
            let mut out = io::stdout().lock();
            let put = out.write_all(&lines(batch)).and_then(|()| out.flush());
            put.map_err(|error| SinkError::of(Class::Local, "standard output", &error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::batch;

    fn put(path: &Path, first: u64, count: u64) -> io::Result<()> {
        FileSink::new(path.to_owned()).put(&batch(first, count))
    }

    #[test]
    fn what_was_half_written_is_cut_off_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (before, after) in [
            (Some(""), Some("")),
            (None, Some("")),
            (Some("{\"a\":1}\n"), Some("{\"a\":1}\n")),
            (Some("{\"a\":1}\n{\"b\":"), Some("{\"a\":1}\n")),
            (Some("{\"b\":"), Some("")),
            (Some("CEF:0|a\nCEF:"), Some("CEF:0|a\n")),
            (Some("root:x:0:0"), None),
        ] {
            let path = folder.path().join("out");
            drop(fs::remove_file(&path));
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            let outcome = put(&path, 0, 1);
            match after {
                Some(after) => assert_eq!(fs::read_to_string(&path).unwrap(), format!("{after}{{\"n\":0}}\n")),
                None => assert!(outcome.is_err() && fs::read_to_string(&path).unwrap() == before.unwrap()),
            }
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("out"), folder.path().join("out.1"));
        let mut sink = FileSink::new(path.clone());
        sink.put(&batch(0, 2)).unwrap();
        fs::rename(&path, &moved).unwrap();
        sink.put(&batch(2, 1)).unwrap();
        assert_eq!(fs::read_to_string(moved).unwrap(), "{\"n\":0}\n{\"n\":1}\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_is_not_written_to() {
        assert!(put(Path::new("/dev/null"), 0, 1).is_err());
    }
}
