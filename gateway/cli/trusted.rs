//! Policy files that somebody must have signed for, where `cloister.yaml` names keys.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bundle::{Floor, Verified};
use terms::{Finding, Findings, Place};
use tlog::VerifierKey;

/// Who may say what is allowed, and the last version that was in force.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    keys: Vec<VerifierKey>,
    floor: PathBuf,
}

impl Trust {
    /// Of these keys. The last version is kept in the state folder.
    pub(crate) fn of(keys: Vec<VerifierKey>, state: &Path) -> Self {
        Self { keys, floor: state.join("policies.version") }
    }

    /// Whether these texts, each with its path, are all that somebody has signed for, and not older than what was in force.
    pub(crate) fn check(&self, folder: &Path, texts: &[(String, String)]) -> Result<Verified, Findings> {
        let path = folder.join(bundle::FILE);
        let wrong = |message: String, help: &str| -> Findings {
            Finding::error(Place::file(&path.display().to_string()), message).help(help).into()
        };
        let sign = "`cloister bundle sign` signs a folder; `policies.signed_by` in cloister.yaml says whose keys count";
        let note = fs::read_to_string(&path).map_err(|error| wrong(format!("cannot be read: {error}"), sign))?;
        let verified = bundle::verify(&note, self.keys.iter(), named(folder, texts));
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
