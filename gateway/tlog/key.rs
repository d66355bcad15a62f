use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::note::Signature;
use crate::{Name, Note};

/// What a key signs, and so how.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyKind {
    /// Notes, such as the checkpoints of a log (Ed25519).
    Log = 0x01,
    /// Checkpoints of others, with the time (cosignature/v1, Ed25519).
    Witness = 0x04,
}

/// The first bytes of the hash over name, kind and public key. With the name it says whose a signature should be.
pub type KeyId = [u8; 4];

/// A public key with its name. Its text is `name+id+key` (`vkey` in C2SP).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VerifierKey {
    name: Name,
    kind: KeyKind,
    id: KeyId,
    public: [u8; 32],
}

/// A private key with its name.
#[derive(Debug)]
pub struct SigningKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

/// Why a text is not a key. The text is not repeated: it may be a private one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKey {
    /// It does not have the parts.
    #[error("a public key is `name+id+base64`, a private one `PRIVATE+KEY+name+id+base64`")]
    Form,
    /// The id is not that of this name and key.
    #[error("the id of the key is not that of its name and its bytes: a part of it was changed")]
    Id,
    /// Not a key that is known here.
    #[error("the key is of a kind that is not known here (Ed25519 for logs is 1, for witnesses 4)")]
    Kind,
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsignable {
    /// A key of the other kind.
    #[error("this key does not sign that")]
    Kind,
    /// No key could be made.
    #[error("the source of random numbers failed")]
    Random,
}

const PRIVATE: &str = "PRIVATE+KEY+";

impl KeyKind {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Log),
            0x04 => Some(Self::Witness),
            _ => None,
        }
    }
}

impl VerifierKey {
    fn new(name: Name, kind: KeyKind, public: [u8; 32]) -> Self {
        let bytes = [name.as_str().as_bytes(), b"\n", &[kind as u8], &public].concat();
        let id = digest(&SHA256, &bytes).as_ref().first_chunk::<4>().copied().unwrap_or_default();
        Self { name, kind, id, public }
    }

    /// Whose it is.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What it verifies.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether this is the same key, whatever it is called.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Whether this key made this signature; if it is a witness's, at which second since the Unix epoch.
    pub(crate) fn verifies(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        match self.kind {
            KeyKind::Log => key.verify(text.as_bytes(), signature).ok().map(|()| None),
            KeyKind::Witness => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                let is_possible = i64::try_from(time).is_ok();
                key.verify(cosigned(text, time).as_bytes(), signature)
                    .ok()
                    .filter(|()| is_possible)
                    .map(|()| Some(time))
            }
        }
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl SigningKey {
    /// A new key of a log.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn generate(name: Name) -> Result<Self, Unsignable> {
        Self::generate_kind(name, KeyKind::Log)
    }

    /// A new key of a witness.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn generate_witness(name: Name) -> Result<Self, Unsignable> {
        Self::generate_kind(name, KeyKind::Witness)
    }

    fn generate_kind(name: Name, kind: KeyKind) -> Result<Self, Unsignable> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed).map_err(|_| Unsignable::Random)?;
        Self::from_seed(name, kind, seed).ok_or(Unsignable::Random)
    }

    fn from_seed(name: Name, kind: KeyKind, seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { verifier: VerifierKey::new(name, kind, public), pair, seed })
    }

    /// Its public part.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Its text: `PRIVATE+KEY+name+id+key`, as Go's `sumdb/note` writes it. To be kept as secrets are.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([&[self.verifier.kind as u8][..], &self.seed[..]].concat());
        let key = Zeroizing::new(STANDARD.encode(&*bytes));
        let VerifierKey { name, id, .. } = &self.verifier;
        Zeroizing::new(format!("{PRIVATE}{name}+{:08x}+{}", u32::from_be_bytes(*id), *key))
    }

    /// Signs a text, which must end with a line end.
    #[must_use]
    pub fn sign(&self, text: &str) -> Note {
        let mut note = Note::unsigned(text);
        note.signatures.push(self.signature(text));
        note
    }

    /// The line that this key adds under a text. (A witness's says when: [`SigningKey::cosign`].)
    #[must_use]
    pub fn signature(&self, text: &str) -> Signature {
        let VerifierKey { name, id, .. } = &self.verifier;
        Signature { name: name.clone(), id: *id, bytes: self.pair.sign(text.as_bytes()).as_ref().to_vec() }
    }

    /// The line with which a witness says that it has seen this checkpoint, at this second since the Unix epoch, and that
    /// it follows on what it has seen of that log before.
    ///
    /// # Errors
    /// The key is not that of a witness.
    pub fn cosign(&self, checkpoint: &Note, time: u64) -> Result<Signature, Unsignable> {
        if self.verifier.kind != KeyKind::Witness {
            return Err(Unsignable::Kind);
        }
        let signature = self.pair.sign(cosigned(checkpoint.text(), time).as_bytes());
        let bytes = [&time.to_be_bytes()[..], signature.as_ref()].concat();
        Ok(Signature { name: self.verifier.name.clone(), id: self.verifier.id, bytes })
    }
}

/// The parts of `name+id+key`: a name has no `+`, and base64 may have some.
fn parts(text: &str) -> Result<(Name, KeyId, Zeroizing<Vec<u8>>), InvalidKey> {
    let mut parts = text.splitn(3, '+');
    let mut part = || parts.next().ok_or(InvalidKey::Form);
    let (name, id, key) = (part()?, part()?, part()?);
    let is_hex = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| is_hex).ok_or(InvalidKey::Form)?;
    let key = STANDARD.decode(key).map(Zeroizing::new).map_err(|_| InvalidKey::Form)?;
    Ok((name.parse().map_err(|_| InvalidKey::Form)?, id.to_be_bytes(), key))
}

fn kind_and_key(bytes: &[u8]) -> Result<(KeyKind, [u8; 32]), InvalidKey> {
    let (kind, key) = bytes.split_first().ok_or(InvalidKey::Form)?;
    let kind = KeyKind::of(*kind).ok_or(InvalidKey::Kind)?;
    Ok((kind, key.try_into().map_err(|_| InvalidKey::Form)?))
}

impl FromStr for VerifierKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id, bytes) = parts(text)?;
        let (kind, public) = kind_and_key(&bytes)?;
        let key = Self::new(name, kind, public);
        (key.id == id).then_some(key).ok_or(InvalidKey::Id)
    }
}

impl FromStr for SigningKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id, bytes) = parts(text.strip_prefix(PRIVATE).ok_or(InvalidKey::Form)?)?;
        let (kind, seed) = kind_and_key(&bytes)?;
        let key = Self::from_seed(name, kind, Zeroizing::new(seed)).ok_or(InvalidKey::Form)?;
        (key.verifier.id == id).then_some(key).ok_or(InvalidKey::Id)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind as u8][..], &self.public].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(key))
    }
}
