use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use crate::header::LONGEST_KID;
use crate::json::Json;
use crate::weak::is_roca;
use crate::{Algorithm, TokenError};

/// One public key of an issuer, bound to what it may verify.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) kid: Option<Box<str>>,
    kind: Kind,
    /// The one algorithm that the issuer keeps this key for, if it says so.
    only: Option<Algorithm>,
    decoding: DecodingKey,
    /// The key itself, to tell whether it has changed.
    material: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidKey {
    #[error("a part is missing, or is not canonical base64url")]
    Encoding,
    #[error("`kid` is not a text of 1 to 256 bytes")]
    Kid,
    #[error("this is not a public key of its kind")]
    Point,
    #[error("it has its private part in it, and is no secret any more")]
    Private,
    #[error("rsa needs 2048 to 8192 bits and an odd exponent from 3 to 33 bits long")]
    Rsa,
    #[error("its private part can be computed (CVE-2017-15361)")]
    Weak,
    #[error("`alg`, `use` or `key_ops` is not what it should be")]
    Use,
}

impl Key {
    /// Reads a JWK (RFC 7517 §4). A key that is of no use here (another kind, another purpose) is `None`; one that
    /// looks right and is wrong is an error.
    pub(crate) fn read(jwk: &BTreeMap<String, Json>) -> Result<Option<Self>, InvalidKey> {
        let text = |name: &str| jwk.get(name).and_then(Json::as_text);
        let kind = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Kind::Rsa,
            (Some("EC"), Some("P-256")) => Kind::P256,
            (Some("EC"), Some("P-384")) => Kind::P384,
            (Some("OKP"), Some("Ed25519")) => Kind::Ed25519,
            _ => return Ok(None),
        };
        let Some(only) = purpose(jwk)? else {
            return Ok(None);
        };
        if only.is_some_and(|algorithm| !kind.fits(algorithm)) {
            return Err(InvalidKey::Use);
        }
        if jwk.contains_key("d") {
            return Err(InvalidKey::Private);
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(Json::Text(kid)) if (1..=LONGEST_KID).contains(&kid.len()) => Some(kid.as_str().into()),
            Some(_) => return Err(InvalidKey::Kid),
        };
        let part = |name: &str| {
            let decoded = text(name).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
            decoded.filter(|part| !part.is_empty()).ok_or(InvalidKey::Encoding)
        };
        let (decoding, material) = match kind {
            Kind::Rsa => rsa(&part("n")?, &part("e")?)?,
            Kind::P256 => point(&part("x")?, &part("y")?, 32, &ECDSA_P256_SHA256_FIXED)?,
            Kind::P384 => point(&part("x")?, &part("y")?, 48, &ECDSA_P384_SHA384_FIXED)?,
            Kind::Ed25519 => {
                let x = part("x")?;
                ParsedPublicKey::new(&ED25519, &x).map_err(|_| InvalidKey::Point)?;
                (DecodingKey::from_ed_der(&x), x)
            }
        };
        Ok(Some(Self { kid, kind, only, decoding, material }))
    }

    /// Whether a token of this algorithm may be verified with this key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.fits(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether this is that key, unchanged.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.kid == other.kid && self.kind == other.kind && self.only == other.only && self.material == other.material
    }

    /// Verifies a signature. The library is asked for nothing else: it would look at the claims with a clock of its own,
    /// take the last of two equal names, and let `exp` be absent where it is not told otherwise.
    pub(crate) fn verify(&self, signed: &str, signature: &str, algorithm: Algorithm) -> Result<(), TokenError> {
        // INVARIANT: `KeySet::choose` gave this key for this algorithm. Asked again, since all rests on it.
        if !self.fits(algorithm) {
            return Err(TokenError::Algorithm("it does not fit the key"));
        }
        // FAIL CLOSED: whatever the library cannot do is a signature that does not verify.
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm.in_library()) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

impl Kind {
    const fn fits(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::ES256 => matches!(self, Self::P256),
            Algorithm::ES384 => matches!(self, Self::P384),
            Algorithm::EdDSA => matches!(self, Self::Ed25519),
            Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512 => matches!(self, Self::Rsa),
        }
    }
}

/// `Some` if the key is for verifying signatures, and inside it the one algorithm, if one is named.
fn purpose(jwk: &BTreeMap<String, Json>) -> Result<Option<Option<Algorithm>>, InvalidKey> {
    match jwk.get("use").map(Json::as_text) {
        None | Some(Some("sig")) => {}
        Some(Some(_)) => return Ok(None),
        Some(None) => return Err(InvalidKey::Use),
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_list().ok_or(InvalidKey::Use)?;
        if !operations.iter().any(|operation| operation.as_text() == Some("verify")) {
            return Ok(None);
        }
    }
    match jwk.get("alg").map(Json::as_text) {
        None => Ok(Some(None)),
        Some(Some("Ed25519")) => Ok(Some(Some(Algorithm::EdDSA))), // RFC 9864 §2.2
        // An algorithm that is none of ours: the key is for something else.
        Some(Some(name)) => Ok(name.parse().ok().map(Some)),
        Some(None) => Err(InvalidKey::Use),
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<(DecodingKey, Vec<u8>), InvalidKey> {
    let bits = |number: &[u8]| number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let sized = (2_048..=8_192).contains(&bits(modulus)) && (2..=33).contains(&bits(exponent));
    if !(sized && odd(modulus) && odd(exponent)) {
        return Err(InvalidKey::Rsa);
    }
    if is_roca(modulus) {
        return Err(InvalidKey::Weak);
    }
    RsaPublicKeyComponents { n: modulus, e: exponent }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| InvalidKey::Rsa)?;
    let material = [modulus, b"/", exponent].concat();
    Ok((DecodingKey::from_rsa_raw_components(modulus, exponent), material))
}

/// An uncompressed point (SEC 1 §2.3.3) of coordinates with their full length (RFC 7518 §6.2.1.2), on its curve.
fn point(
    x: &[u8],
    y: &[u8],
    length: usize,
    curve: &'static dyn VerificationAlgorithm,
) -> Result<(DecodingKey, Vec<u8>), InvalidKey> {
    if x.len() != length || y.len() != length {
        return Err(InvalidKey::Point);
    }
    let material = [&[4], x, y].concat();
    ParsedPublicKey::new(curve, &material).map_err(|_| InvalidKey::Point)?;
    Ok((DecodingKey::from_ec_der(&material), material))
}
