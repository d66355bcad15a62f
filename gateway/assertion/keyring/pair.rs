use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrets::Secret;

use super::Algorithm;
use crate::claims::push_base64url;

/// A private key and its public one.
pub(super) enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// The parts of a key as a file has them (RFC 7518 §6, RFC 8037 §2), each in base64url.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) x: Option<&'a str>,
    pub(super) y: Option<&'a str>,
    pub(super) n: Option<&'a str>,
    pub(super) e: Option<&'a str>,
    pub(super) private: &'a Secret<String>,
}

/// The longest signature, in bytes: that of an RSA key of 4096 bits.
const LONGEST: usize = 512;

/// RSA keys are of 2048 to 4096 bits, here in bytes.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=LONGEST;

impl Pair {
    pub(super) fn generate(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Self::EdDsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Es256),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rs256),
        }
        .ok()
    }

    /// `None`: the parts are not a pair for this algorithm.
    pub(super) fn assemble(algorithm: Algorithm, parts: &Parts<'_>) -> Option<Self> {
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let coordinate = |text: Option<&str>| decode(text?).filter(|octets| octets.len() == 32);
        let private = Secret::new(decode(parts.private.expose())?);
        match (algorithm, parts) {
            (Algorithm::EdDsa, Parts { x, y: None, n: None, e: None, .. }) => {
                Ed25519KeyPair::from_seed_and_public_key(private.expose(), &coordinate(*x)?).ok().map(Self::EdDsa)
            }
            (Algorithm::Es256, Parts { x, y, n: None, e: None, .. }) if private.expose().len() == 32 => {
                let point = [vec![4], coordinate(*x)?, coordinate(*y)?].concat();
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(signing, private.expose(), &point).ok().map(Self::Es256)
            }
            (Algorithm::Rs256, Parts { x: None, y: None, n, e, .. }) => {
                let pair = RsaKeyPair::from_pkcs8(private.expose()).ok()?;
                let public = pair.public_key();
                let same = *public.modulus().big_endian_without_leading_zero() == *decode((*n)?)?
                    && *public.exponent().big_endian_without_leading_zero() == *decode((*e)?)?;
                (same && MODULUS.contains(&pair.public_modulus_len())).then_some(Self::Rs256(pair))
            }
            (Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Rs256, _) => None,
        }
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// The public members of the JWK that every key of this kind has, in lexical order: what its thumbprint is made of.
    pub(super) fn members(&self) -> String {
        match self {
            Self::EdDsa(pair) => {
                format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, base64url(pair.public_key().as_ref()))
            }
            Self::Es256(pair) => {
                // An uncompressed point is `04 x y` (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, base64url(x), base64url(y))
            }
            Self::Rs256(pair) => {
                let public = pair.public_key();
                let (modulus, exponent) = (public.modulus(), public.exponent());
                let number = |octets: &[u8]| base64url(octets);
                let e = number(exponent.big_endian_without_leading_zero());
                format!(r#""e":"{e}","kty":"RSA","n":"{}""#, number(modulus.big_endian_without_leading_zero()))
            }
        }
    }

    /// The private part, as a file has it.
    pub(super) fn private_text(&self) -> Option<Secret<String>> {
        match self {
            Self::EdDsa(pair) => Some(text(pair.seed().ok()?.as_be_bytes().ok()?.as_ref())),
            Self::Es256(pair) => Some(text(pair.private_key().as_be_bytes().ok()?.as_ref())),
            Self::Rs256(pair) => Some(text(pair.as_der().ok()?.as_ref())),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Option<Signed> {
        let mut signed = Signed { room: [0; LONGEST], length: 0 };
        match self {
            Self::EdDsa(pair) => signed.take(pair.try_sign(message).ok()?.as_ref()),
            Self::Es256(pair) => signed.take(pair.sign(&SystemRandom::new(), message).ok()?.as_ref()),
            Self::Rs256(pair) => {
                signed.length = pair.public_modulus_len();
                let signature = signed.room.get_mut(..signed.length)?;
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, signature).ok()
            }
        }?;
        Some(signed)
    }
}

/// A signature, where it costs no allocation.
pub(crate) struct Signed {
    room: [u8; LONGEST],
    length: usize,
}

impl Signed {
    fn take(&mut self, octets: &[u8]) -> Option<()> {
        self.length = octets.len();
        self.room.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(())
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

fn base64url(octets: &[u8]) -> String {
    let mut text = String::new();
    push_base64url(&mut text, octets);
    text
}

fn text(private: &[u8]) -> Secret<String> {
    // Enough, so that no copy is left behind by growing.
    let mut text = String::with_capacity(private.len() * 4 / 3 + 4);
    push_base64url(&mut text, private);
    Secret::new(text)
}
