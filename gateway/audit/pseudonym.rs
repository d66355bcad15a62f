use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use terms::{IssuerId, Subject, Surrogate};

/// Who acts, as the log says it. A member of a tenant has the surrogate that the subject vault made for it (`s_`). Whoever is
/// none has `x_` and 16 characters that only the holder of the log's key can compute. One subject has one of each within one
/// log, so that its records can be found and counted without its name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Pseudonym([u8; 18]);

impl Pseudonym {
    /// The text in the record.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("x_")
    }
}

/// What the subject vault made.
impl From<Surrogate> for Pseudonym {
    fn from(surrogate: Surrogate) -> Self {
        Self(*surrogate.as_bytes())
    }
}

/// The key under which subjects are hidden: 32 random bytes in `log.key`, made when the log is.
#[derive(Clone)]
pub struct LogKey(hmac::Key);

/// Why the log's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
    /// Others than its owner can read it.
    #[error("`{0}` can be read by others: its mode must be 0600 or less")]
    Exposed(PathBuf),
    /// It cannot be read or made.
    #[error("cannot use `{0}`")]
    Io(PathBuf, #[source] io::Error),
    /// It is not 32 bytes long.
    #[error("`{0}` is not a key of 32 bytes")]
    Length(PathBuf),
}

impl LogKey {
    /// Reads the key of the log in this directory.
    ///
    /// # Errors
    /// When there is none, or it is not fit to be used.
    pub fn read(directory: &Path) -> Result<Self, LogKeyError> {
        let path = directory.join("log.key");
        let failed = |error| LogKeyError::Io(path.clone(), error);
        let mut file = fs::File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(LogKeyError::Exposed(path));
        }
        let mut bytes = Vec::with_capacity(33);
        (&mut file).take(33).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() != 32 {
            return Err(LogKeyError::Length(path));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Reads the key, or makes one where there is no log yet.
    pub(crate) fn read_or_make(directory: &Path) -> Result<Self, LogKeyError> {
        let path = directory.join("log.key");
        if !path.exists() {
            make(directory, &path).map_err(|error| LogKeyError::Io(path, error))?;
        }
        Self::read(directory)
    }

    /// A tag for something that is derived from the log: nobody else can make it. No issuer is called so.
    pub(crate) fn tag(&self, bytes: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"\0index\0");
        context.update(bytes);
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    pub(crate) fn has_tagged(&self, bytes: &[u8], tag: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(bytes), tag).is_ok()
    }

    /// Hides one subject of one issuer. About half a microsecond: keep it beside the verified token.
    #[must_use]
    pub fn pseudonym(&self, issuer: &IssuerId, subject: &Subject) -> Pseudonym {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(issuer.as_str().as_bytes());
        context.update(&[0]); // neither half can contain it: `a` + `bc` and `ab` + `c` differ
        context.update(subject.as_str().as_bytes());
        let tag = context.sign();
        let mut encoded = [0; 44];
        let mut text = *b"x_0000000000000000";
        if URL_SAFE_NO_PAD.encode_slice(tag.as_ref(), &mut encoded).is_ok()
            && let (Some(to), Some(from)) = (text.get_mut(2..), encoded.get(..16))
        {
            to.copy_from_slice(from);
        }
        Pseudonym(text)
    }
}

/// Written whole under another name first: half a key must never be found under the real one.
fn make(directory: &Path, path: &Path) -> io::Result<()> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    let unfinished = directory.join("log.key.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(directory)?.sync_all()
}

/// Never the key itself.
impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pseudonym_is_stable_short_and_no_issuer_shares_it() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::read_or_make(folder.path()).unwrap();
        let again = LogKey::read(folder.path()).unwrap();
        let (main, other): (IssuerId, IssuerId) = ("main".parse().unwrap(), "other".parse().unwrap());
        let ada: Subject = "ada".parse().unwrap();
        assert_eq!(key.pseudonym(&main, &ada), again.pseudonym(&main, &ada));
        assert_ne!(key.pseudonym(&main, &ada), key.pseudonym(&other, &ada));
        let text = key.pseudonym(&main, &ada);
        assert!(text.as_str().starts_with("x_") && text.as_str().len() == 18 && !text.as_str().contains("ada"));
    }

    #[test]
    fn a_pseudonym_is_the_hmac_of_issuer_nul_subject() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        fs::write(&path, [7; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = LogKey::read(folder.path()).unwrap();
        // python3: base64.urlsafe_b64encode(hmac.new(bytes([7]*32), b"main\0ada", "sha256").digest())[:16]
        let expected = "x_D2W6lb2Esp597lxw";
        assert_eq!(key.pseudonym(&"main".parse().unwrap(), &"ada".parse().unwrap()).as_str(), expected);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        LogKey::read_or_make(folder.path()).unwrap();
        let path = folder.path().join("log.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(LogKey::read(folder.path()), Err(LogKeyError::Exposed(_))));
    }
}
