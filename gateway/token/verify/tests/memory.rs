use super::*;

#[tokio::test]
async fn a_remembered_token_is_refused_where_its_issuer_is_not_accepted() {
    let setup = Setup::new();
    let token = setup.main.sign(&claims());
    assert_eq!(setup.reason(&token).await, None);
    let elsewhere = setup.verifier.verify(&token, &[id("other")].into()).await;
    assert_eq!(elsewhere.unwrap_err(), TokenError::Issuer);
    assert_eq!(setup.verifier.cache_stats().hits, 0);
}

#[tokio::test]
async fn a_remembered_token_expires_to_the_second() {
    let setup = Setup::new();
    let token = setup.main.sign(&claims());
    let first = setup.verify(&token).await.unwrap();
    setup.clock.advance(Duration::from_secs(629));
    let again = setup.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the second time it is remembered");
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidExpired));
    let stats = setup.verifier.cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 0));
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidExpired));
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let setup = Setup::new();
    let new = Forge::es256("new");
    let token = new.sign(&claims());
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidKey));
    assert_eq!(setup.verifier.cache_stats().entries, 0);
    setup.publish(&new.jwks());
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&token).await, None);
}

#[tokio::test]
async fn rotation_ends_what_old_keys_vouched_for_and_spares_the_rest() {
    let setup = Setup::new();
    let (old, kept) = (setup.main.sign(&claims()), RSA.sign(&claims()));
    assert_eq!((setup.reason(&old).await, setup.reason(&kept).await), (None, None));

    setup.publish(&RSA.jwks());
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&old).await, Some(Reason::AuthInvalidKey));
    assert_eq!(setup.reason(&kept).await, None);
    assert_eq!(setup.verifier.cache_stats().hits, 1, "only the one whose key is still there");

    setup.publish(&forge::jwks([&Forge::es256("main-1"), &RSA]));
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&old).await, Some(Reason::AuthInvalidSignature), "the same name is not the same key");
}

#[tokio::test]
async fn keys_that_are_too_old_are_our_outage_and_not_the_bearers_fault() {
    let setup = Setup::with(|settings| settings.max_stale = Duration::from_secs(600));
    let token = setup.token(|claims| claims["exp"] = json!(NOW + 9_999));
    let fresh = setup.token(|claims| claims["exp"] = json!(NOW + 9_998));
    assert_eq!(setup.reason(&token).await, None);
    setup.publish("this is no longer a key set");
    setup.clock.advance(Duration::from_secs(600));
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&token).await, None, "the keys known so far serve");
    setup.clock.advance(Duration::from_secs(1));
    for token in [&token, &fresh] {
        assert_eq!(setup.reason(token).await, Some(Reason::AuthUnavailable));
    }
    let state = setup.verifier.issuers().remove(0);
    assert_eq!((state.keys, state.age, state.usable, state.failures), (2, Some(Duration::from_secs(601)), false, 1));
    assert!(state.last_error.unwrap().contains("not a json object"));
    setup.publish(&setup.main.jwks());
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&fresh).await, None);
    assert_eq!(setup.verifier.issuers()[0].last_error, None);
}

#[tokio::test]
async fn a_broken_file_at_the_start_keeps_nothing_but_its_own_issuer_from_work() {
    let folder = tempfile::tempdir().unwrap();
    let (main, other) = (Forge::es256("main-1"), Forge::es256("other-1"));
    std::fs::write(folder.path().join("other"), other.jwks()).unwrap();
    let issuers = ["main", "other"].map(|name| Setup::issuer(name, folder.path().join(name)));
    let verifier = Verifier::new(issuers.into(), Arc::new(ManualClock::at(NOW)), 10).unwrap();
    let states = verifier.issuers();
    assert_eq!((states[0].usable, states[0].age, states[0].failures), (false, None, 1));
    assert!(states[0].last_error.as_ref().unwrap().contains("could not be read"));
    assert!(states[1].usable);
    let both = IssuerSet::from([id("main"), id("other")]);
    let token = main.sign(&claims());
    assert_eq!(verifier.verify(&token, &both).await.unwrap_err(), TokenError::Unavailable);
    let mut theirs = claims();
    theirs["iss"] = json!("https://other.example/");
    assert!(verifier.verify(&other.sign(&theirs), &both).await.is_ok());
    std::fs::write(folder.path().join("main"), main.jwks()).unwrap();
    verifier.prefetch().await;
    assert!(verifier.verify(&token, &both).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_stands_before_1970_lets_nothing_through() {
    let setup = Setup::new();
    let broken =
        Verifier::new(vec![Setup::issuer("main", setup.folder.path().join("main"))], Arc::new(ManualClock::at(0)), 10);
    let token = setup.token(|claims| claims["iat"] = json!(0));
    assert_eq!(broken.unwrap().verify(&token, &[id("main")].into()).await.unwrap_err(), TokenError::Unavailable);
}

#[tokio::test]
async fn the_cache_is_bounded_in_entries_and_in_bytes() {
    let setup = Setup::new();
    let issuers = vec![Setup::issuer("main", setup.folder.path().join("main"))];
    let verifier = Verifier::new(issuers, Arc::clone(&setup.clock) as Arc<dyn Clock>, 20).unwrap();
    for number in 0..100 {
        let token = setup.token(|claims| claims["jti"] = json!(number.to_string()));
        assert!(verifier.verify(&token, &[id("main")].into()).await.is_ok());
    }
    let small = verifier.cache_stats().entries;
    assert!((1..=20).contains(&small), "{small}");

    let issuers = vec![Setup::issuer("main", setup.folder.path().join("main"))];
    let verifier = Verifier::new(issuers, Arc::clone(&setup.clock) as Arc<dyn Clock>, 20).unwrap();
    let roles: Vec<_> = (0..64).map(|number| format!("{number:060}")).collect();
    for number in 0..100 {
        let token = setup.token(|claims| {
            claims["jti"] = json!(number.to_string());
            claims["roles"] = json!(roles);
        });
        assert!(verifier.verify(&token, &[id("main")].into()).await.is_ok());
    }
    let large = verifier.cache_stats().entries;
    assert!((1..=2).contains(&large), "{large} entries of about 7 KiB in 20 KiB");
}

#[test]
fn a_verifier_and_its_callers_cross_threads() {
    fn crosses<T: Send + Sync>(_: &T) {}
    let setup = Setup::new();
    crosses(&setup.verifier);
    crosses(&Caller::for_test("main", "user-1", Some("acme"), &["reader"], NOW));
    let nobody = IssuerSet::default();
    let future = setup.verifier.verify("", &nobody);
    fn moves<T: Send>(_: &T) {}
    moves(&future);
    drop(future);
    moves(&Arc::new(setup.verifier).run(std::future::pending()));
}
