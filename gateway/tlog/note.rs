use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{KeyId, Name, VerifierKey};

/// The largest note, and how many signatures it may have: more than any log or its witnesses need.
const BYTES_MAX: usize = 1 << 20;
const SIGNATURES_MAX: usize = 256;

/// A text and who has signed it (C2SP signed-note). Nothing in it is to be believed before [`Note::verify`] has said so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    pub(crate) signatures: Vec<Signature>,
}

/// A line under a note. Whose it is, is what it says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// The name of the key.
    pub name: Name,
    /// The id of the key.
    pub id: KeyId,
    /// What the key has made.
    pub bytes: Vec<u8>,
}

/// A signature that was verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signed<'k> {
    /// With which key.
    pub key: &'k VerifierKey,
    /// When, in seconds since the Unix epoch, if it is a witness's.
    pub at: Option<u64>,
}

/// Why a text is not a note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNote {
    /// There are control characters in it.
    #[error("the note has control characters")]
    Control,
    /// It is larger, or has more signatures, than any note needs.
    #[error("the note has more than 1 MiB or more than 256 signatures")]
    Large,
    /// A line below the last empty one is not a signature.
    #[error("a line under the note is not a signature: `— name base64`")]
    Signature,
    /// There is no empty line, or nothing before it or after it.
    #[error("a note is a text, an empty line and signatures, each line with its end")]
    Text,
}

/// Why a note is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untrusted {
    /// A key that is known has not made the signature that is said to be its own.
    #[error("the signature of `{0}` does not verify")]
    Forged(Name),
    /// No key that is known has signed it.
    #[error("no key that is known here has signed it")]
    Unknown,
}

impl Note {
    pub(crate) fn unsigned(text: &str) -> Self {
        Self { text: text.to_owned(), signatures: Vec::new() }
    }

    /// What is signed, with its last line end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Who says that it has signed it.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a line under it, unless the same key has one there already: then that is replaced.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|other| (&other.name, other.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
    }

    /// The same, with the lines of these keys alone.
    #[must_use]
    pub fn signed_only_by(&self, keys: &[&VerifierKey]) -> Self {
        let mut note = self.clone();
        note.signatures.retain(|line| keys.iter().any(|key| key.id() == line.id && *key.name() == line.name));
        note
    }

    /// Whether there is a line that says that it is of this key. Whether it is, [`Note::verify`] says.
    #[must_use]
    pub fn names(&self, key: &VerifierKey) -> bool {
        self.signatures.iter().any(|line| line.id == key.id() && line.name == *key.name())
    }

    /// The signatures by these keys. Those by others are passed over, as keys are rotated and witnesses come and go.
    ///
    /// # Errors
    /// There is none, or one that should be of one of the keys is not.
    pub fn verify<'k>(
        &self,
        keys: impl Iterator<Item = &'k VerifierKey> + Clone,
    ) -> Result<Vec<Signed<'k>>, Untrusted> {
        let mut signed: Vec<Signed<'k>> = Vec::new();
        for signature in &self.signatures {
            let of_this = |key: &&VerifierKey| key.id() == signature.id && *key.name() == signature.name;
            let Some(key) = keys.clone().find(of_this) else { continue };
            // FAIL CLOSED: one bad signature by a key that is known spoils the note, whoever else has signed it.
            let at = key.verifies(&self.text, &signature.bytes);
            let at = at.ok_or_else(|| Untrusted::Forged(signature.name.clone()))?;
            if !signed.iter().any(|known| known.key == key) {
                signed.push(Signed { key, at });
            }
        }
        if signed.is_empty() { Err(Untrusted::Unknown) } else { Ok(signed) }
    }
}

impl FromStr for Note {
    type Err = InvalidNote;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        if note.len() > BYTES_MAX {
            return Err(InvalidNote::Large);
        }
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(InvalidNote::Control);
        }
        // The text ends with a line end of its own; the empty line that follows is the last one there is.
        let end = note.rfind("\n\n").ok_or(InvalidNote::Text)? + 1;
        let (text, below) = note.split_at(end);
        let lines = below.strip_prefix('\n').and_then(|below| below.strip_suffix('\n')).ok_or(InvalidNote::Text)?;
        if text.len() < 2 {
            return Err(InvalidNote::Text);
        }
        let signatures = lines.split('\n').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(InvalidNote::Large);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }
}

impl FromStr for Signature {
    type Err = InvalidNote;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let parts = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
        let (name, signature) = parts.ok_or(InvalidNote::Signature)?;
        let bytes = STANDARD.decode(signature).map_err(|_| InvalidNote::Signature)?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(InvalidNote::Signature)?;
        let name = name.parse().map_err(|_| InvalidNote::Signature)?;
        if bytes.is_empty() {
            return Err(InvalidNote::Signature);
        }
        Ok(Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
