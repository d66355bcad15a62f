use crate::private::{PrivateFileError, read_private};
use crate::reference::{Reference, Source};
use crate::{Environment, MAX, Secret};

/// Why a secret is not to be had. Each says where, what and what to do about it; none says anything of the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is nothing but, at most, a line end.
    #[error("the secret `{0}` is empty; put the value there")]
    Empty(Reference),
    /// The file cannot be had, or is not fit to hold a secret.
    #[error("the secret `{reference}` cannot be read")]
    File {
        /// Which secret.
        reference: Reference,
        /// Why, and what to do.
        source: PrivateFileError,
    },
    /// More than [`MAX`] bytes.
    #[error("the secret `{0}` is larger than 64 KiB; check that it names the right one")]
    Large(Reference),
    /// The environment variable is not set.
    #[error("the secret `{0}` is not set; set this environment variable, or name a file with `${{file:/path}}`")]
    Unset(Reference),
    /// It is in Vault, and may not be: who proves to Vault who it is cannot get the proof there.
    #[error("the secret `{0}` cannot be in Vault; name a file with `${{file:/path}}`, or write `${{env:NAME}}`")]
    Vault(Reference),
}

/// Fetches the secret that a reference names; those in Vault are fetched by the part that speaks with it. One line end (`\n` or `\r\n`) after the value is not part of it.
///
/// # Errors
/// The secret is not there, empty, too large, or lies in a file that others can read or change.
pub fn resolve(reference: &Reference, environment: &dyn Environment) -> Result<Secret<Vec<u8>>, SecretError> {
    let value = match reference.source() {
        Source::Environment(name) => environment.variable(name).ok_or_else(|| SecretError::Unset(reference.clone()))?,
        Source::File(path) => read_private(path).map_err(|source| match source {
            PrivateFileError::Large(_) => SecretError::Large(reference.clone()),
            PrivateFileError::Create { .. }
            | PrivateFileError::Folder { .. }
            | PrivateFileError::Kind(_)
            | PrivateFileError::Mode { .. }
            | PrivateFileError::Owner { .. }
            | PrivateFileError::Read { .. } => SecretError::File { reference: reference.clone(), source },
        })?,
        Source::Vault(_) => return Err(SecretError::Vault(reference.clone())),
    };
    accept(reference, value)
}

/// Takes a value that is the secret of this reference. One line end (`\n` or `\r\n`) after the value is not part of it.
///
/// # Errors
/// It is empty, or too large.
pub fn accept(reference: &Reference, value: Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, SecretError> {
    let value = value.without_line_end();
    match value.expose().len() {
        0 => Err(SecretError::Empty(reference.clone())),
        length if length > MAX => Err(SecretError::Large(reference.clone())),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn file(folder: &Path, content: &[u8]) -> Reference {
        let path = folder.join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Reference::file(&path).unwrap()
    }

    #[test]
    fn a_file_gives_its_content_without_the_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in [
            (&b"key"[..], &b"key"[..]),
            (b"key\n", b"key"),
            (b"key\r\n", b"key"),
            (b"key\n\n", b"key\n"),
            (b" key ", b" key "),
            (b"\x00\xff", b"\x00\xff"),
        ] {
            let secret = resolve(&file(folder.path(), content), &BTreeMap::new()).unwrap();
            assert_eq!(secret.expose(), expected);
        }
    }

    #[test]
    fn an_empty_secret_and_a_huge_one_are_refused_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let huge = "k".repeat(MAX + 1);
        let environment = BTreeMap::from([("EMPTY".into(), String::new()), ("HUGE".into(), huge.clone())]);
        let from = |reference: &str| resolve(&reference.parse().unwrap(), &environment);
        assert!(matches!(from("${env:EMPTY}"), Err(SecretError::Empty(_))));
        assert!(matches!(from("${env:HUGE}"), Err(SecretError::Large(_))));
        assert!(matches!(from("${env:ABSENT}"), Err(SecretError::Unset(_))));
        for (content, large) in [(&b"\n"[..], false), (b"", false), (huge.as_bytes(), true)] {
            let error = resolve(&file(folder.path(), content), &environment).unwrap_err();
            assert!(matches!(error, SecretError::Large(_)) == large, "{error}");
            assert!(matches!(error, SecretError::Empty(_)) != large, "{error}");
        }
        let most = "k".repeat(MAX);
        assert_eq!(resolve(&file(folder.path(), most.as_bytes()), &environment).unwrap().expose().len(), MAX);
    }

    #[test]
    fn an_error_names_the_place_and_the_remedy_but_not_the_value() {
        let folder = tempfile::tempdir().unwrap();
        let reference = file(folder.path(), b"hunter2");
        let path = folder.path().join("secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = resolve(&reference, &BTreeMap::new()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(cause.contains("0644") && cause.contains("chmod 600"), "{cause}");
        assert!(!format!("{error:?}{error}{cause}").contains("hunter2"));
    }

    #[test]
    fn the_environment_of_the_process_is_read_byte_for_byte() {
        let reference = "${env:CARGO_PKG_NAME}".parse().unwrap();
        assert_eq!(resolve(&reference, &crate::ProcessEnvironment).unwrap().expose(), b"secrets");
    }
}
