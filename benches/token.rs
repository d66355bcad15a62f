//! Budgets: a token that was seen before costs one SHA-256 and one look-up; one that was not costs its signature and at
//! most 20 µs. `token/signature` is the signature alone, with a key that is ready; the rest of `token/first` is ours.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use criterion::Criterion;
use futures::FutureExt as _;
use tempfile::TempDir;
use terms::{IssuerSet, SystemClock};
use token::forge::Issuer;
use token::{Algorithm, IssuerSettings, JwksSource, Verifier};

use crate::world::{AUDIENCE, claims};

/// More than the verifier of first times remembers, so that none is found again.
const STRANGERS: usize = 256;

pub(crate) fn bench(criterion: &mut Criterion) {
    let issuers = [Issuer::es256("k1"), Issuer::rs256("k1"), Issuer::eddsa("k1")];
    let folder = tempfile::tempdir().expect("a folder");
    let main = IssuerSet::from(["main".parse().expect("an issuer")]);
    for issuer in &issuers {
        let tokens = tokens(issuer, 1_000);
        let verifier = verifier(issuer, &folder, 100_000);
        let verify = |token: &str| {
            verifier.verify(black_box(token), &main).now_or_never().expect("no waiting").expect("a good token")
        };
        if issuer.algorithm() == Algorithm::ES256 {
            tokens.iter().for_each(|token| drop(verify(token)));
            let mut next = tokens.iter().cycle();
            criterion.bench_function("token/hit", |bencher| bencher.iter(|| verify(next.next().expect("a token"))));
        }
    }
    for issuer in &issuers {
        let tokens = tokens(issuer, STRANGERS);
        let verifier = verifier(issuer, &folder, 1);
        let mut next = tokens.iter().cycle();
        criterion.bench_function(&format!("token/first/{}", issuer.algorithm()), |bencher| {
            bencher.iter(|| {
                let token = next.next().expect("a token");
                verifier.verify(black_box(token), &main).now_or_never().expect("no waiting").expect("a good token")
            });
        });
        let stats = verifier.cache_stats();
        assert!(stats.hits * 50 <= stats.misses, "these tokens were to be new: {stats:?}");

        let key = public_key(issuer);
        let parts: Vec<_> = tokens.iter().map(|token| split(token)).collect();
        let mut next = parts.iter().cycle();
        criterion.bench_function(&format!("token/signature/{}", issuer.algorithm()), |bencher| {
            bencher.iter(|| {
                let (signed, signature) = next.next().expect("a token");
                key.verify_sig(black_box(signed), signature).expect("a good signature");
            });
        });
    }
}

fn tokens(issuer: &Issuer, count: usize) -> Vec<String> {
    (0..count).map(|number| issuer.sign(&claims(number, "acme", "https://idp.example/"))).collect()
}

fn verifier(issuer: &Issuer, folder: &TempDir, remembered: usize) -> Verifier {
    let path = folder.path().join(issuer.algorithm().as_str());
    std::fs::write(&path, issuer.jwks()).expect("a key set");
    let id = "main".parse().expect("an issuer");
    let settings =
        IssuerSettings::new(id, "https://idp.example/", AUDIENCE, issuer.algorithm(), JwksSource::File(path));
    Verifier::new(vec![settings], Arc::new(SystemClock), remembered).expect("a verifier")
}

/// What was signed, and the signature.
fn split(token: &str) -> (&[u8], Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    (signed.as_bytes(), BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}

fn public_key(issuer: &Issuer) -> ParsedPublicKey {
    let part = |name: &str| {
        let text = issuer.jwk().get(name).and_then(|part| part.as_str()).expect("a part of the key");
        BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let key = if issuer.algorithm() == Algorithm::ES256 {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], part("x"), part("y")].concat()).ok()
    } else if issuer.algorithm() == Algorithm::EdDSA {
        ParsedPublicKey::new(&ED25519, part("x")).ok()
    } else {
        let components = RsaPublicKeyComponents { n: part("n"), e: part("e") };
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
    };
    key.expect("a public key")
}
