use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use terms::{ManualClock, Nonce, Reason};

use super::*;
use crate::forge::Issuer;

const NOW: u64 = 1_700_000_000;
const TOKEN: &str = "eyJ.eyJ.sig";
const URL: &str = "https://acme.example.com/orders/1";

static RSA: LazyLock<Issuer> = LazyLock::new(|| Issuer::rs256("k"));

struct World {
    clock: Arc<ManualClock>,
    dpop: Dpop,
    client: Issuer,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut DpopSettings)) -> Self {
        let clock = Arc::new(ManualClock::at(NOW - 1_000));
        let mut settings = DpopSettings::default();
        change(&mut settings);
        let dpop = Dpop::new(settings, Arc::clone(&clock) as Arc<dyn Clock>);
        clock.advance(Duration::from_secs(1_000));
        Self { clock, dpop, client: Issuer::es256("k") }
    }

    fn ask(&self, proof: &str, key: &Issuer, nonce: Nonce) -> Result<(), Reason> {
        let key = thumbprint::of_forged(key.jwk());
        let wanted = Wanted { token: TOKEN, key: &key, method: "GET", nonce };
        self.dpop.verify(proof, &wanted, |url| url == URL).map_err(ProofError::reason)
    }

    fn take(&self, proof: &str) -> Result<(), Reason> {
        self.ask(proof, &self.client, Nonce::None)
    }

    fn proof(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.client.proof(&claims)
    }
}

fn claims() -> Value {
    json!({ "jti": "one", "htm": "GET", "htu": URL, "iat": NOW, "ath": encode(digest(&SHA256, TOKEN.as_bytes())) })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_good_proof_is_taken_once_and_no_other_is() {
    use Reason::{
        AuthProofKey as Key, AuthProofMalformed as Malformed, AuthProofReplayed as Replayed,
        AuthProofSignature as Signature, AuthProofTarget as Target, AuthProofTime as Time, AuthProofToken as Token,
    };
    let world = World::new();
    let good = world.proof(|_| {});
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = claims().to_string();
    let public = |issuer: &Issuer| {
        let mut jwk = issuer.jwk().clone();
        jwk.as_object_mut().unwrap().retain(|name, _| !["kid", "alg", "use"].contains(&name.as_str()));
        jwk
    };
    let header = |change: &dyn Fn(&mut Value)| {
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(&world.client) });
        change(&mut header);
        world.client.sign_raw(header.to_string().as_bytes(), payload.as_bytes())
    };
    let raw = |claims: &str| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(&world.client) });
        world.client.sign_raw(header.to_string().as_bytes(), claims.as_bytes())
    };
    let without = |name: &str| world.proof(|claims| drop(claims.as_object_mut().unwrap().remove(name)));
    let other = Issuer::es256("k");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let bad = [
        ("nothing", String::new(), Malformed),
        ("two parts", signed.to_owned(), Malformed),
        ("padding", format!("{good}="), Malformed),
        ("two proofs in one", format!("{good}, {good}"), Malformed),
        ("far too long", format!("{}{good}", "A".repeat(5_000)), Malformed),
        ("no signature", format!("{signed}."), Signature),
        ("a bit of the signature", format!("{signed}.{flipped}{}", signature.get(1..).unwrap()), Signature),
        (
            "the signature of another proof",
            format!("{signed}.{}", world.proof(|it| it["jti"] = json!("b")).rsplit_once('.').unwrap().1),
            Signature,
        ),
        ("zeros for a signature", format!("{signed}.{}", encode([0; 64])), Signature),
        ("no typ", header(&|it| drop(it.as_object_mut().unwrap().remove("typ"))), Malformed),
        ("an access token's typ", header(&|it| it["typ"] = json!("at+jwt")), Malformed),
        ("a plain jwt's typ", header(&|it| it["typ"] = json!("JWT")), Malformed),
        ("no alg", header(&|it| drop(it.as_object_mut().unwrap().remove("alg"))), Malformed),
        ("alg none", header(&|it| it["alg"] = json!("none")), Malformed),
        ("a shared secret", header(&|it| it["alg"] = json!("HS256")), Malformed),
        ("an alg that is not allowed", RSA.proof(&claims()), Malformed),
        ("an alg that is not the key's", header(&|it| it["alg"] = json!("ES384")), Key),
        ("crit", header(&|it| it["crit"] = json!(["exp"])), Malformed),
        ("b64", header(&|it| it["b64"] = json!(false)), Malformed),
        ("jku", header(&|it| it["jku"] = json!("https://evil.example/")), Malformed),
        ("x5c", header(&|it| it["x5c"] = json!(["MIIB"])), Malformed),
        ("no key", header(&|it| drop(it.as_object_mut().unwrap().remove("jwk"))), Key),
        ("a key that is a text", header(&|it| it["jwk"] = json!("key")), Key),
        ("a private key", header(&|it| it["jwk"]["d"] = json!("AAAA")), Key),
        ("the private part of another kind of key", header(&|it| it["jwk"]["p"] = json!("AAAA")), Key),
        ("a shared secret for a key", header(&|it| it["jwk"] = json!({ "kty": "oct", "k": "AAAA" })), Key),
        ("a point that is on no curve", header(&|it| it["jwk"]["y"] = it["jwk"]["x"].clone()), Key),
        ("a curve of another size", header(&|it| it["jwk"]["crv"] = json!("P-384")), Key),
        ("a key for encryption", header(&|it| it["jwk"]["use"] = json!("enc")), Key),
        ("somebody else's key, well signed", other.proof(&claims()), Key),
        (
            "the owner's key, signed by another",
            other.sign_raw(
                json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(&world.client) }).to_string().as_bytes(),
                payload.as_bytes(),
            ),
            Signature,
        ),
        (
            "a name twice in the header",
            world.client.sign_raw(br#"{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256"}"#, payload.as_bytes()),
            Malformed,
        ),
        ("a name twice in the claims", raw(&payload.replacen('{', r#"{"htm":"GET","#, 1)), Malformed),
        ("claims that are a list", raw("[]"), Malformed),
        ("no jti", without("jti"), Malformed),
        ("an empty jti", world.proof(|it| it["jti"] = json!("")), Malformed),
        ("a jti that is a number", world.proof(|it| it["jti"] = json!(1)), Malformed),
        ("a jti that is too long", world.proof(|it| it["jti"] = json!("j".repeat(256))), Malformed),
        ("no htm", without("htm"), Malformed),
        ("another method", world.proof(|it| it["htm"] = json!("POST")), Target),
        ("the method in lower case", world.proof(|it| it["htm"] = json!("get")), Target),
        ("no htu", without("htu"), Malformed),
        ("another url", world.proof(|it| it["htu"] = json!("https://acme.example.com/orders/2")), Target),
        ("no iat", without("iat"), Malformed),
        ("an iat that is a text", world.proof(|it| it["iat"] = json!(NOW.to_string())), Malformed),
        ("too old", world.proof(|it| it["iat"] = json!(NOW - 61)), Time),
        ("of the future", world.proof(|it| it["iat"] = json!(NOW + 6)), Time),
        ("of the year 9999", world.proof(|it| it["iat"] = json!(253_402_300_799_u64)), Time),
        ("no ath", without("ath"), Malformed),
        ("another token's ath", world.proof(|it| it["ath"] = json!(encode(digest(&SHA256, b"other")))), Token),
        (
            "an ath with padding",
            world.proof(|it| it["ath"] = json!(format!("{}=", it["ath"].as_str().unwrap()))),
            Token,
        ),
        ("an ath in hexadecimal", world.proof(|it| it["ath"] = json!("ab".repeat(32))), Token),
        (
            "a nonce that is not ours",
            world.proof(|it| it["nonce"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
            Reason::AuthProofNonce,
        ),
        ("a nonce that is no text", world.proof(|it| it["nonce"] = json!(7)), Reason::AuthProofNonce),
    ];
    for (what, proof, expected) in &bad {
        assert_eq!(world.take(proof), Err(*expected), "{what}");
    }
    assert_eq!(world.dpop.remembered().0, 0, "nothing is remembered of what was refused");
    assert_eq!(world.take(&good), Ok(()));
    assert_eq!(world.take(&good), Err(Replayed));
    assert_eq!(world.take(&world.proof(|it| it["iat"] = json!(NOW - 1))), Err(Replayed), "the same jti, signed anew");
}

#[test]
fn proofs_at_the_edges_of_their_time_are_taken() {
    let world = World::new();
    for (name, iat) in
        [("old", json!(NOW - 60)), ("ahead", json!(NOW + 5)), ("with a fraction", json!(NOW as f64 + 0.9))]
    {
        let proof = world.proof(|claims| (claims["jti"], claims["iat"]) = (json!(name), iat));
        assert_eq!(world.take(&proof), Ok(()), "{name}");
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(world.take(&proof), Err(Reason::AuthProofReplayed), "{name}");
    }
}

/// What was used before is not remembered by who starts anew.
#[test]
fn a_proof_from_before_the_start_is_not_taken() {
    let world = World::new();
    let again = Dpop::new(DpopSettings::default(), Arc::clone(&world.clock) as Arc<dyn Clock>);
    let key = thumbprint::of_forged(world.client.jwk());
    let wanted = Wanted { token: TOKEN, key: &key, method: "GET", nonce: Nonce::None };
    let before = world.proof(|claims| claims["iat"] = json!(NOW - 1));
    assert_eq!(again.verify(&before, &wanted, |_| true), Err(ProofError::Time));
    assert_eq!(again.verify(&world.proof(|_| {}), &wanted, |_| true), Ok(()));
}

#[test]
fn a_nonce_that_is_demanded_is_ours_and_new() {
    let world = World::new();
    let ask = |nonce: Option<&str>, jti: &str| {
        let proof = world.proof(|claims| {
            claims["jti"] = json!(jti);
            claims["iat"] = json!(world.clock.unix_seconds());
            if let Some(nonce) = nonce {
                claims["nonce"] = json!(nonce);
            }
        });
        world.ask(&proof, &world.client, Nonce::Demanded)
    };
    assert_eq!(ask(None, "a"), Err(Reason::AuthProofNonce));
    let nonce = world.dpop.nonce();
    assert_eq!(ask(Some(&nonce), "a"), Ok(()), "what was refused is not used up");
    assert_eq!(ask(Some(&nonce), "a"), Err(Reason::AuthProofReplayed));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(Some(&nonce), "b"), Ok(()));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(Some(&nonce), "c"), Err(Reason::AuthProofNonce));
    assert_eq!(ask(Some(&World::new().dpop.nonce()), "d"), Err(Reason::AuthProofNonce), "of another gateway");
}

#[test]
fn every_kind_of_key_that_is_allowed_signs_proofs() {
    let world = World::with(|settings| settings.algorithms = Algorithm::ALL.to_vec());
    let clients = [Issuer::es384("k"), Issuer::eddsa("k"), Issuer::es256("k")];
    for client in clients.iter().chain([&*RSA]) {
        assert_eq!(world.ask(&client.proof(&claims()), client, Nonce::None), Ok(()), "{}", client.algorithm());
    }
}

#[test]
fn when_no_more_can_be_remembered_none_is_taken() {
    let world = World::with(|settings| (settings.remembered, settings.remembered_per_key) = (3, 2));
    let by = |client: &Issuer, jti: &str| {
        let mut claims = claims();
        claims["jti"] = json!(jti);
        world.ask(&client.proof(&claims), client, Nonce::None)
    };
    let (one, other) = (Issuer::es256("k"), Issuer::es256("k"));
    assert_eq!((by(&one, "a"), by(&one, "b")), (Ok(()), Ok(())));
    assert_eq!(by(&one, "c"), Err(Reason::AuthProofTooMany));
    assert_eq!(by(&other, "a"), Ok(()));
    assert_eq!(by(&other, "b"), Err(Reason::AuthProofFull));
}
