//! Issuers of tokens, with their private keys, for the tests and benches of every part. Not in the product.

mod forgeries;

pub use forgeries::{Forgery, Workshop};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use crate::Algorithm;

/// A key pair, and the name it is published under.
#[derive(Clone, Debug)]
pub struct Issuer {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    jwk: Value,
}

#[expect(clippy::expect_used, reason = "for tests: a library that cannot make a key should end them")]
impl Issuer {
    /// A new P-256 key.
    #[must_use]
    pub fn es256(kid: &str) -> Self {
        Self::ecdsa(kid, Algorithm::ES256, &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    /// A new P-384 key.
    #[must_use]
    pub fn es384(kid: &str) -> Self {
        Self::ecdsa(kid, Algorithm::ES384, &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    /// A new RSA key of 2048 bits, which takes a while.
    #[must_use]
    pub fn rs256(kid: &str) -> Self {
        Self::rsa(kid, Algorithm::RS256)
    }

    /// A new RSA key of 2048 bits, which takes a while, for any of the RSA algorithms.
    #[must_use]
    pub fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8 = pair.as_der().expect("pkcs8");
        // The library takes PKCS #1, which is what PKCS #8 wraps: for this size of key in 26 bytes (RFC 5208 §5).
        let (_, pkcs1) = pkcs8.as_ref().split_at(26);
        let private = EncodingKey::from_rsa_der(pkcs1);
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        Self::put_together(
            kid,
            algorithm,
            private,
            json!({ "kty": "RSA", "n": encode(modulus), "e": encode(exponent) }),
        )
    }

    /// A new Ed25519 key.
    #[must_use]
    pub fn eddsa(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("pkcs8").as_ref());
        let x = encode(pair.public_key().as_ref());
        Self::put_together(kid, Algorithm::EdDSA, private, json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
    }

    fn ecdsa(kid: &str, algorithm: Algorithm, curve: &'static EcdsaSigningAlgorithm, name: &str) -> Self {
        let pair = EcdsaKeyPair::generate(curve).expect("a key");
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("pkcs8").as_ref());
        let point = pair.public_key().as_ref();
        let (_, coordinates) = point.split_at(1);
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let jwk = json!({ "kty": "EC", "crv": name, "x": encode(x), "y": encode(y) });
        Self::put_together(kid, algorithm, private, jwk)
    }

    fn put_together(kid: &str, algorithm: Algorithm, private: EncodingKey, mut jwk: Value) -> Self {
        let members = jwk.as_object_mut().expect("an object");
        members.insert("kid".into(), kid.into());
        members.insert("alg".into(), algorithm.as_str().into());
        members.insert("use".into(), "sig".into());
        Self { kid: kid.into(), algorithm, private, jwk }
    }

    /// The same key, for another algorithm that it can be used with.
    #[must_use]
    pub fn under(&self, algorithm: Algorithm) -> Self {
        let Self { kid, private, jwk, .. } = self.clone();
        Self::put_together(&kid, algorithm, private, jwk)
    }

    /// The name of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that [`Issuer::sign`] uses.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key.
    #[must_use]
    pub const fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A key set with this one key in it.
    #[must_use]
    pub fn jwks(&self) -> String {
        jwks([self])
    }

    /// What a token says that is bound to this key (RFC 9449 §6.1).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        encode(crate::dpop::of_forged(&self.jwk))
    }

    /// A proof of possession with these claims (RFC 9449 §4.2).
    #[must_use]
    pub fn proof(&self, claims: &Value) -> String {
        let mut jwk = self.jwk.clone();
        let members = jwk.as_object_mut().expect("an object");
        members.retain(|name, _| !["alg", "kid", "use"].contains(&name.as_str()));
        let header = json!({ "typ": "dpop+jwt", "alg": self.algorithm.as_str(), "jwk": jwk });
        self.sign_raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as("JWT", claims)
    }

    /// The same, which says that it is something else.
    #[must_use]
    pub fn sign_as(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "typ": typ, "alg": self.algorithm.as_str(), "kid": self.kid });
        self.sign_raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token with these bytes for header and claims, well signed, whatever they are.
    #[must_use]
    pub fn sign_raw(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm.in_library());
        format!("{signed}.{}", signature.expect("a signature"))
    }
}

/// A key set with these keys in it.
#[must_use]
pub fn jwks<'a>(issuers: impl IntoIterator<Item = &'a Issuer>) -> String {
    let keys: Vec<_> = issuers.into_iter().map(Issuer::jwk).collect();
    json!({ "keys": keys }).to_string()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
