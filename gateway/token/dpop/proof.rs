use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ProofError, thumbprint};
use crate::claims::Claims;
use crate::compact::Compact;
use crate::json::{Bounds, Json, parse_object};
use crate::key::Key;
use crate::{Algorithm, TokenError};

/// A proof as it was written. Nothing of it counts before its signature has been verified, by a key that its token names.
pub(crate) struct Proof<'p> {
    signed: &'p str,
    signature: &'p str,
    algorithm: Algorithm,
    key: Key,
    thumbprint: [u8; 32],
    claims: Claims,
}

/// The longest proof, in bytes: one by the largest key of RSA stays below it.
const LONGEST: usize = 4_096;
const LONGEST_JTI: usize = 255;
const LONGEST_URL: usize = 4_096;
const LONGEST_NONCE: usize = 255;
const MOST_CLAIMS: usize = 32;

const BOUNDS: Bounds = Bounds { depth: 4, values: 64 };

/// What has no place in the header of a proof: it brings its key in `jwk`, and nothing else.
const REFUSED: [&str; 7] = ["b64", "crit", "enc", "jku", "x5c", "x5u", "zip"];

/// What only whoever has the private key knows (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

impl<'p> Proof<'p> {
    pub(crate) fn parse(text: &'p str, allowed: &[Algorithm]) -> Result<Self, ProofError> {
        if text.len() > LONGEST {
            return Err(ProofError::Malformed("it is too long"));
        }
        let parts = Compact::parse(text).map_err(|_| ProofError::Malformed("it is no compact jws"))?;
        let header = parse_object(&parts.header, BOUNDS)
            .map_err(|_| ProofError::Malformed("the header is no json, or not in one way alone"))?;
        if REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err(ProofError::Malformed("the header has something that must not be there"));
        }
        let typ = header.get("typ").and_then(Json::as_text);
        if !typ.is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
            return Err(ProofError::Malformed("`typ` is not `dpop+jwt`"));
        }
        let algorithm = header.get("alg").and_then(Json::as_text).and_then(|name| name.parse().ok());
        let algorithm: Algorithm = algorithm
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(ProofError::Malformed("`alg` is not one that proofs may have"))?;
        let jwk = header.get("jwk").and_then(Json::as_object).ok_or(ProofError::Key("`jwk` is no key"))?;
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(ProofError::Key("it has its private part in it, and is no secret any more"));
        }
        let unfit = ProofError::Key("it is none that can be used");
        let key = Key::read(jwk).map_err(|_| unfit)?.filter(|key| key.fits(algorithm)).ok_or(unfit)?;
        let thumbprint = thumbprint::of(jwk).ok_or(unfit)?;
        let claims = Claims::parse(&parts.payload)
            .map_err(|_| ProofError::Malformed("the claims are no json, or not in one way alone"))?;
        if claims.len() > MOST_CLAIMS {
            return Err(ProofError::Malformed("there are too many claims"));
        }
        Ok(Self { signed: parts.signed, signature: parts.signature, algorithm, key, thumbprint, claims })
    }

    /// The key is the one that the token is bound to. Both are public, so that the time this takes says nothing.
    pub(crate) fn is_by(&self, key: &[u8; 32]) -> Result<(), ProofError> {
        if self.thumbprint == *key { Ok(()) } else { Err(ProofError::Key("the token is bound to another one")) }
    }

    pub(crate) fn is_signed(&self) -> Result<(), ProofError> {
        self.key.verify(self.signed, self.signature, self.algorithm).map_err(|_| ProofError::Signature)
    }

    /// `htm` and `htu` (RFC 9449 §4.3, checks 8 and 9).
    pub(crate) fn is_for(&self, method: &str, is_of_request: impl FnOnce(&str) -> bool) -> Result<(), ProofError> {
        let named = |name, longest| self.text(name, longest, "`htm` or `htu` is missing, or no text");
        if named("htm", LONGEST_URL)? == method && is_of_request(named("htu", LONGEST_URL)?) {
            Ok(())
        } else {
            Err(ProofError::Target)
        }
    }

    /// `ath` (RFC 9449 §4.3, check 11).
    pub(crate) fn is_with(&self, token: &str) -> Result<(), ProofError> {
        let given = self.text("ath", LONGEST, "`ath` is missing, or no text")?;
        if given == URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())) { Ok(()) } else { Err(ProofError::Token) }
    }

    pub(crate) fn issued_at(&self) -> Result<u64, ProofError> {
        let malformed = ProofError::Malformed("`iat` is missing, or no date");
        self.claims.date("iat", "").map_err(|_| malformed)?.map(|date| date.floor()).ok_or(malformed)
    }

    pub(crate) fn jti(&self) -> Result<&str, ProofError> {
        let malformed = "`jti` is missing, or no text of at most 255 bytes";
        let jti = self.text("jti", LONGEST_JTI, malformed)?;
        if jti.is_empty() { Err(ProofError::Malformed(malformed)) } else { Ok(jti) }
    }

    pub(crate) fn nonce(&self) -> Result<Option<&str>, ProofError> {
        self.claims.text("nonce", LONGEST_NONCE, "").map_err(|_: TokenError| ProofError::Nonce)
    }

    fn text(&self, name: &str, longest: usize, malformed: &'static str) -> Result<&str, ProofError> {
        let malformed = ProofError::Malformed(malformed);
        self.claims.text(name, longest, "").map_err(|_| malformed)?.ok_or(malformed)
    }
}
