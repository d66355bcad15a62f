mod vectors;

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use secrets::Secret;
use serde_json::{Value, json};
use terms::{Claimed, IssuerId, ManualClock, RequestId, RoleName, Subject, TenantId};

use super::*;
use crate::{Algorithm, Schedule, SignatureKey, Source};

const NOW: u64 = 1_790_000_000;

struct Person {
    tenant: TenantId,
    issuer: IssuerId,
    subject: Subject,
    roles: Vec<RoleName>,
    token: [u8; 32],
    expires_at: u64,
}

impl Person {
    fn ada() -> Self {
        Self {
            tenant: "acme".parse().unwrap(),
            issuer: "main".parse().unwrap(),
            subject: "ada".parse().unwrap(),
            roles: vec!["billing_reader".parse().unwrap(), "support".parse().unwrap()],
            token: [7; 32],
            expires_at: NOW + 3_600,
        }
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            tenant: &self.tenant,
            issuer: &self.issuer,
            subject: &self.subject,
            roles: &self.roles,
            acr: None,
            amr: &[],
            auth_time: None,
            claimed: &[],
            expires_at: self.expires_at,
            token: &self.token,
        }
    }
}

fn request(id: u128) -> Forwarded<'static> {
    let (method, authority, path) = ("GET", "orders.internal", "/orders/7");
    Forwarded { id: RequestId::from(id), method, authority, path, query: Some("full=1"), digest: None }
}

fn minter(clock: &Arc<ManualClock>) -> Minter {
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
    let schedule = Schedule::new(Duration::from_secs(86_400), Duration::from_secs(300), lifetime).unwrap();
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let used = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    let keys = Arc::new(Keys::open(Source::Memory, &used, schedule, Arc::clone(&clock)).unwrap());
    Minter::new("https://gateway.example.com".parse().unwrap(), lifetime, keys, clock)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

fn backend(binding: Binding) -> Backend {
    let key = SignatureKey::new("orders", &Secret::new(vec![7; 32])).unwrap();
    let signer = (binding == Binding::Reuse).then_some(key.into());
    Backend::new("orders".parse().unwrap(), binding, Algorithm::Es256, signer).unwrap()
}

/// The claims, after the signature was verified with a library that is not ours and with what is published alone.
fn verified(minter: &Minter, injected: &Injected) -> Value {
    verified_as(jsonwebtoken::Algorithm::ES256, minter, injected)
}

fn verified_as(algorithm: jsonwebtoken::Algorithm, minter: &Minter, injected: &Injected) -> Value {
    let set: JwkSet = serde_json::from_str(minter.keys.glance().jwks()).unwrap();
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&["orders"]);
    rules.set_issuer(&["https://gateway.example.com"]);
    rules.validate_exp = false; // the clock of these tests stands still
    let token = injected.assertion.to_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("cloister+jwt"));
    let key = DecodingKey::from_jwk(set.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap().claims
}

fn field(injected: &Injected, name: &str) -> Option<String> {
    let (_, value) = injected.clone().into_fields().find(|(field, _)| *field == name)?;
    Some(value.to_str().unwrap().to_owned())
}

#[test]
fn an_assertion_says_who_in_which_tenant_for_which_backend_and_which_request() {
    let minter = minter(&clock());
    let ada = Person::ada();
    let amr: [Box<str>; 2] = ["pwd".into(), "otp".into()];
    let identity = Identity { acr: Some("urn:\"two\"\n"), amr: &amr, auth_time: Some(5), ..ada.identity() };
    let injected = minter.inject(&identity, &request(0xabc), &backend(Binding::PerRequest)).unwrap();
    assert_eq!(
        verified(&minter, &injected),
        json!({
            "iss": "https://gateway.example.com",
            "aud": "orders",
            "sub": "ada",
            "idp": "main",
            "tenant": "acme",
            "roles": ["billing_reader", "support"],
            "iat": NOW,
            "exp": NOW + 60,
            "jti": "00000000000000000000000000000abc",
            "htm": "GET",
            "htu": "/orders/7",
            "acr": "urn:\"two\"\n",
            "amr": ["pwd", "otp"],
            "auth_time": 5,
        })
    );
    assert_eq!(field(&injected, "x-tenant-id").unwrap(), "acme");
    assert_eq!(field(&injected, "x-user-id").unwrap(), "ada");
    assert_eq!(field(&injected, "x-roles").unwrap(), "billing_reader,support");
    assert_eq!(field(&injected, "signature"), None);
    assert!(format!("{injected:?}").contains("Sensitive"), "an assertion does not show in a log");
}

#[test]
fn who_has_no_role_has_no_field_that_says_so() {
    let minter = minter(&clock());
    let nobody = Person { roles: Vec::new(), ..Person::ada() };
    let injected = minter.inject(&nobody.identity(), &request(1), &backend(Binding::PerRequest)).unwrap();
    assert_eq!(field(&injected, "x-roles"), None);
    assert_eq!(verified(&minter, &injected)["roles"], json!([]));
}

#[test]
fn every_subject_that_there_can_be_is_told_as_it_is() {
    let minter = minter(&clock());
    let graphic: String = (0x21_u8..=0x7e).map(char::from).collect();
    let person = Person { subject: graphic.parse().unwrap(), ..Person::ada() };
    let injected = minter.inject(&person.identity(), &request(1), &backend(Binding::PerRequest)).unwrap();
    assert_eq!(verified(&minter, &injected)["sub"], json!(graphic));
    assert_eq!(field(&injected, "x-user-id").unwrap(), graphic);
}

#[test]
fn an_assertion_does_not_outlive_the_token() {
    let clock = clock();
    let minter = minter(&clock);
    let leaving = Person { expires_at: NOW + 10, ..Person::ada() };
    for binding in [Binding::PerRequest, Binding::Reuse] {
        let injected = minter.inject(&leaving.identity(), &request(1), &backend(binding)).unwrap();
        assert_eq!(verified(&minter, &injected)["exp"], json!(NOW + 10));
    }
    clock.advance(Duration::from_secs(10));
    for binding in [Binding::PerRequest, Binding::Reuse, Binding::InsecureReuse] {
        let error = minter.inject(&leaving.identity(), &request(1), &backend(binding)).unwrap_err();
        assert_eq!((error, error.reason()), (MintError::Expired, Reason::AuthInvalidExpired));
    }
}

#[test]
fn with_reuse_the_assertion_stays_for_half_its_life_and_the_signature_is_new_each_time() {
    let clock = clock();
    let minter = minter(&clock);
    let ada = Person::ada();
    let inject = |id| minter.inject(&ada.identity(), &request(id), &backend(Binding::Reuse)).unwrap();
    let first = inject(1);
    assert!(verified(&minter, &first)["htm"].is_null());
    clock.advance(Duration::from_secs(29));
    let second = inject(2);
    assert_eq!(second.assertion, first.assertion);
    assert_ne!(field(&second, "signature"), field(&first, "signature"));
    assert!(field(&second, "signature-input").unwrap().contains(&format!("created={}", NOW + 29)));
    clock.advance(Duration::from_secs(1));
    let third = inject(3);
    assert_ne!(third.assertion, first.assertion);
    assert_eq!(verified(&minter, &third)["iat"], json!(NOW + 30));
}

#[test]
fn an_assertion_is_used_again_for_the_same_caller_only() {
    let minter = minter(&clock());
    let ada = Person::ada();
    let first = minter.inject(&ada.identity(), &request(1), &backend(Binding::Reuse)).unwrap();
    let other_roles: Vec<RoleName> = vec!["support".parse().unwrap()];
    let globex: TenantId = "globex".parse().unwrap();
    let bob: Subject = "bob".parse().unwrap();
    for (identity, what) in [
        (Identity { token: &[8; 32], ..ada.identity() }, "another token"),
        (Identity { tenant: &globex, ..ada.identity() }, "another tenant"),
        (Identity { roles: &other_roles, ..ada.identity() }, "other roles"),
        (Identity { subject: &bob, ..ada.identity() }, "another subject"),
    ] {
        let other = minter.inject(&identity, &request(2), &backend(Binding::Reuse)).unwrap();
        assert_ne!(other.assertion, first.assertion, "{what}");
        let claims = verified(&minter, &other);
        assert_eq!(claims["tenant"], json!(identity.tenant.as_str()), "{what}");
        assert_eq!(claims["sub"], json!(identity.subject.as_str()), "{what}");
        let roles: Vec<_> = identity.roles.iter().map(RoleName::as_str).collect();
        assert_eq!(claims["roles"], json!(roles), "{what}");
        assert_eq!(field(&other, "x-roles").unwrap(), roles.join(","), "{what}");
    }
    let key = SignatureKey::new("billing", &Secret::new(vec![8; 32])).unwrap();
    let billing = Backend::new("billing".parse().unwrap(), Binding::Reuse, Algorithm::Es256, Some(key.into())).unwrap();
    assert_ne!(minter.inject(&ada.identity(), &request(3), &billing).unwrap().assertion, first.assertion);
}

#[test]
fn without_reuse_every_request_has_an_assertion_of_its_own() {
    let minter = minter(&clock());
    let ada = Person::ada();
    let inject = |id| minter.inject(&ada.identity(), &request(id), &backend(Binding::PerRequest)).unwrap();
    assert_ne!(verified(&minter, &inject(1))["jti"], verified(&minter, &inject(2))["jti"]);
}

#[test]
fn each_backend_has_assertions_of_the_algorithm_that_it_can_verify() {
    let minter = minter(&clock());
    for (ours, theirs) in [
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
    ] {
        let backend = Backend::new("orders".parse().unwrap(), Binding::InsecureReuse, ours, None).unwrap();
        for _ in 0..2 {
            let injected = minter.inject(&Person::ada().identity(), &request(1), &backend).unwrap();
            assert_eq!(verified_as(theirs, &minter, &injected)["tenant"], json!("acme"), "{ours}");
        }
    }
}

#[test]
fn claims_are_told_in_fields_of_their_own_and_under_the_same_signature() {
    let minter = minter(&clock());
    let ada = Person::ada();
    let telling = [("x-email", 0), ("x-plan", 1), ("x-none", 7)];
    let telling = telling.map(|(name, place)| (http::HeaderName::from_static(name), place));
    let telling = crate::Telling::new(telling).unwrap();
    let claimed = [Claimed::Text("ada@\"example.com".into()), Claimed::Absent];
    for binding in [Binding::PerRequest, Binding::Reuse] {
        let backend = backend(binding).told(telling.clone(), crate::CallersToken::Kept);
        let identity = Identity { claimed: &claimed, ..ada.identity() };
        for _ in 0..2 {
            let mut injected = minter.inject(&identity, &request(1), &backend).unwrap();
            assert_eq!(verified(&minter, &injected)["fields"], json!({ "x-email": "ada@\"example.com" }));
            let told = injected.take_told();
            assert_eq!(
                (told.len(), told[0].0.as_str(), told[0].1.to_str().unwrap()),
                (1, "x-email", "ada@\"example.com")
            );
        }
        let unfit = Identity { claimed: &[Claimed::Unfit], token: &[9; 32], ..ada.identity() };
        let error = minter.inject(&unfit, &request(1), &backend).unwrap_err();
        assert_eq!((error, error.reason()), (MintError::Claim, Reason::AuthInvalidClaims));
    }
}
