use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::VaultPlace;

/// Where a secret is to be had: `${file:/absolute/path}`, `${env:NAME}` or `${vault:MOUNT/PATH#FIELD}`. Never the secret itself.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct Reference(Source);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Source {
    Environment(String),
    File(PathBuf),
    Vault(VaultPlace),
}

/// Why a text is not a reference. The text is not repeated: it may be a secret that someone wrote down.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidReference {
    /// Neither `${file:…}` nor `${env:…}` nor `${vault:…}`.
    #[error(
        "a secret is not written into a file: put it into a file of its own and write `${{file:/path/to/it}}`, or into an environment variable and write `${{env:NAME}}`, or into Vault and write `${{vault:MOUNT/PATH#FIELD}}`"
    )]
    Literal,
    /// A name that an environment variable cannot have.
    #[error("the name of an environment variable has letters, digits and `_`, and does not start with a digit")]
    Name,
    /// A path that is empty, relative, or has a control character.
    #[error("the path of a secret is absolute: `${{file:/run/secrets/name}}`")]
    Path,
    /// A place in Vault that has no mount, no path, no field or other characters.
    #[error(
        "a secret in Vault is `${{vault:MOUNT/PATH#FIELD}}`, of letters, digits and `_ - .`; a mount with a slash in its name ends with a colon: `${{vault:team/kv:PATH#FIELD}}`"
    )]
    Vault,
}

impl Reference {
    /// A file, for parts that choose the path themselves.
    ///
    /// # Errors
    /// The path is relative or has a control character.
    pub fn file(path: &Path) -> Result<Self, InvalidReference> {
        let text = path.to_str().ok_or(InvalidReference::Path)?;
        let plain = path.is_absolute() && !text.contains(|c: char| c.is_control() || matches!(c, '{' | '}'));
        plain.then(|| Self(Source::File(path.to_owned()))).ok_or(InvalidReference::Path)
    }

    /// Where it is in Vault, if it is there.
    #[must_use]
    pub const fn vault(&self) -> Option<&VaultPlace> {
        match &self.0 {
            Source::Environment(_) | Source::File(_) => None,
            Source::Vault(place) => Some(place),
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match inside.and_then(|inside| inside.split_once(':')) {
            Some(("env", name)) => {
                let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                match name.bytes().next() {
                    Some(first) if word && !first.is_ascii_digit() => Ok(Self(Source::Environment(name.into()))),
                    Some(_) | None => Err(InvalidReference::Name),
                }
            }
            Some(("file", path)) => Self::file(Path::new(path)),
            Some(("vault", place)) => place.parse().map(|place| Self(Source::Vault(place))),
            Some(_) | None => Err(InvalidReference::Literal),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // The text may be a secret that was written where only a reference may stand.
        zeroize::Zeroizing::new(text).parse()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Environment(name) => write!(f, "${{env:{name}}}"),
            Source::File(path) => write!(f, "${{file:{}}}", path.display()),
            Source::Vault(place) => write!(f, "${{vault:{place}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_names_a_file_or_a_variable_and_nothing_else() {
        for text in ["${file:/run/secrets/key}", "${file:/a b/c:d}", "${env:KEY}", "${env:_k2}", "${vault:kv/a/b#c}"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for (text, why) in [
            ("hunter2", InvalidReference::Literal),
            ("", InvalidReference::Literal),
            ("$KEY", InvalidReference::Literal),
            ("${KEY}", InvalidReference::Literal),
            ("${vault:secret/x}", InvalidReference::Vault),
            ("${vault:secret/x#y}${env:KEY}", InvalidReference::Vault),
            ("x${env:KEY}", InvalidReference::Literal),
            ("${env:KEY} ", InvalidReference::Literal),
            ("${env:}", InvalidReference::Name),
            ("${env:1KEY}", InvalidReference::Name),
            ("${env:KEY}${env:OTHER}", InvalidReference::Name),
            ("${env:A=B}", InvalidReference::Name),
            ("${file:}", InvalidReference::Path),
            ("${file:key}", InvalidReference::Path),
            ("${file:../key}", InvalidReference::Path),
            ("${file:/a\n}", InvalidReference::Path),
            ("${file:/a}${file:/b}", InvalidReference::Path),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_secret_written_down_is_refused_with_the_remedy_and_not_repeated() {
        let error = serde_json::from_str::<Reference>(r#""hunter2""#).unwrap_err().to_string();
        assert!(error.contains("${file:") && error.contains("${env:"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn what_parses_prints_back_the_same(text in r"\$\{(env|file|vault):[/A-Za-z_0-9. :#{}$]{0,12}\}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
