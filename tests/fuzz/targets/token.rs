//! The header and the claims of a token, on a line each: signed as they are, by the issuer and by somebody else, and not
//! signed at all. Whatever is accepted was signed by the issuer, says what it must, and is good now.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use terms::{Clock, IssuerSet, ManualClock};
use token::forge::Issuer;
use token::{Algorithm, Caller, IssuerSettings, JwksSource, TokenError, Verifier};

const NOW: u64 = 1_700_000_000;
const LEEWAY: f64 = 30.0;

struct World {
    issuer: Issuer,
    stranger: Issuer,
    verifier: Verifier,
    accepted: IssuerSet,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (issuer, stranger) = (Issuer::es256("key-1"), Issuer::es256("key-1"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), issuer.jwks()).unwrap();
    let keys = JwksSource::File(file.path().into());
    let main = IssuerSettings::new("main".parse().unwrap(), "https://idp.example/", "api", Algorithm::ES256, keys);
    let clock = Arc::new(ManualClock::at(NOW)) as Arc<dyn Clock>;
    let verifier = Verifier::new(vec![main], clock, 100).unwrap();
    World { issuer, stranger, verifier, accepted: [("main".parse().unwrap())].into_iter().collect() }
});

fuzz_target!(|bytes: &[u8]| {
    // What nobody has signed, in whatever shape.
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(verify(text).is_err());
    }
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, claims) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    assert!(verify(&WORLD.stranger.sign_raw(header, claims)).is_err());
    let token = WORLD.issuer.sign_raw(header, claims);
    let Ok(caller) = verify(&token) else { return };

    let (header, claims): (Value, Value) = (parsed(header), parsed(claims));
    assert_eq!(header["alg"], "ES256");
    assert!(header.get("crit").is_none() && header.get("jwk").is_none());
    assert_eq!(claims["iss"], "https://idp.example/");
    assert!(claims["aud"] == "api" || claims["aud"].as_array().unwrap().contains(&"api".into()));
    assert!(claims["exp"].as_f64().unwrap() + LEEWAY > NOW as f64);
    assert!(claims.get("nbf").is_none_or(|nbf| nbf.as_f64().unwrap() - LEEWAY <= NOW as f64));
    assert_eq!(caller.tenant(), claims.get("tenant_id").and_then(Value::as_str));

    // It is remembered as it is, and not in another spelling.
    assert!(verify(&token).is_ok());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for other in [format!("{signed}."), format!("{signed}.AA"), format!("{token}="), format!(" {token}")] {
        assert!(verify(&other).is_err(), "{other}");
    }
    let other = if signature.starts_with('A') { "B" } else { "A" };
    assert!(verify(&format!("{signed}.{other}{}", &signature[1..])).is_err());
});

/// What the verifier accepts is an object without a name that stands twice, which this reader would not say.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what was accepted is JSON")
}

/// Nothing in it waits: the keys are in a file.
fn verify(token: &str) -> Result<Arc<Caller>, TokenError> {
    match pin!(WORLD.verifier.verify(token, &WORLD.accepted)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits for something"),
    }
}
