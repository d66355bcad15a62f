use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

/// An archive in the format that every `tar` reads (ustar), for its owner alone.
pub(super) struct Archive {
    file: File,
    /// What is in it, as the manifest says it.
    files: Vec<Value>,
    made: u64,
}

const BLOCK: usize = 512;

impl Archive {
    /// Makes the file, which must not be there yet.
    pub(super) fn create(path: &Path, made: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, files: Vec::new(), made })
    }

    /// Adds a file.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.file.write_all(&header(name, content.len(), self.made)?)?;
        self.file.write_all(content)?;
        let rest = content.len().next_multiple_of(BLOCK) - content.len();
        self.file.write_all(&vec![0; rest])?;
        self.files.push(json!({ "name": name, "bytes": content.len(), "sha256": sha256(content) }));
        Ok(())
    }

    /// What is in it so far.
    pub(super) fn files(&self) -> &[Value] {
        &self.files
    }

    /// Two empty blocks are its end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&[0; 2 * BLOCK])?;
        self.file.sync_all()
    }
}

/// The digest, in hexadecimal digits.
pub(super) fn sha256(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// POSIX.1-1988 with the fields that have a meaning for a plain file.
fn header(name: &str, length: usize, made: u64) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        let place = header.get_mut(at..at + text.len()).ok_or_else(|| io::Error::other("a field is too long"))?;
        place.copy_from_slice(text.as_bytes());
        Ok::<_, io::Error>(())
    };
    if name.len() > 99 {
        return Err(io::Error::other("a name is too long"));
    }
    put(0, name)?;
    put(100, "0000600\0")?;
    put(108, "0000000\0")?;
    put(116, "0000000\0")?;
    put(124, &format!("{length:011o}\0"))?;
    put(136, &format!("{made:011o}\0"))?;
    put(148, "        ")?;
    put(156, "0")?;
    put(257, "ustar\x0000")?;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let mut put = |at: usize, text: &str| {
        if let Some(place) = header.get_mut(at..at + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    };
    put(148, &format!("{sum:06o}\0 "));
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn any_tar_reads_it_and_it_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.tar");
        let files: [(&str, &[u8]); 4] =
            [("a.json", b"{}"), ("records/0.json", &[7; 512]), ("b", b""), ("c", &[8; 513])];
        let mut archive = Archive::create(&path, 1_795_000_000).unwrap();
        files.iter().for_each(|(name, content)| archive.put(name, content).unwrap());
        assert_eq!(archive.files().len(), 4);
        archive.finish().unwrap();
        let status = Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(folder.path()).status().unwrap();
        assert!(status.success());
        for (name, content) in files {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), content, "{name}");
        }
        assert!(Archive::create(&path, 0).is_err());
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
