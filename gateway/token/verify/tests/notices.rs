//! What issuers say about sessions that have ended: OpenID Connect Back-Channel Logout 1.0 and RFC 8417.

use super::*;
use crate::{About, Notice, NoticeKind, NoticeSettings};

const LIFE: u64 = 3_600;
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

fn taking(audiences: &[&str]) -> NoticeSettings {
    NoticeSettings { audiences: audiences.iter().map(|it| (*it).to_owned()).collect(), max_revocations: 10 }
}

fn setup() -> Setup {
    Setup::with(|settings| {
        settings.notices = Some(taking(&["client-1"]));
        settings.max_lifetime = Some(Duration::from_secs(LIFE));
    })
}

/// A logout token as the specification shows it.
fn logout() -> Value {
    json!({
        "iss": "https://main.example/", "aud": "client-1", "iat": NOW, "exp": NOW + 120, "jti": "n1", "sid": "s1",
        "sub": "user-1", "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    })
}

/// A security event about this subject.
fn event(subject: Value) -> Value {
    json!({
        "iss": "https://main.example/", "aud": ["client-1"], "iat": NOW, "jti": "n1", "sub_id": subject,
        "events": { CAEP: { "event_timestamp": NOW } },
    })
}

fn user(name: &str) -> Value {
    json!({ "format": "iss_sub", "iss": "https://main.example/", "sub": name })
}

impl Setup {
    async fn logout(&self, claims: &Value) -> Result<Notice, Reason> {
        let token = self.main.sign_as("logout+jwt", claims);
        self.verifier.notice(NoticeKind::Logout, &token).await.map_err(|unheard| unheard.error.reason())
    }

    async fn event(&self, claims: &Value) -> Result<Notice, Reason> {
        let token = self.main.sign_as("secevent+jwt", claims);
        self.verifier.notice(NoticeKind::SecurityEvent, &token).await.map_err(|unheard| unheard.error.reason())
    }
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_logout_is_of_a_session_or_of_all_that_a_user_has() {
    let setup = setup();
    let said = |about| Notice {
        by: id("main"),
        issuer: id("main"),
        realm: None,
        about: vec![about],
        before: NOW + 1,
        most: 10,
        until: NOW + LIFE + 30,
    };
    assert_eq!(setup.logout(&logout()).await, Ok(said(About::Session("s1".into()))));
    let all = About::Subject("user-1".parse().unwrap(), NOW + 1);
    assert_eq!(setup.logout(&without(logout(), "sid")).await, Ok(said(all)));
    let untyped = setup.main.sign(&logout());
    assert!(setup.verifier.notice(NoticeKind::Logout, &untyped).await.is_ok(), "older issuers name no type");
}

#[tokio::test]
async fn what_is_no_logout_token_takes_nothing_back() {
    let setup = setup();
    let event = |event: Value| with(logout(), "events", event);
    for (what, claims, reason) in [
        ("for others", with(logout(), "aud", json!("client-2")), Reason::AuthInvalidAudience),
        ("for nobody", without(logout(), "aud"), Reason::AuthInvalidClaims),
        ("access tokens' audience", with(logout(), "aud", json!("api")), Reason::AuthInvalidAudience),
        ("without a time", without(logout(), "iat"), Reason::AuthInvalidClaims),
        ("of tomorrow", with(logout(), "iat", json!(NOW + 31)), Reason::AuthInvalidNotYet),
        ("expired", with(logout(), "exp", json!(NOW - 31)), Reason::AuthInvalidExpired),
        ("for ever", without(logout(), "exp"), Reason::AuthInvalidClaims),
        ("without a name", without(logout(), "jti"), Reason::AuthInvalidClaims),
        ("an ID token", without(logout(), "events"), Reason::AuthInvalidClaims),
        ("with a nonce", with(logout(), "nonce", json!("n")), Reason::AuthInvalidClaims),
        ("about nobody", without(without(logout(), "sid"), "sub"), Reason::AuthInvalidClaims),
        ("another event", event(json!({ CAEP: {} })), Reason::AuthInvalidClaims),
        ("no event", event(json!({})), Reason::AuthInvalidClaims),
        (
            "not an object",
            event(json!({ "http://schemas.openid.net/event/backchannel-logout": true })),
            Reason::AuthInvalidClaims,
        ),
        ("a list", event(json!(["http://schemas.openid.net/event/backchannel-logout"])), Reason::AuthInvalidClaims),
        ("another issuer", with(logout(), "iss", json!("https://else.example/")), Reason::AuthInvalidIssuer),
        (
            "one whose notices are not taken",
            with(logout(), "iss", json!("https://other.example/")),
            Reason::AuthInvalidIssuer,
        ),
    ] {
        assert_eq!(setup.logout(&claims).await, Err(reason), "{what}");
    }
    let header = json!({ "alg": "ES256", "kid": "main-1", "typ": "logout+jwt" });
    let forged = setup.other.sign_raw(header.to_string().as_bytes(), logout().to_string().as_bytes());
    let refused = setup.verifier.notice(NoticeKind::Logout, &forged).await.map_err(|unheard| unheard.error.reason());
    assert_eq!(refused, Err(Reason::AuthInvalidSignature));
    for typ in ["at+jwt", "secevent+jwt", "dpop+jwt"] {
        let token = setup.main.sign_as(typ, &logout());
        let refused = setup.verifier.notice(NoticeKind::Logout, &token).await.map_err(|unheard| unheard.error.reason());
        assert_eq!(refused, Err(Reason::AuthInvalidHeader), "{typ}");
    }
}

#[tokio::test]
async fn a_notice_lets_nobody_in() {
    let setup = Setup::with(|settings| {
        settings.notices = Some(taking(&["api"]));
        settings.max_lifetime = Some(Duration::from_secs(LIFE));
    });
    let claims = with(with(logout(), "aud", json!("api")), "tenant_id", json!("acme"));
    for typ in ["JWT", "at+jwt", "logout+jwt", "secevent+jwt"] {
        assert!(setup.verify(&setup.main.sign_as(typ, &claims)).await.is_err(), "{typ}");
    }
    assert!(setup.verify(&setup.main.sign_as("JWT", &without(claims, "events"))).await.is_ok());
}

#[tokio::test]
async fn a_security_event_is_about_whom_its_issuer_may_speak_of() {
    let setup = setup();
    let subject = |name: &str| About::Subject(name.parse().unwrap(), NOW + 1);
    let session = json!({ "format": "opaque", "id": "s1" });
    for (about, expected) in [
        (user("user-1"), subject("user-1")),
        (json!({ "format": "opaque", "id": "user-1" }), subject("user-1")),
        (json!({ "format": "complex", "user": user("user-1") }), subject("user-1")),
        (json!({ "format": "complex", "user": user("user-1"), "session": session }), About::Session("s1".into())),
    ] {
        assert_eq!(setup.event(&event(about.clone())).await.map(|notice| notice.about), Ok(vec![expected]), "{about}");
    }
    let elsewhere = json!({ "format": "iss_sub", "iss": "https://other.example/", "sub": "user-1" });
    for about in [
        elsewhere.clone(),
        json!({ "format": "complex", "user": elsewhere }),
        json!({ "format": "complex", "tenant": { "format": "opaque", "id": "acme" } }),
        json!({ "format": "complex", "user": { "format": "complex", "user": user("user-1") } }),
        json!({ "format": "complex", "session": { "format": "opaque", "id": "" } }),
        json!({ "format": "email", "email": "ada@example.com" }),
        json!({ "format": "iss_sub", "sub": "user-1" }),
        json!({ "format": "opaque", "id": 7 }),
        json!({ "id": "user-1" }),
        json!("user-1"),
    ] {
        assert_eq!(setup.event(&event(about.clone())).await, Err(Reason::AuthInvalidClaims), "{about}");
    }
    let before_ssf = json!({ CAEP: { "subject": user("user-1") } });
    let notice = setup.event(&with(without(event(json!(null)), "sub_id"), "events", before_ssf)).await.unwrap();
    assert_eq!(notice.about, [subject("user-1")]);
}

#[tokio::test]
async fn an_event_that_is_not_known_is_heard_and_takes_nothing_back() {
    let setup = setup();
    for name in [
        "https://schemas.openid.net/secevent/ssf/event-type/verification",
        "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change",
        "https://idp.example/something-of-its-own",
    ] {
        let claims = with(event(user("user-1")), "events", json!({ name: {} }));
        assert_eq!(setup.event(&claims).await.map(|notice| notice.about), Ok(vec![]), "{name}");
    }
    let untyped = setup.main.sign(&event(user("user-1")));
    let refused =
        setup.verifier.notice(NoticeKind::SecurityEvent, &untyped).await.map_err(|unheard| unheard.error.reason());
    assert_eq!(refused, Err(Reason::AuthInvalidHeader), "a security event says that it is one");
}

#[test]
fn notices_need_somebody_that_they_are_for_and_an_end() {
    let none = NoticeSettings { max_revocations: 0, ..taking(&["client-1"]) };
    for (notices, life) in
        [(taking(&[]), Some(LIFE)), (taking(&[""]), Some(LIFE)), (taking(&["client-1"]), None), (none, Some(LIFE))]
    {
        let settings = IssuerSettings {
            notices: Some(notices),
            max_lifetime: life.map(Duration::from_secs),
            ..Setup::issuer("main", "keys.json".into())
        };
        let error = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 1).unwrap_err();
        assert_eq!(error.faults, [(Some(id("main")), Unfit::Notices)]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_signatures_are_verified_than_so_many_a_second_and_junk_takes_none_of_them() {
    let setup = setup();
    let forged = setup.other.sign_raw(
        json!({ "alg": "ES256", "kid": "main-1", "typ": "logout+jwt" }).to_string().as_bytes(),
        logout().to_string().as_bytes(),
    );
    for claims in [with(logout(), "aud", json!("else")), without(logout(), "events"), with(logout(), "iss", json!("x"))]
    {
        for _ in 0..300 {
            assert!(setup.logout(&claims).await.is_err());
        }
    }
    for _ in 0..200 {
        let unheard = setup.verifier.notice(NoticeKind::Logout, &forged).await.unwrap_err();
        assert_eq!((unheard.error, unheard.by), (TokenError::Signature, Some(id("main"))));
    }
    assert_eq!(setup.logout(&logout()).await, Err(Reason::AuthUnavailable), "and it may be said again");
    setup.clock.advance(Duration::from_secs(1));
    assert!(setup.logout(&logout()).await.is_ok());
}
