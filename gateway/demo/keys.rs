use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use terms::Clock;

use crate::User;
use crate::people::Signature;
use crate::web::hex;

const EC: &str = "dev-ec";
const RSA: &str = "dev-rsa";
const LIFETIME: u64 = 3_600;

/// The development issuer: two key pairs that live as long as the process, and a pen.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    clock: Arc<dyn Clock>,
    ec: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    /// Signs what the issuer never signed.
    stranger: EcdsaKeyPair,
}

/// A key could not be made, or not be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the development issuer's keys do not work")]
pub struct MintError(#[from] Unspecified);

/// What kind of token to mint: a sound one, or one with a single flaw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Minted {
    /// Signed with HMAC, with the issuer's public key as the secret: a verifier that lets the token choose the algorithm
    /// accepts it (RFC 8725 §2.1).
    AlgorithmConfusion,
    /// With `alg: none` and no signature (RFC 8725 §2.1).
    AlgorithmNone,
    /// `exp` passed an hour ago.
    Expired,
    /// Signed by somebody else, under the name of the issuer's key.
    Forged,
    /// As it must be.
    Sound,
    /// From an issuer that nobody knows.
    UnknownIssuer,
    /// Meant for another API.
    WrongAudience,
}

impl Issuer {
    /// The audience that the gateway of the demo expects.
    pub const AUDIENCE: &'static str = "saas-api";
    /// How long tokens live, in seconds.
    pub(crate) const LIFETIME: u64 = LIFETIME;

    /// Makes its keys. `name` becomes the `iss` of its tokens.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: String, clock: Arc<dyn Clock>) -> Result<Self, MintError> {
        Ok(Self {
            name,
            clock,
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            rsa: rsa::KeyPair::generate(KeySize::Rsa2048)?,
            stranger: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        })
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Mints a token for the gateway of the demo.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn mint(&self, user: &User, kind: Minted) -> Result<String, MintError> {
        self.mint_for(user, Self::AUDIENCE, kind)
    }

    /// Mints a token for another audience.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn mint_for(&self, user: &User, audience: &str, kind: Minted) -> Result<String, MintError> {
        let now = self.clock.unix_seconds();
        let (issued, issuer, audience) = match kind {
            Minted::Expired => (now.saturating_sub(2 * LIFETIME), self.name.as_str(), audience),
            Minted::UnknownIssuer => (now, "https://issuer.invalid", audience),
            Minted::WrongAudience => (now, self.name.as_str(), "another-api"),
            Minted::AlgorithmConfusion | Minted::AlgorithmNone | Minted::Forged | Minted::Sound => {
                (now, self.name.as_str(), audience)
            }
        };
        let mut id = [0; 16];
        rand::fill(&mut id)?;
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": user.name, "tenant_id": user.tenant, "roles": user.roles,
            "iat": issued, "exp": issued + LIFETIME, "jti": hex(&id),
        });
        match kind {
            Minted::AlgorithmConfusion => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, self.ec.public_key().as_ref());
                jws("HS256", EC, &claims, |message| Ok(hmac::sign(&secret, message).as_ref().to_vec()))
            }
            Minted::AlgorithmNone => jws("none", EC, &claims, |_| Ok(Vec::new())),
            Minted::Forged => jws("ES256", EC, &claims, |message| sign_ec(&self.stranger, message)),
            Minted::Expired | Minted::Sound | Minted::UnknownIssuer | Minted::WrongAudience => match user.signature {
                Signature::Es256 => jws("ES256", EC, &claims, |message| sign_ec(&self.ec, message)),
                Signature::Rs256 => jws("RS256", RSA, &claims, |message| sign_rsa(&self.rsa, message)),
            },
        }
    }

    /// The public halves as a JSON Web Key Set (RFC 7517 §5, RFC 7518 §6).
    ///
    /// # Errors
    /// When a public key cannot be written.
    pub fn jwks(&self) -> Result<Value, MintError> {
        let point: EcPublicKeyUncompressedBin<'_> = self.ec.public_key().as_be_bytes()?;
        let (_, coordinates) = point.as_ref().split_at_checked(1).ok_or(Unspecified)?;
        let (x, y) = coordinates.split_at_checked(32).ok_or(Unspecified)?;
        let rsa = self.rsa.public_key();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(json!({ "keys": [
            { "kty": "EC", "use": "sig", "alg": "ES256", "kid": EC, "crv": "P-256", "x": text(x), "y": text(y) },
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": RSA,
              "n": text(rsa.modulus().big_endian_without_leading_zero()),
              "e": text(rsa.exponent().big_endian_without_leading_zero()) },
        ] }))
    }
}

/// A compact JWS (RFC 7515 §7.1). Written by hand, since no library for tokens writes broken ones.
fn jws(
    algorithm: &str,
    key: &str,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unspecified>,
) -> Result<String, MintError> {
    let header = json!({ "typ": "JWT", "alg": algorithm, "kid": key });
    let message = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes())?);
    Ok(format!("{message}.{signature}"))
}

fn sign_ec(key: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    Ok(key.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
}

fn sign_rsa(key: &rsa::KeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use terms::SystemClock;

    use super::*;

    fn issuer() -> Issuer {
        Issuer::new("http://issuer.test".into(), Arc::new(SystemClock)).unwrap()
    }

    /// Reads a token as a careful verifier does: the key chooses the algorithm, not the token.
    fn read(issuer: &Issuer, token: &str) -> Result<Value, jsonwebtoken::errors::Error> {
        let header = decode_header(token)?;
        let keys: JwkSet = serde_json::from_value(issuer.jwks().unwrap()).unwrap();
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let algorithm = if header.kid.as_deref() == Some(RSA) { Algorithm::RS256 } else { Algorithm::ES256 };
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[Issuer::AUDIENCE]);
        validation.set_issuer(&["http://issuer.test"]);
        decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation).map(|token| token.claims)
    }

    #[test]
    fn a_sound_token_of_every_user_verifies_with_the_published_keys() {
        let issuer = issuer();
        for user in User::ALL {
            let claims = read(&issuer, &issuer.mint(&user, Minted::Sound).unwrap()).unwrap();
            assert_eq!(claims["sub"], user.name);
            assert_eq!(claims["tenant_id"], user.tenant);
            assert_eq!(claims["roles"], json!(user.roles));
            assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), LIFETIME);
        }
    }

    #[test]
    fn each_broken_token_is_broken_in_the_way_that_it_says() {
        use jsonwebtoken::errors::ErrorKind;
        let issuer = issuer();
        let flaw = |kind| read(&issuer, &issuer.mint(&User::ADA, kind).unwrap()).unwrap_err();
        assert!(matches!(flaw(Minted::AlgorithmConfusion).kind(), ErrorKind::InvalidAlgorithm));
        assert!(matches!(flaw(Minted::Expired).kind(), ErrorKind::ExpiredSignature));
        assert!(matches!(flaw(Minted::Forged).kind(), ErrorKind::InvalidSignature));
        assert!(matches!(flaw(Minted::UnknownIssuer).kind(), ErrorKind::InvalidIssuer));
        assert!(matches!(flaw(Minted::WrongAudience).kind(), ErrorKind::InvalidAudience));
        let unsigned = issuer.mint(&User::ADA, Minted::AlgorithmNone).unwrap();
        assert!(unsigned.ends_with('.'), "{unsigned}");
        assert!(read(&issuer, &unsigned).is_err());
    }

    #[test]
    fn a_confused_token_would_fool_a_verifier_that_believes_the_header() {
        let issuer = issuer();
        let token = issuer.mint(&User::ADA, Minted::AlgorithmConfusion).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[Issuer::AUDIENCE]);
        let public = DecodingKey::from_secret(issuer.ec.public_key().as_ref());
        assert!(decode::<Value>(&token, &public, &validation).is_ok());
    }

    #[test]
    fn no_two_tokens_share_an_id() {
        let issuer = issuer();
        let id = || read(&issuer, &issuer.mint(&User::ADA, Minted::Sound).unwrap()).unwrap()["jti"].to_string();
        assert_ne!(id(), id());
    }
}
