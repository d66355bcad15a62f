use std::collections::BTreeSet;
use std::sync::Mutex;

use futures::FutureExt as _;

use super::*;

/// Issuers of many tenants, of which those in `registered` are there, with their keys in files.
struct Idp {
    clock: Arc<ManualClock>,
    verifier: Arc<Verifier>,
    key: Forge,
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Idp {
    fn new(change: impl FnOnce(&mut IssuerSettings), registered: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Forge::es256("key-1");
        for tenant in registered {
            std::fs::write(folder.path().join(tenant), key.jwks()).unwrap();
        }
        let mut settings = Setup::issuer("realms", folder.path().join("{tenant}"));
        settings.issuer = "https://idp.example/realms/{tenant}".into();
        change(&mut settings);
        let clock = Arc::new(ManualClock::at(NOW));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known: BTreeSet<String> = registered.iter().map(ToString::to_string).collect();
        let heard = Arc::clone(&asked);
        let verifier = Verifier::new(vec![settings], Arc::clone(&clock) as Arc<dyn Clock>, 1_000).unwrap();
        let verifier = verifier.knowing(Arc::new(move |tenant: &TenantId| {
            heard.lock().unwrap().push(tenant.to_string());
            known.contains(tenant.as_str())
        }));
        Self { clock, verifier: Arc::new(verifier), key, folder, asked }
    }

    fn token(&self, realm: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        claims["iss"] = json!(format!("https://idp.example/realms/{realm}"));
        claims["exp"] = json!(NOW + 100_000);
        claims.as_object_mut().unwrap().remove("tenant_id");
        change(&mut claims);
        self.key.sign(&claims)
    }

    async fn verify(&self, token: &str) -> Result<Arc<Caller>, Reason> {
        self.verifier.verify(token, &[id("realms")].into()).await.map_err(TokenError::reason)
    }

    fn loaded(&self) -> usize {
        self.verifier.realms()[0].loaded
    }

    /// Runs `body` while keys are kept fresh.
    async fn running<T>(&self, body: impl Future<Output = T>) -> T {
        tokio::select! {
            () = Arc::clone(&self.verifier).run(std::future::pending()) => panic!("it ended by itself"),
            done = tokio::time::timeout(Duration::from_secs(20), body) => done.expect("it takes too long"),
        }
    }
}

#[tokio::test]
async fn the_first_token_of_a_realm_waits_for_its_keys_and_speaks_for_its_tenant_alone() {
    let idp = Idp::new(|_| {}, &["acme", "globex"]);
    idp.running(async {
        assert_eq!(idp.loaded(), 0, "nobody has asked for anything yet");
        let many = (0..20).map(|number| idp.token("acme", |claims| claims["jti"] = json!(number.to_string())));
        let many: Vec<_> = many.collect();
        let verdicts = futures::future::join_all(many.iter().map(|token| idp.verify(token))).await;
        for caller in verdicts {
            let caller = caller.unwrap();
            assert_eq!((caller.tenant(), caller.realm().map(TenantId::as_str)), (Some("acme"), Some("acme")));
            assert_eq!((caller.issuer().as_str(), caller.vouched_by().as_str()), ("realms", "realms/acme"));
        }
        assert_eq!(idp.loaded(), 1);
        let liar = idp.verify(&idp.token("acme", |claims| claims["tenant_id"] = json!("globex"))).await.unwrap();
        assert_eq!((liar.tenant(), liar.realm().map(TenantId::as_str)), (Some("globex"), Some("acme")));
        assert!(idp.verify(&idp.token("globex", |_| {})).await.is_ok());
        assert_eq!(idp.loaded(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_realm_that_somebody_makes_up_takes_no_memory_and_asks_nobody() {
    let idp = Idp::new(|_| {}, &["acme"]);
    std::fs::write(idp.folder.path().join("mallory"), idp.key.jwks()).unwrap();
    idp.running(async {
        for number in 0..1_000 {
            let token = idp.token(&format!("made-up-{number}"), |_| {});
            assert_eq!(idp.verify(&token).await.err(), Some(Reason::AuthInvalidIssuer));
        }
        for realm in ["mallory", "", "../mallory", "acme/", "ACME", "acme%00", "{tenant}", "a.b", "acme?x=y"] {
            assert_eq!(idp.verify(&idp.token(realm, |_| {})).await.err(), Some(Reason::AuthInvalidIssuer), "{realm}");
        }
        assert_eq!(idp.loaded(), 0);
        let asked = idp.asked.lock().unwrap().len();
        assert_eq!(asked, 1_001, "what cannot be a tenant's name is not even looked up");
        let elsewhere = idp.verifier.verify(&idp.token("acme", |_| {}), &[id("other")].into()).await;
        assert_eq!(elsewhere.unwrap_err(), TokenError::Issuer);
        assert_eq!(idp.loaded(), 0, "a route that does not accept it loads nothing");
        for token in [
            idp.token("acme", |claims| claims["x"] = json!("x".repeat(9_000))),
            idp.key.sign_raw(br#"{"alg":"PS256","kid":"key-1"}"#, br#"{"iss":"https://idp.example/realms/acme"}"#),
        ] {
            assert!(idp.verify(&token).await.is_err());
            assert_eq!(idp.loaded(), 0, "nor does what no key could make good");
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_registry_there_is_no_tenant_and_without_a_run_no_wait() {
    let idp = Idp::new(|_| {}, &["acme"]);
    let settings = IssuerSettings {
        issuer: "https://idp.example/realms/{tenant}".into(),
        ..Setup::issuer("realms", idp.folder.path().join("{tenant}"))
    };
    let alone = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 10).unwrap();
    let token = idp.token("acme", |_| {});
    let verdict = alone.verify(&token, &[id("realms")].into()).now_or_never();
    assert_eq!(verdict.unwrap().unwrap_err(), TokenError::Issuer);
}

#[tokio::test]
async fn a_realm_whose_keys_cannot_be_had_is_an_outage_of_that_tenant_alone() {
    let idp = Idp::new(|_| {}, &["acme", "globex"]);
    std::fs::remove_file(idp.folder.path().join("globex")).unwrap();
    idp.running(async {
        let token = idp.token("globex", |_| {});
        assert_eq!(idp.verify(&token).await.err(), Some(Reason::AuthUnavailable));
        assert_eq!(
            idp.verify(&token).now_or_never().unwrap().err(),
            Some(Reason::AuthUnavailable),
            "and at once, from now on"
        );
        assert!(idp.verify(&idp.token("acme", |_| {})).await.is_ok());
        let state = idp.verifier.realms().remove(0);
        assert_eq!((state.loaded, state.unusable, state.crowded), (2, 1, 0));
        assert!(state.failures >= 1);
    })
    .await;
}

#[tokio::test]
async fn at_the_bound_the_one_that_was_idle_for_longest_gives_way_and_none_that_is_in_use() {
    let idp = Idp::new(|settings| settings.max_tenants = 2, &["acme", "globex", "initech"]);
    idp.running(async {
        let [acme, globex, initech] = ["acme", "globex", "initech"].map(|realm| idp.token(realm, |_| {}));
        assert!(idp.verify(&acme).await.is_ok());
        idp.clock.advance(Duration::from_secs(1));
        assert!(idp.verify(&globex).await.is_ok());
        for _ in 0..3 {
            assert_eq!(idp.verify(&initech).await.err(), Some(Reason::AuthUnavailable), "both are in use");
        }
        assert_eq!(idp.verifier.realms()[0].crowded, 3);
        idp.clock.advance(Duration::from_secs(58));
        assert!(idp.verify(&acme).await.is_ok(), "it is remembered, and in use again by that");
        idp.clock.advance(Duration::from_secs(2));
        assert!(idp.verify(&initech).await.is_ok(), "now globex is idle");
        assert!(idp.verify(&acme).await.is_ok());
        assert_eq!(idp.loaded(), 2);
        assert_eq!(
            idp.verify(&globex).await.err(),
            Some(Reason::AuthUnavailable),
            "its token was remembered, and is not good by that"
        );
    })
    .await;
}

#[tokio::test]
async fn tokens_that_are_not_good_keep_no_realm_in_use() {
    let idp = Idp::new(|settings| settings.max_tenants = 1, &["acme", "globex"]);
    idp.running(async {
        assert!(idp.verify(&idp.token("acme", |_| {})).await.is_ok());
        idp.clock.advance(Duration::from_secs(60));
        let forged = Forge::es256("key-1").sign(&json!({
            "iss": "https://idp.example/realms/acme", "aud": "api", "sub": "user-1", "exp": NOW + 600,
        }));
        assert_eq!(idp.verify(&forged).await.err(), Some(Reason::AuthInvalidSignature));
        assert!(idp.verify(&idp.token("globex", |_| {})).await.is_ok());
        assert_eq!(idp.loaded(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_realm_that_nobody_uses_is_let_go_and_comes_back_when_it_is_needed() {
    let idp = Idp::new(
        |settings| {
            settings.refresh = Duration::from_secs(1);
            settings.max_stale = Duration::from_secs(600);
        },
        &["acme"],
    );
    let token = idp.token("acme", |_| {});
    idp.running(async {
        let first = idp.verify(&token).await.unwrap();
        idp.clock.advance(Duration::from_secs(601));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while idp.loaded() > 0 {
            assert!(std::time::Instant::now() < deadline, "it stays for ever");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let again = idp.verify(&token).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &again), "verified anew, with keys that are read anew");
        assert_eq!(idp.loaded(), 1);
    })
    .await;
}

#[tokio::test]
async fn keys_that_somebody_makes_up_for_many_realms_ask_their_server_few_times() {
    let tenants: Vec<_> = (0..50).map(|number| format!("t{number}")).collect();
    let idp = Idp::new(|_| {}, &tenants.iter().map(String::as_str).collect::<Vec<_>>());
    idp.running(async {
        for tenant in &tenants {
            assert!(idp.verify(&idp.token(tenant, |_| {})).await.is_ok());
        }
        let asked = || -> u64 { idp.verifier.realms[0].loaded().iter().map(|issuer| *issuer.fetched.borrow()).sum() };
        assert_eq!(asked(), 50);
        idp.clock.advance(Duration::from_secs(10));
        let stranger = Forge::es256("made-up");
        for tenant in &tenants {
            let claims =
                json!({ "iss": format!("https://idp.example/realms/{tenant}"), "aud": "api", "exp": NOW + 600 });
            assert_eq!(idp.verify(&stranger.sign(&claims)).await.err(), Some(Reason::AuthInvalidKey));
        }
        assert_eq!(asked(), 60, "ten in a second");
    })
    .await;
}

#[test]
fn patterns_that_could_be_mistaken_are_faults() {
    let with = |id_: &str, issuer: &str, jwks: JwksSource| IssuerSettings {
        issuer: issuer.into(),
        jwks,
        ..Setup::issuer(id_, "unused".into())
    };
    let url = |text: &str| JwksSource::Url(text.into());
    let realms = || with("realms", "https://idp.example/realms/{tenant}", JwksSource::Discovery);
    drop(rustls::crypto::ring::default_provider().install_default());
    for (what, issuers, expected) in [
        ("one", vec![realms()], vec![]),
        (
            "keys in common",
            vec![with("realms", "https://idp.example/{tenant}", url("https://idp.example/keys"))],
            vec![Unfit::KeysInCommon],
        ),
        (
            "a place in the address",
            vec![with("realms", "https://idp.example/{tenant}", url("https://idp.example/{tenant}/keys"))],
            vec![],
        ),
        (
            "a place in the address alone",
            vec![with("one", "https://idp.example/", url("https://idp.example/{tenant}/keys"))],
            vec![Unfit::Pattern("jwks")],
        ),
        (
            "without tls",
            vec![with("realms", "https://idp.example/{tenant}", url("http://idp.example/{tenant}/keys"))],
            vec![Unfit::Url("jwks.url")],
        ),
        ("two that meet", vec![realms(), with("other", "https://idp.example/{tenant}", JwksSource::Discovery)], vec![]),
        (
            "two that are one",
            vec![realms(), with("other", "https://idp.example/realms/{tenant}", JwksSource::Discovery)],
            vec![Unfit::Patterns, Unfit::Issuer],
        ),
        (
            "two places",
            vec![with("realms", "https://{tenant}.example/{tenant}", JwksSource::Discovery)],
            vec![Unfit::Pattern("issuer")],
        ),
        (
            "another name",
            vec![with("realms", "https://idp.example/{realm}", JwksSource::Discovery)],
            vec![Unfit::Pattern("issuer")],
        ),
        (
            "named like one of a pattern's",
            vec![realms(), with("realms/acme", "https://acme.example/", JwksSource::Discovery)],
            vec![Unfit::Id],
        ),
        ("no room", vec![IssuerSettings { max_tenants: 0, ..realms() }], vec![Unfit::Tenants]),
    ] {
        let faults = match Verifier::new(issuers, Arc::new(ManualClock::at(NOW)), 10) {
            Ok(_) => vec![],
            Err(SettingsError { faults }) => faults.into_iter().map(|(_, fault)| fault).collect(),
        };
        assert_eq!(faults, expected, "{what}");
    }
}
