use std::convert::Infallible;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use terms::{IssuerSet, ManualClock, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::forge::Issuer as Forge;
use crate::settings::IntrospectionSettings;
use crate::{
    Algorithm, Caller, ClientAuthentication, ClientCredentials, ClientKey, IssuerSettings, JwksSource, Reach,
    SettingsError, TokenError, Unfit, Verifier,
};

use super::*;

const NOW: u64 = 1_700_000_000;

/// An issuer that is asked, and answers everything with the same bytes, which can be changed.
struct Idp {
    listener: TcpListener,
    answer: Mutex<Vec<u8>>,
    delay: Mutex<Duration>,
    asked: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Idp {
    async fn start() -> Arc<Self> {
        drop(rustls::crypto::ring::default_provider().install_default()); // another test may have done it
        Arc::new(Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            answer: Mutex::new(ok(&active())),
            delay: Mutex::default(),
            asked: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    fn url(&self) -> String {
        format!("http://{}/introspect", self.listener.local_addr().unwrap())
    }

    fn answer(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn settings(&self, name: &str) -> IssuerSettings {
        let issuer = format!("https://{name}.example/");
        IssuerSettings {
            algorithms: vec![],
            introspection: Some(IntrospectionSettings {
                url: self.url(),
                client: ClientCredentials {
                    id: "gate:way".into(),
                    authentication: ClientAuthentication::Basic(secrets::Secret::new(b"s3cret&".to_vec()).into()),
                },
                reach: Reach::Public,
                remember: Duration::from_secs(30),
                timeout: Duration::from_millis(500),
                concurrency: 4,
            }),
            ..IssuerSettings::new(id(name), &issuer, "api", Algorithm::ES256, JwksSource::None)
        }
    }

    /// Runs `body` while this is there to be asked.
    async fn beside<T>(self: &Arc<Self>, body: impl Future<Output = T>) -> T {
        let serve = async {
            let mut open = futures::stream::FuturesUnordered::new();
            loop {
                tokio::select! {
                    accepted = self.listener.accept() => open.push(self.reply(accepted.unwrap().0)),
                    Some(_) = futures::StreamExt::next(&mut open) => {}
                }
            }
        };
        let serve: futures::future::BoxFuture<'_, Infallible> = Box::pin(serve);
        tokio::select! {
            never = serve => match never {},
            done = tokio::time::timeout(Duration::from_secs(20), body) => done.expect("it takes too long"),
        }
    }

    async fn reply(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        stream.read_exact(&mut body).await?;
        let request = [head, body].concat();
        self.asked.lock().unwrap().push(String::from_utf8(request).unwrap());
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let delay = *self.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }
}

fn id(name: &str) -> IssuerId {
    name.parse().unwrap()
}

fn ok(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

fn active() -> Value {
    json!({
        "active": true, "iss": "https://main.example/", "aud": ["api", "other"], "sub": "user-1", "exp": NOW + 600,
        "iat": NOW, "nbf": NOW, "scope": "read write", "client_id": "web", "token_type": "Bearer", "jti": "t1", "sid": "s1",
        "tenant_id": "acme", "roles": ["viewer"],
    })
}

fn verifier(settings: Vec<IssuerSettings>) -> (Arc<ManualClock>, Verifier) {
    let clock = Arc::new(ManualClock::at(NOW));
    let verifier = Verifier::new(settings, Arc::clone(&clock) as Arc<dyn Clock>, 100).unwrap();
    (clock, verifier)
}

async fn verdict(verifier: &Verifier, token: &str) -> Result<Arc<Caller>, Reason> {
    verifier.verify(token, &[id("main")].into()).await.map_err(TokenError::reason)
}

async fn reason(verifier: &Verifier, token: &str) -> Option<Reason> {
    verdict(verifier, token).await.err()
}

#[tokio::test]
async fn an_opaque_token_speaks_of_whom_its_issuer_says() {
    let idp = Idp::start().await;
    let (clock, verifier) = verifier(vec![idp.settings("main")]);
    idp.beside(async {
        let caller = verdict(&verifier, "opaque+token/1==").await.unwrap();
        assert_eq!((caller.issuer().as_str(), caller.subject().as_str()), ("main", "user-1"));
        assert_eq!((caller.tenant(), caller.roles().len(), caller.expires_at()), (Some("acme"), 1, NOW + 600));
        assert_eq!((caller.jti(), caller.sid(), caller.issued_at()), (Some("t1"), Some("s1"), Some(NOW)));
        let request = idp.asked.lock().unwrap()[0].clone();
        assert!(request.starts_with("POST /introspect HTTP/1.1\r\n"), "{request}");
        let credentials = "authorization: Basic Z2F0ZSUzQXdheTpzM2NyZXQlMjY="; // gate%3Away:s3cret%26
        assert!(request.contains(credentials), "{request}");
        assert!(request.ends_with("\r\n\r\ntoken=opaque%2Btoken%2F1%3D%3D&token_type_hint=access_token"), "{request}");

        let again = verdict(&verifier, "opaque+token/1==").await.unwrap();
        assert!(Arc::ptr_eq(&caller, &again) && idp.asked() == 1, "it is remembered");
        clock.advance(Duration::from_secs(30));
        assert!(verdict(&verifier, "opaque+token/1==").await.is_ok());
        assert_eq!(idp.asked(), 2, "and not for longer than that");
        let state = verifier.introspections().remove(0);
        assert_eq!((state.active, state.remembered, state.refused, state.failed), (2, 1, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn the_client_may_name_itself_in_the_form() {
    let idp = Idp::start().await;
    let mut settings = idp.settings("main");
    let secret = secrets::Secret::new(b"s3cret&".to_vec()).into();
    settings.introspection.as_mut().unwrap().client.authentication = ClientAuthentication::Post(secret);
    let (_, verifier) = verifier(vec![settings]);
    idp.beside(async {
        assert!(verdict(&verifier, "t").await.is_ok());
        let request = idp.asked.lock().unwrap()[0].clone();
        assert!(!request.contains("authorization:"), "{request}");
        let form = "token=t&token_type_hint=access_token&client_id=gate%3Away&client_secret=s3cret%26";
        assert!(request.ends_with(form), "{request}");
    })
    .await;
}

#[tokio::test]
async fn the_client_may_prove_itself_by_a_key_and_does_so_anew_each_time() {
    let idp = Idp::start().await;
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let key = ClientKey::parse(&secrets::Secret::new(pem.clone().into_bytes()), Some("k1")).unwrap();
    let mut settings = idp.settings("main");
    let audience = "https://main.example/token".to_owned();
    settings.introspection.as_mut().unwrap().client.authentication =
        ClientAuthentication::PrivateKey { key: key.into(), audience };
    let (_, verifier) = verifier(vec![settings]);
    idp.beside(async {
        for token in ["t1", "t2"] {
            assert!(verdict(&verifier, token).await.is_ok());
        }
        let asked = idp.asked.lock().unwrap().clone();
        let assertion = |request: &str| {
            assert!(!request.to_ascii_lowercase().contains("authorization:") && !request.contains("client_secret"));
            let kind = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
            assert!(request.contains(kind), "{request}");
            request.split_once("&client_assertion=").unwrap().1.to_owned()
        };
        let (one, other) = (assertion(&asked[0]), assertion(&asked[1]));
        assert_ne!(one, other);
        assert!(!asked.iter().any(|request| request.contains(pem.lines().nth(1).unwrap())));
    })
    .await;
}

#[tokio::test]
async fn what_an_issuer_says_is_held_to_the_same_as_the_claims_of_a_jwt() {
    use Reason::*;
    let idp = Idp::start().await;
    let (_, verifier) = verifier(vec![idp.settings("main")]);
    idp.beside(async {
        for (number, (name, value, expected)) in [
            ("iss", None, None), // nobody else was asked
            ("iss", Some(json!("https://other.example/")), Some(AuthInvalidIssuer)),
            ("iss", Some(json!(7)), Some(AuthInvalidClaims)),
            ("aud", None, Some(AuthInvalidClaims)),
            ("aud", Some(json!("else")), Some(AuthInvalidAudience)),
            ("exp", None, Some(AuthInvalidClaims)),
            ("exp", Some(json!(NOW - 31)), Some(AuthInvalidExpired)),
            ("exp", Some(json!("soon")), Some(AuthInvalidClaims)),
            ("nbf", Some(json!(NOW + 31)), Some(AuthInvalidNotYet)),
            ("iat", Some(json!(NOW + 31)), Some(AuthInvalidNotYet)),
            ("sub", None, Some(AuthInvalidClaims)),
            ("tenant_id", Some(json!(["acme"])), Some(AuthInvalidClaims)),
            ("roles", Some(json!({ "a": 1 })), Some(AuthInvalidClaims)),
            ("token_type", None, None),
            ("token_type", Some(json!("refresh_token")), Some(AuthInvalidClaims)),
            ("token_type", Some(json!(1)), Some(AuthInvalidClaims)),
            ("token_use", Some(json!("refresh_token")), Some(AuthInvalidClaims)),
            ("token_use", Some(json!("access_token")), None),
            ("active", Some(json!(false)), Some(AuthInvalidInactive)),
        ]
        .into_iter()
        .enumerate()
        {
            let mut answer = active();
            match &value {
                Some(value) => answer[name] = value.clone(),
                None => drop(answer.as_object_mut().unwrap().remove(name)),
            }
            idp.answer(ok(&answer));
            let token = format!("token-{number}");
            assert_eq!(reason(&verifier, &token).await, expected, "{name} = {value:?}");
            let asked = idp.asked();
            assert_eq!(reason(&verifier, &token).await, expected, "{name} = {value:?}, again");
            assert_eq!(idp.asked(), asked, "what was said is remembered for a while");
        }
        let many: serde_json::Map<String, Value> = (0..64).map(|number| (format!("c{number}"), json!(0))).collect();
        let mut answer = active();
        answer.as_object_mut().unwrap().extend(many);
        idp.answer(ok(&answer));
        assert_eq!(reason(&verifier, "many").await, Some(AuthInvalidClaims));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_answer_is_an_outage_and_lets_nobody_in() {
    let idp = Idp::start().await;
    let elsewhere = Idp::start().await;
    let garbage =
        |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let twice = active().to_string().replacen('{', r#"{"active":false,"#, 1);
    let mut huge = active();
    huge["x"] = json!("x".repeat(64 << 10));
    let location = elsewhere.url();
    for (what, answer, counts) in [
        ("an error", "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n".into(), true),
        (
            "an error with an answer",
            String::from_utf8(ok(&active())).unwrap().replacen("200 OK", "500 Broken", 1),
            true,
        ),
        ("a redirect", format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"), true),
        (
            "a redirect that keeps the method",
            format!("HTTP/1.1 307 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"),
            true,
        ),
        ("no client of its", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".into(), true),
        ("too much asked", "HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n".into(), true),
        ("not such a token", "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n".into(), false),
        ("created", String::from_utf8(ok(&active())).unwrap().replacen("200 OK", "201 Created", 1), true),
        ("html", garbage("<html>log in</html>"), true),
        ("nothing", garbage(""), true),
        ("a list", garbage("[true]"), true),
        ("active twice", garbage(&twice), true),
        (
            "active as a text",
            garbage(&active().to_string().replacen("\"active\":true", "\"active\":\"true\"", 1)),
            true,
        ),
        ("active as a number", garbage(&active().to_string().replacen("\"active\":true", "\"active\":1", 1)), true),
        ("no active", garbage(r#"{"sub":"user-1"}"#), true),
        ("huge", String::from_utf8(ok(&huge)).unwrap(), true),
        ("cut short", format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", active()), true),
        ("not http", "hello\r\n".into(), true),
        ("silence", String::new(), true),
    ] {
        let (_, verifier) = verifier(vec![idp.settings("main")]);
        idp.answer(answer);
        idp.beside(async {
            for number in 0..5 {
                assert_eq!(reason(&verifier, &format!("t{number}")).await, Some(Reason::AuthUnavailable), "{what}");
            }
            let state = verifier.introspections().remove(0);
            assert_eq!((state.failed, state.active, state.open), (5, 0, counts), "{what}");
            assert!(state.last_error.is_some(), "{what}");
            let asked = idp.asked();
            assert_eq!(reason(&verifier, "t0").await, Some(Reason::AuthUnavailable), "{what}: and not remembered");
            assert_eq!(idp.asked() == asked, counts, "{what}: it is left alone");
        })
        .await;
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
}

#[tokio::test]
async fn one_that_is_late_or_hangs_costs_a_moment_and_soon_nothing_and_others_nothing_at_all() {
    let (slow, well) = (Idp::start().await, Idp::start().await);
    *slow.delay.lock().unwrap() = Duration::from_secs(60);
    let mut answer = active();
    answer["iss"] = json!("https://other.example/");
    well.answer(ok(&answer));
    let mut settings = slow.settings("main");
    settings.introspection.as_mut().unwrap().timeout = Duration::from_millis(50);
    let (clock, verifier) = verifier(vec![settings, well.settings("other")]);
    let both = slow.beside(well.beside(async {
        for number in 0..5 {
            assert_eq!(reason(&verifier, &format!("t{number}")).await, Some(Reason::AuthUnavailable));
        }
        assert_eq!(slow.asked(), 5);
        for number in 0..100 {
            assert_eq!(reason(&verifier, &format!("t{number}")).await, Some(Reason::AuthUnavailable));
        }
        assert_eq!(slow.asked(), 5, "it is left alone");
        assert!(verifier.verify("t", &[id("other")].into()).await.is_ok(), "the other is asked as ever");
        clock.advance(Duration::from_secs(5));
        *slow.delay.lock().unwrap() = Duration::ZERO;
        assert_eq!(reason(&verifier, "t").await, None, "it is tried again");
        assert!(!verifier.introspections()[0].open);
    }));
    both.await;
}

#[tokio::test]
async fn many_with_one_token_wait_for_one_answer_and_few_are_asked_about_at_once() {
    let idp = Idp::start().await;
    *idp.delay.lock().unwrap() = Duration::from_millis(50);
    let (_, verifier) = verifier(vec![idp.settings("main")]);
    idp.beside(async {
        let same = futures::future::join_all((0..100).map(|_| verdict(&verifier, "same"))).await;
        let first = same[0].clone().unwrap();
        assert!(same.iter().all(|caller| Arc::ptr_eq(caller.as_ref().unwrap(), &first)));
        assert_eq!(idp.asked(), 1);
        let different: Vec<_> = (0..50).map(|number| format!("t{number}")).collect();
        let verdicts = futures::future::join_all(different.iter().map(|token| reason(&verifier, token))).await;
        assert_eq!(idp.most_at_once.load(Ordering::SeqCst), 4);
        let let_in = verdicts.iter().filter(|reason| reason.is_none()).count();
        assert_eq!(let_in, 4 + 4 * WAITING_PER_PLACE, "some wait for a place");
        assert!(verdicts.iter().flatten().all(|reason| *reason == Reason::AuthUnavailable), "and no more than that");
        assert_eq!(verifier.introspections()[0].unasked, 50 - 20);
    })
    .await;
}

#[tokio::test]
async fn whoever_leaves_does_not_take_the_answer_from_those_who_stay() {
    let idp = Idp::start().await;
    *idp.delay.lock().unwrap() = Duration::from_millis(100);
    let (_, verifier) = verifier(vec![idp.settings("main")]);
    idp.beside(async {
        let impatient = tokio::time::timeout(Duration::from_millis(20), verdict(&verifier, "same"));
        let (left, stayed) = tokio::join!(impatient, verdict(&verifier, "same"));
        assert!(left.is_err() && stayed.is_ok());
        let alone = tokio::time::timeout(Duration::from_millis(20), verdict(&verifier, "alone")).await;
        assert!(alone.is_err(), "nobody waits any more, so nobody asks any more");
        assert!(verdict(&verifier, "alone").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn what_one_issuer_says_of_a_token_is_not_what_another_says() {
    let (one, other) = (Idp::start().await, Idp::start().await);
    let mut theirs = active();
    theirs["iss"] = json!("https://other.example/");
    theirs["sub"] = json!("user-2");
    other.answer(ok(&theirs));
    let (_, verifier) = verifier(vec![one.settings("main"), other.settings("other")]);
    let body = async {
        let subject = async |accepted: &IssuerSet| {
            verifier
                .verify("same", accepted)
                .await
                .map(|caller| caller.subject().to_string())
                .map_err(TokenError::reason)
        };
        let (main, others, both) = ([id("main")].into(), [id("other")].into(), [id("main"), id("other")].into());
        for _ in 0..2 {
            assert_eq!(subject(&main).await.unwrap(), "user-1");
            assert_eq!(subject(&others).await.unwrap(), "user-2");
            assert_eq!(subject(&both).await.unwrap_err(), Reason::AuthInvalidMalformed, "whom would we ask?");
        }
        one.answer(ok(&json!({ "active": false })));
        assert_eq!(verifier.verify("new", &main).await.unwrap_err(), TokenError::Inactive);
        assert!(verifier.verify("new", &others).await.is_ok());
    };
    one.beside(other.beside(body)).await;
}

#[tokio::test]
async fn a_jwt_is_verified_as_one_where_its_issuer_has_keys_and_shown_to_nobody_else() {
    let idp = Idp::start().await;
    let key = Forge::es256("a");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, key.jwks()).unwrap();
    let both = IssuerSettings {
        algorithms: vec![Algorithm::ES256],
        jwks: JwksSource::File(path.clone()),
        ..idp.settings("both")
    };
    let keys =
        IssuerSettings::new(id("keys"), "https://keys.example/", "api", Algorithm::ES256, JwksSource::File(path));
    let (_, verifier) = verifier(vec![both, keys, idp.settings("main")]);
    let token = |issuer: &str| {
        let claims = json!({ "iss": issuer, "aud": "api", "sub": "user-7", "exp": NOW + 600 });
        (key.sign(&claims), Forge::es256("a").sign(&claims))
    };
    idp.beside(async {
        let (good, forged) = token("https://both.example/");
        let accepted = IssuerSet::from([id("both"), id("keys")]);
        assert_eq!(verifier.verify(&good, &accepted).await.unwrap().subject().as_str(), "user-7");
        assert_eq!(verifier.verify(&forged, &accepted).await.unwrap_err(), TokenError::Signature);
        let (good, forged) = token("https://keys.example/");
        assert!(verifier.verify(&good, &accepted).await.is_ok());
        assert_eq!(verifier.verify(&forged, &accepted).await.unwrap_err(), TokenError::Signature);
        let main = IssuerSet::from([id("main")]);
        assert_eq!(verifier.verify(&good, &main).await.unwrap_err(), TokenError::Issuer, "accepted elsewhere");
        let (stranger, _) = token("https://stranger.example/");
        for accepted in [&accepted, &main] {
            assert_eq!(verifier.verify(&stranger, accepted).await.unwrap_err(), TokenError::Issuer);
        }
        assert_eq!(idp.asked(), 0, "no token of somebody else's is shown to the one who is asked");

        let (theirs, _) = token("https://main.example/");
        assert_eq!(verifier.verify(&theirs, &main).await.unwrap().subject().as_str(), "user-1", "as the issuer says");
        idp.answer(ok(&{
            let mut answer = active();
            answer["iss"] = json!("https://both.example/");
            answer
        }));
        assert!(verifier.verify("opaque", &accepted).await.is_ok(), "what is no jwt is asked about");
        assert_eq!(idp.asked(), 2);
        let twice =
            key.sign_raw(br#"{"alg":"ES256"}"#, br#"{"iss":"https://main.example/","iss":"https://main.example/"}"#);
        assert!(matches!(verifier.verify(&twice, &main).await, Err(TokenError::Claims(_))));
        assert_eq!(verifier.verify(&"x".repeat(9_000), &main).await.unwrap_err(), TokenError::TooLarge);
        assert_eq!(idp.asked(), 2);
    })
    .await;
}

#[test]
fn settings_that_say_too_little_or_too_much_are_faults() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let good = IntrospectionSettings {
        url: "https://idp.example/introspect".into(),
        client: ClientCredentials {
            id: "gateway".into(),
            authentication: ClientAuthentication::Basic(secrets::Secret::new(b"s".to_vec()).into()),
        },
        reach: Reach::Public,
        remember: Duration::from_secs(30),
        timeout: Duration::from_secs(2),
        concurrency: 64,
    };
    let none = JwksSource::None;
    let main = IssuerSettings {
        algorithms: vec![],
        ..IssuerSettings::new(id("main"), "https://main.example/", "api", Algorithm::ES256, none)
    };
    let with = |change: fn(&mut IntrospectionSettings)| {
        let mut asked = good.clone();
        change(&mut asked);
        IssuerSettings { introspection: Some(asked), ..main.clone() }
    };
    for (what, settings, expected) in [
        ("well", with(|_| {}), vec![]),
        ("nothing", main.clone(), vec![Unfit::Unverifiable]),
        ("plain http", with(|it| it.url = "http://idp.example/".into()), vec![Unfit::Url("introspection.url")]),
        (
            "a private address",
            with(|it| it.url = "https://10.0.0.1/".into()),
            vec![Unfit::Private("introspection.url")],
        ),
        ("no client", with(|it| it.client.id.clear()), vec![Unfit::ClientId]),
        ("no time", with(|it| it.timeout = Duration::ZERO), vec![Unfit::IntrospectionTimeout]),
        ("no place", with(|it| it.concurrency = 0), vec![Unfit::IntrospectionConcurrency]),
        ("remembered for long", with(|it| it.remember = Duration::from_secs(301)), vec![Unfit::IntrospectionRemember]),
        (
            "algorithms of no jwts",
            IssuerSettings { algorithms: vec![Algorithm::ES256], ..with(|_| {}) },
            vec![Unfit::AlgorithmsUnused],
        ),
        (
            "a pattern",
            IssuerSettings { issuer: "https://idp/{tenant}".into(), ..with(|_| {}) },
            vec![Unfit::PatternOpaque],
        ),
    ] {
        let faults = match Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 10) {
            Ok(_) => vec![],
            Err(SettingsError { faults }) => faults.into_iter().map(|(_, fault)| fault).collect(),
        };
        assert_eq!(faults, expected, "{what}");
    }
}
