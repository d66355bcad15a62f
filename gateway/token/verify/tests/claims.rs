use super::*;

#[tokio::test]
async fn a_good_token_makes_a_caller_with_what_the_issuer_says() {
    let setup = Setup::new();
    let token = setup.token(|claims| {
        claims["jti"] = json!("token-1");
        claims["acr"] = json!("gold");
        claims["amr"] = json!(["pwd", "otp"]);
        claims["auth_time"] = json!(NOW - 5);
        claims["nbf"] = json!(NOW);
        claims["aud"] = json!(["someone-else", "api"]);
    });
    let caller = setup.verify(&token).await.unwrap();
    assert_eq!(caller.issuer().as_str(), "main");
    assert_eq!(caller.subject().as_str(), "user-1");
    assert_eq!(caller.tenant(), Some("acme"));
    let roles: Vec<_> = caller.roles().iter().map(|role| role.as_str()).collect();
    assert_eq!(roles, ["billing_reader", "billing_admin"]);
    assert_eq!((caller.expires_at(), caller.good_until()), (NOW + 600, NOW + 630));
    assert_eq!(*caller.fingerprint(), sha256(token.as_bytes()));
    assert_eq!((caller.jti(), caller.acr()), (Some("token-1"), Some("gold")));
    assert_eq!(caller.amr().iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(caller.auth_time(), Some(NOW - 5));
    assert!(!format!("{caller:?}").contains("user-1"));
}

#[tokio::test]
async fn each_claim_is_what_it_should_be_or_the_token_is_refused() {
    use Reason::*;
    let setup = Setup::new();
    let many: Vec<_> = (0..65).map(|number| format!("role-{number}")).collect();
    let fits: Vec<_> = (0..64).map(|number| format!("role-{number}")).collect();
    for (claim, value, expected) in [
        ("iss", None, Some(AuthInvalidClaims)),
        ("iss", Some(json!("https://main.example")), Some(AuthInvalidIssuer)),
        ("iss", Some(json!("HTTPS://main.example/")), Some(AuthInvalidIssuer)),
        ("iss", Some(json!("https://evil.example/")), Some(AuthInvalidIssuer)),
        ("iss", Some(json!(["https://main.example/"])), Some(AuthInvalidClaims)),
        ("exp", None, Some(AuthInvalidClaims)),
        ("exp", Some(json!((NOW + 600).to_string())), Some(AuthInvalidClaims)),
        ("exp", Some(Value::Null), Some(AuthInvalidClaims)),
        ("exp", Some(json!(1e15)), Some(AuthInvalidClaims)),
        ("exp", Some(json!(u64::MAX)), Some(AuthInvalidClaims)),
        ("exp", Some(json!(-1)), Some(AuthInvalidClaims)),
        ("exp", Some(json!(NOW as f64 + 0.5)), None),
        ("exp", Some(json!(NOW - 29)), None),
        ("exp", Some(json!(NOW - 30)), Some(AuthInvalidExpired)),
        ("exp", Some(json!(NOW as f64 - 29.5)), Some(AuthInvalidExpired)),
        ("exp", Some(json!(0)), Some(AuthInvalidExpired)),
        ("nbf", Some(json!(NOW + 30)), None),
        ("nbf", Some(json!(NOW + 31)), Some(AuthInvalidNotYet)),
        ("nbf", Some(json!(NOW as f64 + 30.5)), Some(AuthInvalidNotYet)),
        ("nbf", Some(json!("soon")), Some(AuthInvalidClaims)),
        ("iat", None, None),
        ("iat", Some(json!(NOW as f64 + 30.5)), None),
        ("iat", Some(json!(NOW + 31)), Some(AuthInvalidNotYet)),
        ("iat", Some(json!({})), Some(AuthInvalidClaims)),
        ("aud", None, Some(AuthInvalidClaims)),
        ("aud", Some(json!("API")), Some(AuthInvalidAudience)),
        ("aud", Some(json!("api ")), Some(AuthInvalidAudience)),
        ("aud", Some(json!([])), Some(AuthInvalidAudience)),
        ("aud", Some(json!(["x", "y"])), Some(AuthInvalidAudience)),
        ("aud", Some(json!(["api", 1])), Some(AuthInvalidClaims)),
        ("aud", Some(json!({ "api": true })), Some(AuthInvalidClaims)),
        ("aud", Some(Value::Null), Some(AuthInvalidClaims)),
        ("sub", None, Some(AuthInvalidClaims)),
        ("sub", Some(json!("")), Some(AuthInvalidClaims)),
        ("sub", Some(json!("a b")), Some(AuthInvalidClaims)),
        ("sub", Some(json!("a\r\nX-Role: admin")), Some(AuthInvalidClaims)),
        ("sub", Some(json!(17)), Some(AuthInvalidClaims)),
        ("sub", Some(json!("s".repeat(256))), Some(AuthInvalidClaims)),
        ("tenant_id", None, None),
        ("tenant_id", Some(json!(["acme", "globex"])), Some(AuthInvalidClaims)),
        ("tenant_id", Some(Value::Null), Some(AuthInvalidClaims)),
        ("tenant_id", Some(json!("t".repeat(256))), Some(AuthInvalidClaims)),
        ("roles", None, None),
        ("roles", Some(json!({ "admin": true })), Some(AuthInvalidClaims)),
        ("roles", Some(json!(["a", 1])), Some(AuthInvalidClaims)),
        ("roles", Some(json!(true)), Some(AuthInvalidClaims)),
        ("roles", Some(json!(fits)), None),
        ("roles", Some(json!(many)), Some(AuthInvalidClaims)),
        ("jti", Some(json!(1)), Some(AuthInvalidClaims)),
        ("acr", Some(json!(1)), Some(AuthInvalidClaims)),
        ("amr", Some(json!({})), Some(AuthInvalidClaims)),
        ("amr", Some(json!(vec!["pwd"; 17])), Some(AuthInvalidClaims)),
        ("auth_time", Some(json!("now")), Some(AuthInvalidClaims)),
        ("anything", Some(json!({ "else": [1, "2", null, false] })), None),
    ] {
        let what = format!("{claim} = {value:?}");
        let token = setup.token(|claims| {
            let members = claims.as_object_mut().unwrap();
            match value {
                Some(value) => members.insert(claim.into(), value),
                None => members.remove(claim),
            };
        });
        assert_eq!(setup.reason(&token).await, expected, "{what}");
    }
}

#[tokio::test]
async fn roles_come_as_a_list_or_as_words_and_impossible_names_are_dropped_and_counted() {
    let setup = Setup::new();
    for (value, expected, dropped) in [
        (json!(["a", "b"]), vec!["a", "b"], 0),
        (json!("a b  c"), vec!["a", "b", "c"], 0),
        (json!("a"), vec!["a"], 0),
        (json!(""), vec![], 0),
        (json!([]), vec![], 0),
        (json!(["a b", "", "-x", "ä", "ok"]), vec!["ok"], 4),
    ] {
        let caller = setup.verify(&setup.token(|claims| claims["roles"] = value.clone())).await.unwrap();
        let roles: Vec<_> = caller.roles().iter().map(|role| role.as_str()).collect();
        assert_eq!((roles, caller.roles_dropped()), (expected, dropped), "{value}");
    }
}

#[tokio::test]
async fn what_is_not_a_token_of_bounded_size_with_one_meaning_is_refused() {
    use Reason::*;
    let setup = Setup::with(|settings| settings.max_claims = 10);
    let header = br#"{"alg":"ES256","kid":"main-1"}"#;
    let good = claims().to_string();
    let twice = good.replacen('{', &format!(r#"{{"exp":{},"#, NOW + 9_999), 1);
    let nested_twice = good.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1);
    let deep = good.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(16), "]".repeat(16)), 1);
    let many = good.replacen('{', r#"{"a":1,"b":1,"c":1,"d":1,"#, 1);
    let fits = good.replacen('{', r#"{"a":1,"b":1,"c":1,"#, 1);
    let long = good.replacen('{', &format!(r#"{{"x":"{}","#, "x".repeat(8_192)), 1);
    let bad_utf8 = [b"{\"x\":\"\xff\",", &good.as_bytes()[1..]].concat();
    let trailing = format!("{good}{good}");
    for (what, claims, expected) in [
        ("good", good.as_bytes(), None),
        ("as many claims as are allowed", fits.as_bytes(), None),
        ("exp twice", twice.as_bytes(), Some(AuthInvalidClaims)),
        ("a name twice inside a claim", nested_twice.as_bytes(), Some(AuthInvalidClaims)),
        ("deep", deep.as_bytes(), Some(AuthInvalidClaims)),
        ("too many claims", many.as_bytes(), Some(AuthInvalidClaims)),
        ("too long", long.as_bytes(), Some(AuthInvalidTooLarge)),
        ("bad utf-8", &bad_utf8, Some(AuthInvalidMalformed)),
        ("two objects", trailing.as_bytes(), Some(AuthInvalidMalformed)),
        ("a list", b"[1]", Some(AuthInvalidMalformed)),
        ("nothing", b"", Some(AuthInvalidMalformed)),
    ] {
        let token = setup.main.sign_raw(header, claims);
        assert_eq!(setup.reason(&token).await, expected, "{what}");
    }
    for (what, header, expected) in [
        ("alg twice", &br#"{"alg":"none","alg":"ES256","kid":"main-1"}"#[..], AuthInvalidHeader),
        ("jku", br#"{"alg":"ES256","kid":"main-1","jku":"https://evil.example/"}"#, AuthInvalidHeader),
        ("crit", br#"{"alg":"ES256","kid":"main-1","crit":["b64"],"b64":false}"#, AuthInvalidHeader),
        ("another type", br#"{"alg":"ES256","kid":"main-1","typ":"dpop+jwt"}"#, AuthInvalidHeader),
    ] {
        let token = setup.main.sign_raw(header, good.as_bytes());
        assert_eq!(setup.reason(&token).await, Some(expected), "{what}");
    }
}

#[tokio::test]
async fn tenant_and_roles_are_where_the_issuer_keeps_them() {
    // Of Keycloak, Cognito, Auth0, and of issuers with lists of memberships.
    let claims = json!({
        "realm_access": { "roles": ["viewer", "clerk"] },
        "cognito:groups": ["viewer"],
        "https://example.com/tenant": "acme",
        "org": { "id": "acme", "a/b~c": "acme" },
        "orgs": [{ "id": "acme", "role": "viewer" }, { "id": "globex", "role": "clerk" }],
        "scope": "viewer  clerk",
        "tenant_id": "globex",
    });
    for (tenant, roles, expected) in [
        ("/org/id", "/realm_access/roles", Ok((Some("acme"), vec!["viewer", "clerk"]))),
        ("/org/a~1b~0c", "cognito:groups", Ok((Some("acme"), vec!["viewer"]))),
        ("https://example.com/tenant", "scope", Ok((Some("acme"), vec!["viewer", "clerk"]))),
        ("/orgs/1/id", "/orgs/*/role", Ok((Some("globex"), vec!["viewer", "clerk"]))),
        ("/orgs/2/id", "/orgs/0/roles", Ok((None, vec![]))),
        ("/org/id/0", "/scope/0", Ok((None, vec![]))),
        ("/orgs/01/id", "/org/*/id", Ok((None, vec![]))),
        ("/orgs/*/id", "roles", Err(Reason::AuthInvalidClaims)), // which of them?
        ("/org", "roles", Err(Reason::AuthInvalidClaims)),
        ("/org/id", "/realm_access", Err(Reason::AuthInvalidClaims)),
        ("/org/id", "orgs", Err(Reason::AuthInvalidClaims)),
    ] {
        let setup = Setup::with(|settings| {
            settings.tenant_claim = tenant.parse().unwrap();
            settings.roles_claim = roles.parse().unwrap();
        });
        let token = setup.token(|all| all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone()));
        let caller = setup.verify(&token).await;
        let told = caller.as_ref().map(|caller| {
            let roles = caller.roles().iter().map(terms::RoleName::as_str).filter(|role| !role.starts_with("billing"));
            (caller.tenant(), roles.collect::<Vec<_>>())
        });
        assert_eq!(told.map_err(|reason| *reason), expected, "{tenant} {roles}");
    }
    for text in ["", "/a~2"] {
        assert!(text.parse::<ClaimPlace>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn an_issuer_of_access_tokens_is_held_to_what_they_are() {
    let setup = Setup::with(|settings| settings.profile = Profile::AtJwt);
    let whole = json!({ "client_id": "web", "jti": "1" });
    for (typ, more, missing, expected) in [
        ("at+jwt", &whole, "", None),
        ("application/AT+JWT", &whole, "", None),
        ("JWT", &whole, "", Some(Reason::AuthInvalidHeader)),
        ("at+jwt", &whole, "client_id", Some(Reason::AuthInvalidClaims)),
        ("at+jwt", &whole, "jti", Some(Reason::AuthInvalidClaims)),
        ("at+jwt", &whole, "iat", Some(Reason::AuthInvalidClaims)),
        ("at+jwt", &json!({ "client_id": "", "jti": "1" }), "", Some(Reason::AuthInvalidClaims)),
    ] {
        let mut all = claims();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all.as_object_mut().unwrap().remove(missing);
        let header = json!({ "typ": typ, "alg": "ES256", "kid": setup.main.kid() });
        let token = setup.main.sign_raw(header.to_string().as_bytes(), all.to_string().as_bytes());
        assert_eq!(setup.reason(&token).await, expected, "{typ} {more} without `{missing}`");
    }
    let untyped = json!({ "alg": "ES256", "kid": setup.main.kid() }).to_string();
    let token = setup.main.sign_raw(untyped.as_bytes(), claims().to_string().as_bytes());
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidHeader));
}

#[tokio::test]
async fn a_token_is_good_for_no_longer_than_its_issuers_may_be() {
    let setup = Setup::with(|settings| settings.max_lifetime = Some(Duration::from_secs(600)));
    for (iat, exp, expected) in [
        (Some(NOW), NOW + 600, None),
        (Some(NOW), NOW + 601, Some(Reason::AuthInvalidClaims)),
        (Some(NOW - 100), NOW + 500, None),
        (Some(NOW + 20), NOW + 600, None),
        (Some(0), NOW + 10, Some(Reason::AuthInvalidClaims)),
        (None, NOW + 600, Some(Reason::AuthInvalidClaims)),
    ] {
        let token = setup.token(|claims| {
            claims["exp"] = json!(exp);
            match &iat {
                None => drop(claims.as_object_mut().unwrap().remove("iat")),
                Some(iat) => claims["iat"] = json!(iat),
            }
        });
        assert_eq!(setup.reason(&token).await, expected, "{iat:?} to {exp}");
    }
}
