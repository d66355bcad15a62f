//! Policy files that somebody must have signed for, where `cloister.yaml` names keys.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bundle::{Floor, Verified};
use serde::{Deserialize, Serialize};
use terms::{Finding, Findings, Place};
use tlog::VerifierKey;

/// Who may say what is allowed, and the last version that was in force.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    keys: Vec<VerifierKey>,
    floor: PathBuf,
    pushed: PathBuf,
}

/// A set of policy files that somebody has sent, with what signs it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pushed {
    /// `bundle.note`.
    pub(crate) note: String,
    /// Each file by its name below the folder.
    pub(crate) files: BTreeMap<String, String>,
}

impl Pushed {
    /// The files as those of a folder are.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        self.files.iter().map(|(name, text)| (format!("pushed/{name}"), text.clone())).collect()
    }
}

impl Trust {
    /// Of these keys. The last version is kept in the state folder.
    pub(crate) fn of(keys: Vec<VerifierKey>, state: &Path) -> Self {
        Self { keys, floor: state.join("policies.version"), pushed: state.join("policies.pushed") }
    }

    /// Whether these texts, each with its path, are all that somebody has signed for, and not older than what was in force.
    pub(crate) fn check(&self, folder: &Path, texts: &[(String, String)]) -> Result<Verified, Findings> {
        let path = folder.join(bundle::FILE);
        let note = fs::read_to_string(&path);
        self.admit(&path, note, named(folder, texts))
    }

    /// The same of a set that was sent.
    pub(crate) fn check_pushed(&self, pushed: &Pushed) -> Result<Verified, Findings> {
        let files = pushed.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        self.admit(Path::new("pushed/bundle.note"), Ok(pushed.note.clone()), files)
    }

    fn admit<'f>(
        &self,
        path: &Path,
        note: io::Result<String>,
        files: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Verified, Findings> {
        let wrong = |message: String, help: &str| -> Findings {
            Finding::error(Place::file(&path.display().to_string()), message).help(help).into()
        };
        let sign = "`cloister bundle sign` signs a folder; `policies.signed_by` in cloister.yaml says whose keys count";
        let note = note.map_err(|error| wrong(format!("cannot be read: {error}"), sign))?;
        let verified = bundle::verify(&note, self.keys.iter(), files);
        let verified = verified.map_err(|error| wrong(terms::chain(&error).to_string(), sign))?;
        let floor = self.floor().map_err(|error| {
            let place = Place::file(&self.floor.display().to_string());
            let help = "put it back; without it nobody can say whether these files are older than those of before";
            Findings::from(Finding::error(place, format!("cannot be read: {error}")).help(help))
        })?;
        let newer = floor.map_or(Ok(()), |floor| floor.admits(&verified));
        newer.map_err(|error| wrong(error.to_string(), "sign them anew with a higher version, if they are meant"))?;
        Ok(verified)
    }

    /// Remembers what comes into force. ORDER: before it does.
    pub(crate) fn keep(&self, verified: &Verified) -> io::Result<()> {
        ledger::replace_durably(&self.floor, Floor::from(verified).to_string().as_bytes())
    }

    /// What was sent last, if anything was.
    pub(crate) fn pushed(&self) -> Result<Option<Pushed>, Findings> {
        let read = match fs::read(&self.pushed) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|error| {
            let place = Place::file(&self.pushed.display().to_string());
            let help = "push the policies again, or take it away: then the folder counts, if it is not older";
            Finding::error(place, format!("cannot be read: {error}")).help(help).into()
        })
    }

    /// Keeps what was sent, so that the next start has it: whole, or not at all.
    pub(crate) fn keep_pushed(&self, pushed: &Pushed) -> io::Result<()> {
        ledger::replace_durably(&self.pushed, &serde_json::to_vec(pushed).map_err(io::Error::other)?)
    }

    /// Puts back what was there before.
    pub(crate) fn put_back(&self, before: Option<&Pushed>) -> io::Result<()> {
        match before {
            Some(before) => self.keep_pushed(before),
            None => fs::remove_file(&self.pushed),
        }
    }

    fn floor(&self) -> io::Result<Option<Floor>> {
        match fs::read_to_string(&self.floor) {
            Ok(text) => text.parse().map(Some).map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Files by their names below the folder, as a bundle has them.
pub(crate) fn named<'t>(
    folder: &'t Path,
    texts: &'t [(String, String)],
) -> impl Iterator<Item = (&'t str, &'t str)> + Clone {
    texts.iter().map(move |(path, text)| {
        let below = Path::new(path.as_str()).strip_prefix(folder).ok().and_then(Path::to_str);
        (below.unwrap_or(path), text.as_str())
    })
}
