use super::*;

#[tokio::test]
async fn one_signature_has_one_text() {
    let setup = Setup::new();
    let token = setup.main.sign(&claims());
    let (head, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    assert_eq!(place % 16, 0, "64 bytes leave four bits of the last character unused");
    let trailing = format!("{head}{}", alphabet.get(place + 1..place + 2).unwrap());
    let padded = format!("{token}==");
    let standard = token.replace('-', "+").replace('_', "/") + "+";
    for text in [&trailing, &padded, &standard, &format!(" {token}"), &format!("{token}\n"), &format!("{token}.")] {
        assert_eq!(setup.reason(text).await, Some(Reason::AuthInvalidMalformed), "{text}");
    }
    assert_eq!(setup.reason(&token).await, None);
}

#[tokio::test]
async fn the_token_does_not_choose_how_it_is_verified() {
    use Reason::*;
    let setup = Setup::new();
    let body = encode(claims().to_string());
    // The public key as the secret of an HMAC, in each form in which an attacker could have it.
    let modulus = URL_SAFE_NO_PAD.decode(RSA.jwk()["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, RSA.jwk().to_string().into_bytes(), RSA.jwks().into_bytes(), vec![]] {
        let signed = format!("{}.{body}", encode(r#"{"alg":"HS256","kid":"rsa"}"#));
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        assert_eq!(setup.reason(&format!("{signed}.{signature}")).await, Some(AuthInvalidAlgorithm));
    }
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(json!({ "alg": alg, "kid": "main-1" }).to_string());
        for signature in ["", "AA"] {
            let token = format!("{header}.{body}.{signature}");
            assert_eq!(setup.reason(&token).await, Some(AuthInvalidAlgorithm), "{alg}");
        }
    }
    // A good signature under the name of an algorithm that does not fit the key, or is not allowed.
    for (header, signer, expected) in [
        (r#"{"alg":"RS256","kid":"main-1"}"#, &setup.main, AuthInvalidAlgorithm),
        (r#"{"alg":"ES256","kid":"rsa"}"#, &setup.main, AuthInvalidAlgorithm),
        (r#"{"alg":"ES384","kid":"main-1"}"#, &setup.main, AuthInvalidAlgorithm),
        (r#"{"alg":"RS512","kid":"rsa"}"#, &RSA, AuthInvalidAlgorithm),
        (r#"{"alg":"PS256","kid":"rsa"}"#, &RSA, AuthInvalidAlgorithm),
        (r#"{"alg":"ES256","kid":"main-1"}"#, &RSA, AuthInvalidSignature),
        (r#"{"alg":"ES256","kid":"main-1"}"#, &setup.other, AuthInvalidSignature),
        (r#"{"alg":"ES256","kid":"other-1"}"#, &setup.other, AuthInvalidKey),
        (r#"{"alg":"ES256","kid":"../../main-1"}"#, &setup.main, AuthInvalidKey),
        (r#"{"alg":"ES256","kid":""}"#, &setup.main, AuthInvalidKey),
    ] {
        let token = signer.sign_raw(header.as_bytes(), claims().to_string().as_bytes());
        assert_eq!(setup.reason(&token).await, Some(expected), "{header}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_allowed_still_has_to_fit_the_key() {
    let setup = Setup::with(|settings| settings.algorithms = Algorithm::ALL.to_vec());
    let p384 = Forge::es384("p384");
    setup.publish(&forge::jwks([&setup.main, &p384, &RSA]));
    setup.verifier.prefetch().await;
    for (header, signer, expected) in [
        (r#"{"alg":"ES384","kid":"main-1"}"#, &p384, Reason::AuthInvalidAlgorithm),
        (r#"{"alg":"ES256","kid":"p384"}"#, &p384, Reason::AuthInvalidAlgorithm),
        (r#"{"alg":"EdDSA","kid":"main-1"}"#, &setup.main, Reason::AuthInvalidAlgorithm),
        (r#"{"alg":"PS256","kid":"rsa"}"#, &RSA, Reason::AuthInvalidAlgorithm), // its JWK says RS256
    ] {
        let token = signer.sign_raw(header.as_bytes(), claims().to_string().as_bytes());
        assert_eq!(setup.reason(&token).await, Some(expected), "{header}");
    }
}

#[tokio::test]
async fn an_algorithm_that_fits_the_key_still_has_to_be_allowed() {
    let setup = Setup::new(); // ES256 and RS256
    let key = Forge::rsa("any", Algorithm::PS256);
    let mut jwk = key.jwk().clone();
    jwk.as_object_mut().unwrap().remove("alg");
    setup.publish(&json!({ "keys": [jwk] }).to_string());
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&key.sign(&claims())).await, Some(Reason::AuthInvalidAlgorithm));
    let setup = Setup::with(|settings| settings.algorithms = vec![Algorithm::PS256]);
    setup.publish(&json!({ "keys": [jwk] }).to_string());
    setup.verifier.prefetch().await;
    assert_eq!(setup.reason(&key.sign(&claims())).await, None);
}

#[tokio::test]
async fn every_algorithm_works_with_a_key_of_its_own() {
    let setup = Setup::with(|settings| settings.algorithms = Algorithm::ALL.to_vec());
    for algorithm in Algorithm::ALL {
        let key = match algorithm {
            Algorithm::ES256 => Forge::es256("key"),
            Algorithm::ES384 => Forge::es384("key"),
            Algorithm::EdDSA => Forge::eddsa("key"),
            Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512 => Forge::rsa("key", *algorithm),
        };
        setup.publish(&key.jwks());
        setup.verifier.prefetch().await;
        assert_eq!(setup.reason(&key.sign(&claims())).await, None, "{algorithm}");
    }
}

#[tokio::test]
async fn without_a_kid_there_must_be_one_key_and_no_more_that_fits() {
    let setup = Setup::new();
    let token = setup.main.sign_raw(br#"{"alg":"ES256"}"#, claims().to_string().as_bytes());
    assert_eq!(setup.reason(&token).await, None, "one p-256 key beside an rsa key");
    setup.publish(&forge::jwks([&setup.main, &setup.other]));
    setup.verifier.prefetch().await;
    let token = setup.main.sign_raw(br#"{"alg":"ES256","typ":"JWT"}"#, claims().to_string().as_bytes());
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidKey));
}

#[tokio::test]
async fn an_ecdsa_signature_in_der_is_not_one_of_a_token() {
    let setup = Setup::new();
    let token = setup.main.sign(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |half: &[u8]| {
        let digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits[0] >= 0x80 { vec![0] } else { vec![] };
        [vec![2, u8::try_from(digits.len() + sign.len()).unwrap()], sign, digits].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    let token = format!("{signed}.{}", encode(der));
    assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidSignature));
}

#[tokio::test]
async fn no_issuer_speaks_for_another() {
    let setup = Setup::new();
    let header = |kid: &str| json!({ "alg": "ES256", "kid": kid }).to_string();
    let mut theirs = claims();
    theirs["iss"] = json!("https://other.example/");
    let both = [id("main"), id("other")];
    for (issuer, kid, signer, accepted, expected) in [
        (claims(), "main-1", &setup.main, &both[..], None),
        (theirs.clone(), "other-1", &setup.other, &both[..], None),
        (claims(), "other-1", &setup.other, &both[..], Some(Reason::AuthInvalidKey)),
        (claims(), "main-1", &setup.other, &both[..], Some(Reason::AuthInvalidSignature)),
        (theirs.clone(), "main-1", &setup.main, &both[..], Some(Reason::AuthInvalidKey)),
        (theirs.clone(), "other-1", &setup.other, &both[..1], Some(Reason::AuthInvalidIssuer)),
        (claims(), "main-1", &setup.main, &both[1..], Some(Reason::AuthInvalidIssuer)),
        (claims(), "main-1", &setup.main, &[], Some(Reason::AuthInvalidIssuer)),
    ] {
        let token = signer.sign_raw(header(kid).as_bytes(), issuer.to_string().as_bytes());
        let verdict = setup.verifier.verify(&token, &accepted.into()).await;
        assert_eq!(verdict.err().map(TokenError::reason), expected, "{} {kid}", issuer["iss"]);
    }
}
