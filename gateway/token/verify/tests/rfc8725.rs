//! What RFC 8725 warns of, and what has been got wrong since: each a test, for each algorithm.

use std::collections::BTreeSet;

use super::*;
use crate::forge::{Forgery, Workshop};

/// An issuer that publishes one key and allows one algorithm, and all that can be forged of it.
struct Victim {
    verifier: Verifier,
    good: String,
    forgeries: Vec<Forgery>,
}

static VICTIMS: LazyLock<Vec<Victim>> = LazyLock::new(|| {
    let strange_rsa = Forge::rs256("key-1");
    let pairs = Algorithm::ALL.iter().map(|algorithm| match algorithm {
        Algorithm::ES256 => (Forge::es256("key-1"), Forge::es256("key-1")),
        Algorithm::ES384 => (Forge::es384("key-1"), Forge::es384("key-1")),
        Algorithm::EdDSA => (Forge::eddsa("key-1"), Forge::eddsa("key-1")),
        Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512
        | Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512 => (RSA.under(*algorithm), strange_rsa.under(*algorithm)),
    });
    pairs.map(|(victim, stranger)| Victim::new(&victim, &stranger)).collect()
});

impl Victim {
    fn new(victim: &Forge, stranger: &Forge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        std::fs::write(&keys, victim.jwks()).unwrap();
        let settings = IssuerSettings { algorithms: vec![victim.algorithm()], ..Setup::issuer("main", keys) };
        let verifier = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 1_000).unwrap();
        let claims = claims();
        let forgeries = Workshop { victim, stranger, claims: &claims, now: NOW }.forgeries();
        Self { verifier, good: victim.sign(&claims), forgeries }
    }

    async fn verdict(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        self.verifier.verify(token, &[id("main")].into()).await
    }
}

/// Every forgery of this line is refused with its reason, and there is one for each algorithm that it is about.
async fn refused(line: &str) {
    let mut tried = 0;
    for victim in &*VICTIMS {
        assert!(victim.verdict(&victim.good).await.is_ok());
        for forgery in victim.forgeries.iter().filter(|forgery| forgery.line == line) {
            let reason = victim.verdict(&forgery.token).await.err().map(TokenError::reason);
            assert_eq!(reason, Some(forgery.reason), "{line}, {}: {}", forgery.manner, forgery.token);
            tried += 1;
        }
    }
    assert!(tried > 0, "nobody forges this: {line}");
}

#[tokio::test]
async fn no_token_gets_in_by_alg_confusion() {
    refused("alg confusion").await;
}

#[tokio::test]
async fn no_token_gets_in_with_alg_none() {
    refused("none").await;
}

#[tokio::test]
async fn no_token_gets_in_with_duplicate_json_keys() {
    refused("duplicate JSON keys").await;
}

#[tokio::test]
async fn no_token_gets_in_in_non_canonical_base64() {
    refused("non-canonical base64").await;
}

#[tokio::test]
async fn no_token_gets_in_by_an_edge_case_of_ecdsa_eddsa_or_rsa() {
    for line in ["ECDSA r/s edge case", "EdDSA s edge case", "RSA edge case", "signature"] {
        refused(line).await;
    }
}

#[tokio::test]
async fn no_token_gets_in_with_b64_false_or_whatever_is_critical() {
    refused("b64:false").await;
}

#[tokio::test]
async fn no_token_gets_in_that_is_nested() {
    refused("nested").await;
}

#[tokio::test]
async fn no_token_gets_in_that_is_a_jwe_or_in_json() {
    refused("JWE").await;
}

#[tokio::test]
async fn no_token_gets_in_that_is_huge() {
    refused("huge").await;
}

#[tokio::test]
async fn no_token_gets_in_that_is_deep() {
    refused("deep").await;
}

#[tokio::test]
async fn no_token_gets_in_with_bad_utf_8() {
    refused("bad UTF-8").await;
}

#[tokio::test]
async fn no_token_gets_in_before_its_nbf() {
    refused("nbf").await;
}

#[tokio::test]
async fn no_token_gets_in_before_its_iat() {
    refused("iat").await;
}

#[tokio::test]
async fn no_token_gets_in_after_its_exp() {
    refused("exp").await;
}

#[tokio::test]
async fn no_token_gets_in_beyond_the_skew_that_is_allowed() {
    refused("skew").await;
}

#[tokio::test]
async fn no_token_gets_in_with_a_key_of_its_own_or_a_name_of_one_that_is_none() {
    for line in ["a key of its own", "kid"] {
        refused(line).await;
    }
}

#[tokio::test]
async fn no_token_gets_in_that_is_of_another_type_issuer_audience_or_of_nobody() {
    for line in ["type", "issuer", "audience", "subject"] {
        refused(line).await;
    }
}

/// The tests above are all of them: no line is left out, and there are many.
#[test]
fn every_way_of_forging_is_tried_with_every_algorithm() {
    let tried = include_str!("rfc8725.rs");
    let all = || VICTIMS.iter().flat_map(|victim| &victim.forgeries);
    for line in all().map(|forgery| forgery.line).collect::<BTreeSet<_>>() {
        assert!(tried.contains(&format!("\"{line}\"")), "no test tries `{line}`");
    }
    for victim in &*VICTIMS {
        let tokens: BTreeSet<_> = victim.forgeries.iter().map(|forgery| &forgery.token).collect();
        assert_eq!(tokens.len(), victim.forgeries.len(), "no two are the same");
        assert!(tokens.len() >= 100, "so many of each: {}", tokens.len());
    }
    assert!(all().count() >= 900, "so many in all: {}", all().count());
    let manners: Vec<BTreeSet<_>> = VICTIMS
        .iter()
        .map(|it| it.forgeries.iter().filter(|forgery| forgery.looks_good).map(|it| it.manner).collect())
        .collect();
    assert!(
        manners.iter().all(|manners| manners.len() == 8),
        "the names of those that look good are right: {manners:?}"
    );
}

/// A signature is as good as its twin (s and the order less s): neither is the token's name.
#[tokio::test]
async fn the_twin_of_an_ecdsa_signature_speaks_of_the_same_bearer_and_is_taken_back_with_it() {
    let setup = Setup::new();
    let token = setup.token(|claims| claims["jti"] = json!("token-1"));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut borrow = 0;
    for (digit, order) in signature[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = setup.verify(&format!("{signed}.{}", encode(signature))).await.unwrap();
    let first = setup.verify(&token).await.unwrap();
    assert_ne!(twin.fingerprint(), first.fingerprint());
    assert_eq!((twin.jti(), twin.subject()), (first.jti(), first.subject()));
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
