use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tlog::{InvalidNote, Name, Note, SigningKey, Untrusted, VerifierKey};

use crate::Sum;

const HEAD: &str = "cloister-policies/v1";

/// More files than anybody has, and longer names.
const FILES_MAX: usize = 10_000;
const NAME_MAX: usize = 512;

/// What is in a set of files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    version: u64,
    files: BTreeMap<String, Sum>,
}

/// A set of files that somebody has signed for whose key is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Its version.
    pub version: u64,
    /// The SHA-256 of what was signed.
    pub digest: Sum,
    /// What the keys are called that have signed it.
    pub by: Vec<Name>,
}

/// Why there can be no manifest of these files.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidManifest {
    /// A line is not one that a manifest has.
    #[error(
        "line {0} of the manifest is not one: `cloister-policies/v1`, `version <n>`, then `sha256 <hex> <file>`, sorted"
    )]
    Line(usize),
    /// There are too many files.
    #[error("a bundle has at most {FILES_MAX} files")]
    Many,
    /// The name of a file cannot stand there.
    #[error(
        "`{0}` cannot be the name of a file in a bundle: it is empty, long, absolute, or has control characters or `..`"
    )]
    Name(String),
    /// A version begins at 1.
    #[error("a version is a number from 1 on")]
    Version,
}

/// Why files are not a set that somebody signed for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotSigned {
    /// A file is not as it was.
    #[error("`{0}` is not the file that was signed for")]
    Changed(String),
    /// The note does not say what is in it.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A file is not there.
    #[error("`{0}` was signed for and is not there")]
    Missing(String),
    /// It is no note.
    #[error(transparent)]
    Note(#[from] InvalidNote),
    /// Nobody has signed for this file.
    #[error("nobody has signed for `{0}`")]
    Unlisted(String),
    /// Nobody has signed it whose key is known.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl Manifest {
    /// What is in these files, each with its name (with `/`, below the folder of the bundle) and its content.
    ///
    /// # Errors
    /// There are too many, or one cannot be named.
    pub fn of<'f>(version: u64, files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, InvalidManifest> {
        if version == 0 {
            return Err(InvalidManifest::Version);
        }
        let mut listed = BTreeMap::new();
        for (name, text) in files {
            check_name(name)?;
            listed.insert(name.to_owned(), Sum::of(text.as_bytes()));
        }
        if listed.len() > FILES_MAX {
            return Err(InvalidManifest::Many);
        }
        Ok(Self { version, files: listed })
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Note {
        key.sign(&self.to_string())
    }
}

/// Whether these files, each with its name and its content, are a set that one of these keys has signed for: no file more, none
/// less, and each as it was.
///
/// # Errors
/// They are not.
pub fn verify<'k, 'f>(
    note: &str,
    keys: impl Iterator<Item = &'k VerifierKey> + Clone,
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Result<Verified, NotSigned> {
    let note: Note = note.parse()?;
    // ORDER: nothing that the note says is looked at before its signature.
    let signed = note.verify(keys)?;
    let Manifest { version, files: mut listed } = note.text().parse()?;
    for (name, text) in files {
        match listed.remove(name) {
            None => return Err(NotSigned::Unlisted(name.to_owned())),
            Some(expected) if expected != Sum::of(text.as_bytes()) => return Err(NotSigned::Changed(name.to_owned())),
            Some(_) => {}
        }
    }
    if let Some((missing, _)) = listed.pop_first() {
        return Err(NotSigned::Missing(missing));
    }
    let by = signed.iter().map(|signed| signed.key.name().clone()).collect();
    Ok(Verified { version, digest: Sum::of(note.text().as_bytes()), by })
}

/// As it is signed. One manifest has one text, so that one version has one digest.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\nversion {}", self.version)?;
        self.files.iter().try_for_each(|(name, sum)| writeln!(f, "sha256 {sum} {name}"))
    }
}

impl FromStr for Manifest {
    type Err = InvalidManifest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(InvalidManifest::Line(1));
        }
        let version = lines.next().and_then(|line| line.strip_prefix("version ")?.parse().ok());
        let version: u64 = version.ok_or(InvalidManifest::Line(2))?;
        let mut files = BTreeMap::new();
        for (at, line) in lines.enumerate() {
            let file = line.strip_prefix("sha256 ").and_then(|rest| rest.split_once(' '));
            let file = file.and_then(|(sum, name)| Some((name, sum.parse().ok()?)));
            let (name, sum) = file.ok_or(InvalidManifest::Line(at + 3))?;
            check_name(name)?;
            files.insert(name.to_owned(), sum);
        }
        if files.len() > FILES_MAX {
            return Err(InvalidManifest::Many);
        }
        let manifest = Self { version, files };
        // Sorted, each once, in the one spelling that there is.
        if version == 0 || manifest.to_string() != text {
            return Err(InvalidManifest::Line(text.lines().count()));
        }
        Ok(manifest)
    }
}

fn check_name(name: &str) -> Result<(), InvalidManifest> {
    let is_plain = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(char::is_control);
    let is_below = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if is_plain && is_below { Ok(()) } else { Err(InvalidManifest::Name(name.escape_debug().to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 2] = [("a.yaml", "roles: {}\n"), ("sub/b.yaml", "routes: []\n")];

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(name.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_bundle_is_exactly_the_files_that_were_signed_for() {
        let (ours, other) = (key("ours"), key("other"));
        let note = Manifest::of(3, FILES).unwrap().sign(&ours).to_string();
        let look = |note: &str, files: &[(&'static str, &'static str)]| {
            verify(note, [ours.verifier()].into_iter(), files.iter().copied()).map(|verified| verified.version)
        };
        assert_eq!(look(&note, &FILES), Ok(3));
        assert_eq!(look(&note, &[FILES[1], FILES[0]]), Ok(3), "in whatever order they were read");
        let [first, second] = FILES;
        let changed = |name: &str| Err(NotSigned::Changed(name.to_owned()));
        for (files, expected) in [
            (vec![first], Err(NotSigned::Missing("sub/b.yaml".to_owned()))),
            (vec![first, second, ("c.yaml", "")], Err(NotSigned::Unlisted("c.yaml".to_owned()))),
            (vec![first, second, first], Err(NotSigned::Unlisted("a.yaml".to_owned()))),
            (vec![("a.yaml", "roles: {} \n"), second], changed("a.yaml")),
            (vec![("a.yaml", second.1), ("sub/b.yaml", first.1)], changed("a.yaml")),
        ] {
            assert_eq!(look(&note, &files), expected, "{files:?}");
        }
        let by_other = Manifest::of(3, FILES).unwrap().sign(&other).to_string();
        assert_eq!(look(&by_other, &FILES), Err(Untrusted::Unknown.into()));
        let raised = note.replace("version 3", "version 4");
        assert!(matches!(look(&raised, &FILES), Err(NotSigned::Untrusted(Untrusted::Forged(_)))));
    }

    #[test]
    fn a_manifest_has_one_spelling() {
        let text = Manifest::of(3, FILES).unwrap().to_string();
        assert_eq!(text.parse::<Manifest>().unwrap().to_string(), text);
        let lines: Vec<&str> = text.lines().collect();
        for other in [
            text.replace("version 3", "version 03"),
            text.replace("version 3", "version 0"),
            text.replace("version 3", "version +3"),
            text.replace("/v1", "/v2"),
            text.trim_end().to_owned(),
            format!("{}\n{}\n{}\n{}\n", lines[0], lines[1], lines[3], lines[2]),
            format!("{text}{}\n", lines[3]),
            text.replace("sub/b.yaml", "../b.yaml"),
            text.replace("sub/b.yaml", "/b.yaml"),
            text.to_uppercase(),
        ] {
            assert!(other.parse::<Manifest>().is_err(), "{other}");
        }
        assert_eq!(Manifest::of(0, FILES), Err(InvalidManifest::Version));
        assert!(Manifest::of(1, [("a\n.yaml", "")]).is_err());
    }
}
