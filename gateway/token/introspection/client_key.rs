use std::fmt;

use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrets::Secret;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

/// A private key with which we prove to an issuer who we are (`private_key_jwt`: RFC 7523 §2.2, OpenID Connect Core 1.0 §9).
pub struct ClientKey {
    pair: Pair,
    kid: Option<String>,
}

enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// Why a text is not such a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidClientKey {
    /// It is neither.
    #[error("it is no private key: PEM, or a JWK of P-256 or Ed25519")]
    Neither,
    /// It is a key for something else.
    #[error("it is no key for ES256, EdDSA (Ed25519) or RS256 (2048 bits or more)")]
    Unfit,
}

/// A private key as a JWK (RFC 7517), as far as it is used. It lends from the text, so that there is no second copy.
#[derive(Deserialize)]
struct Jwk<'t> {
    kty: &'t str,
    crv: Option<&'t str>,
    x: Option<&'t str>,
    y: Option<&'t str>,
    d: Option<&'t str>,
    kid: Option<String>,
}

/// How long what we say of ourselves is good, in seconds.
const LIFE: u64 = 60;

impl ClientKey {
    /// Reads a key, PEM or a JWK. This name of it goes before the one in the JWK.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn parse(text: &Secret<Vec<u8>>, kid: Option<&str>) -> Result<Self, InvalidClientKey> {
        let text = text.expose();
        let kid = kid.map(str::to_owned);
        if text.trim_ascii_start().starts_with(b"{") {
            let jwk: Jwk<'_> = serde_json::from_slice(text).map_err(|_| InvalidClientKey::Neither)?;
            let pair = Pair::of_jwk(&jwk).ok_or(InvalidClientKey::Unfit)?;
            return Ok(Self { pair, kid: kid.or(jwk.kid) });
        }
        let der = PrivateKeyDer::from_pem_slice(text).map_err(|_| InvalidClientKey::Neither)?;
        Ok(Self { pair: Pair::of_der(&der).ok_or(InvalidClientKey::Unfit)?, kid })
    }

    /// Says that we are this client, to this audience, at this time in seconds since the Unix epoch. `None` if the system has
    /// no random numbers.
    pub(super) fn assertion(&self, client: &str, audience: &str, now: u64) -> Option<Zeroizing<String>> {
        let mut jti = [0; 16];
        fill(&mut jti).ok()?;
        let mut header = json!({ "alg": self.pair.algorithm(), "typ": "JWT" });
        if let (Some(kid), Some(header)) = (&self.kid, header.as_object_mut()) {
            header.insert("kid".into(), kid.as_str().into());
        }
        let claims = json!({
            "iss": client, "sub": client, "aud": audience, "jti": URL_SAFE_NO_PAD.encode(jti),
            "iat": now, "exp": now.saturating_add(LIFE),
        });
        let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut text = Zeroizing::new(format!("{}.{}", encoded(&header), encoded(&claims)));
        let signature = self.pair.sign(text.as_bytes())?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(text)
    }
}

impl Pair {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::EdDsa(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn of_jwk(jwk: &Jwk<'_>) -> Option<Self> {
        let bytes = |text: Option<&str>| URL_SAFE_NO_PAD.decode(text?).ok();
        let private = Zeroizing::new(bytes(jwk.d)?);
        match (jwk.kty, jwk.crv) {
            ("EC", Some("P-256")) => {
                let point = [vec![4], bytes(jwk.x)?, bytes(jwk.y)?].concat();
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(signing, &private, &point).ok().map(Self::Es256)
            }
            ("OKP", Some("Ed25519")) => {
                Ed25519KeyPair::from_seed_and_public_key(&private, &bytes(jwk.x)?).ok().map(Self::EdDsa)
            }
            _ => None,
        }
    }

    fn of_der(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let bytes = der.secret_der();
        let es256 =
            || EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).ok().map(Self::Es256);
        let strong = |pair: &RsaKeyPair| pair.public_modulus_len() >= 256;
        match der {
            PrivateKeyDer::Sec1(_) => es256(),
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).ok().filter(strong).map(Self::Rs256),
            PrivateKeyDer::Pkcs8(_) => es256()
                .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).ok().map(Self::EdDsa))
                .or_else(|| RsaKeyPair::from_pkcs8(bytes).ok().filter(strong).map(Self::Rs256)),
            _ => None,
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::EdDsa(pair) => Some(pair.sign(text).as_ref().to_vec()),
            Self::Es256(pair) => {
                pair.sign(&SystemRandom::new(), text).ok().map(|signature| signature.as_ref().to_vec())
            }
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

/// Shows what kind of key it is, and nothing of it.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("algorithm", &self.pair.algorithm()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{self, KeyPair as _, UnparsedPublicKey};

    use super::*;

    fn pem(algorithm: &'static rcgen::SignatureAlgorithm) -> Secret<Vec<u8>> {
        Secret::new(rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem().into_bytes())
    }

    fn part(assertion: &str, number: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(assertion.split('.').nth(number).unwrap()).unwrap()
    }

    #[test]
    fn whatever_the_key_what_we_say_of_ourselves_is_signed_and_never_the_same() {
        let seed = URL_SAFE_NO_PAD.encode([7; 32]);
        let public = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = URL_SAFE_NO_PAD.encode(public.public_key());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": public, "d": seed, "kid": "mine" }).to_string();
        let jwk = Secret::new(jwk.into_bytes());
        for (text, named, algorithm, kid) in [
            (pem(&rcgen::PKCS_ECDSA_P256_SHA256), None, "ES256", None),
            (pem(&rcgen::PKCS_ED25519), Some("k1"), "EdDSA", Some("k1")),
            (jwk, None, "EdDSA", Some("mine")),
        ] {
            let key = ClientKey::parse(&text, named).unwrap();
            let one = key.assertion("gateway", "https://idp.example/", 100).unwrap();
            let header: serde_json::Value = serde_json::from_slice(&part(&one, 0)).unwrap();
            assert_eq!((header["alg"].as_str(), header["kid"].as_str()), (Some(algorithm), kid));
            let claims: serde_json::Value = serde_json::from_slice(&part(&one, 1)).unwrap();
            let expected = json!({
                "iss": "gateway", "sub": "gateway", "aud": "https://idp.example/", "iat": 100, "exp": 160,
                "jti": claims["jti"],
            });
            assert_eq!(claims, expected);
            let other = key.assertion("gateway", "https://idp.example/", 100).unwrap();
            assert_ne!(part(&one, 1), part(&other, 1), "each has a name of its own");
            let signed = one.rsplit_once('.').unwrap().0;
            let verified = match &key.pair {
                Pair::EdDsa(pair) => UnparsedPublicKey::new(&signature::ED25519, pair.public_key().as_ref().to_vec())
                    .verify(signed.as_bytes(), &part(&one, 2)),
                Pair::Es256(pair) => {
                    UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec())
                        .verify(signed.as_bytes(), &part(&one, 2))
                }
                Pair::Rs256(_) => unreachable!("none was given"),
            };
            verified.unwrap();
        }
    }

    #[test]
    fn what_is_no_key_for_this_is_told_from_what_is_none() {
        let fault = |text: Secret<Vec<u8>>| ClientKey::parse(&text, None).unwrap_err();
        let text = |text: &str| Secret::new(text.as_bytes().to_vec());
        assert_eq!(fault(text("correct-horse-battery")), InvalidClientKey::Neither);
        assert_eq!(fault(text("{}")), InvalidClientKey::Neither);
        assert_eq!(fault(text(r#"{"kty":"oct","k":"AAAA"}"#)), InvalidClientKey::Unfit);
        assert_eq!(fault(text(r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}"#)), InvalidClientKey::Unfit);
        assert_eq!(fault(pem(&rcgen::PKCS_ECDSA_P384_SHA384)), InvalidClientKey::Unfit);
    }
}
