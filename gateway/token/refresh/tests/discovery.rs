use std::str::FromStr as _;

use reqwest::dns::{Name, Resolve as _};

use super::*;
use crate::Reach;
use crate::fetch::PublicNames;

/// An issuer on this machine that says where its keys are, and a verifier that asks it.
async fn issuer() -> (Server, String, Arc<Verifier>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = Server::start("").await;
    let name = format!("http://{}", server.listener.local_addr().unwrap());
    let settings = IssuerSettings::new(id(0), &name, "api", Algorithm::ES256, JwksSource::Discovery);
    let verifier = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 100).unwrap();
    (server, name, Arc::new(verifier))
}

#[tokio::test]
async fn keys_are_where_the_issuer_says_also_when_it_says_something_else_later() {
    let (server, name, verifier) = issuer().await;
    for key in [Forge::es256("a"), Forge::es256("b")] {
        let keys = Server::start(ok(&key.jwks())).await;
        server.answer(ok(&json!({ "issuer": name, "jwks_uri": keys.url(), "more": [{}] }).to_string()));
        beside(server.serve(), beside(keys.serve(), verifier.prefetch())).await;
        let token = key.sign(&json!({ "iss": name, "aud": "api", "sub": "user-1", "exp": NOW + 600 }));
        assert!(verifier.verify(&token, &[id(0)].into()).await.is_ok());
        assert_eq!(verifier.issuers()[0].last_error, None);
    }
}

#[tokio::test]
async fn a_document_that_is_not_the_issuers_or_points_into_a_private_network_is_not_believed() {
    let (server, name, verifier) = issuer().await;
    let keys = Server::start(ok(&Forge::es256("a").jwks())).await;
    let of = |issuer: &str, place: &str| ok(&json!({ "issuer": issuer, "jwks_uri": place }).to_string());
    for (answer, why) in [
        (of("http://127.0.0.1", &keys.url()), "its `issuer` is another one"),
        (of(&format!("{name}/"), &keys.url()), "its `issuer` is another one"),
        (ok(&json!({ "issuer": name }).to_string()), "it has no `jwks_uri`"),
        (ok(&json!({ "issuer": name, "jwks_uri": ["a"] }).to_string()), "it has no `jwks_uri`"),
        (ok(&format!(r#"{{"issuer":"{name}","issuer":"{name}","jwks_uri":"{}"}}"#, keys.url())), "not a json object"),
        (of(&name, "https://10.0.0.1/keys"), "`jwks_uri` is a private address"),
        (of(&name, "https://[fd00::1]/keys"), "`jwks_uri` is a private address"),
        (of(&name, "https://169.254.169.254/latest/meta-data"), "`jwks_uri` is a private address"),
        (of(&name, "http://idp.example.com/keys"), "`jwks_uri` is not an https address"),
        (of(&name, "file:///etc/passwd"), "`jwks_uri` is not an https address"),
        (ok("<html>"), "not a json object"),
        ("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into(), "the answer was 302"),
    ] {
        server.answer(answer.clone());
        beside(server.serve(), beside(keys.serve(), verifier.prefetch())).await;
        let state = verifier.issuers().remove(0);
        assert!(!state.usable && state.last_error.as_ref().is_some_and(|it| it.contains(why)), "{answer}: {state:?}");
    }
    assert_eq!(keys.asked(), 0);
}

#[tokio::test]
async fn a_name_that_stands_for_a_private_address_is_not_believed() {
    let look_up = async |name: &str| PublicNames.resolve(Name::from_str(name).unwrap()).await;
    for private in ["10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1"] {
        let told = look_up(private).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(private) && told.contains("private_addresses"), "{told}");
    }
    assert!(look_up("203.0.113.9").await.is_ok());
    assert!(look_up("localhost").await.is_ok(), "it says itself what it is");
}

/// Whoever writes the document would otherwise choose what is asked of our own services.
#[test]
fn a_document_from_elsewhere_does_not_send_us_to_this_machine() {
    let issuer = "https://idp.example.com";
    let from = |text: &str| text.parse::<reqwest::Url>().unwrap();
    let look = |place: &str, at: &str, reach| {
        let document = json!({ "issuer": issuer, "jwks_uri": place }).to_string();
        crate::fetch::located(document.as_bytes(), &from(at), issuer, reach).is_ok()
    };
    for place in [
        "http://127.0.0.1:9901/metrics",
        "http://localhost/",
        "https://a.localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
    ] {
        assert!(!look(place, "https://idp.example.com/.well-known/openid-configuration", Reach::Public), "{place}");
        assert!(look(place, "http://127.0.0.1:8080/.well-known/openid-configuration", Reach::Public), "{place}");
    }
    let mapped = "https://[::ffff:127.0.0.1]/"; // it does not say it plainly, so it is refused wherever it stands
    assert!(!look(mapped, "http://127.0.0.1:8080/.well-known/openid-configuration", Reach::Public));
    assert!(look("https://keys.example.com/", "https://idp.example.com/", Reach::Public));
}

#[test]
fn an_issuer_that_is_no_address_has_no_document() {
    for (issuer, reach, fault) in [
        ("my-issuer", Reach::Public, Unfit::Url("issuer")),
        ("http://idp.example.com", Reach::Private, Unfit::Url("issuer")),
        ("https://10.0.0.1/realms/a", Reach::Public, Unfit::Private("issuer")),
    ] {
        let settings = IssuerSettings::new(id(0), issuer, "api", Algorithm::ES256, JwksSource::Discovery);
        let settings = IssuerSettings { reach, ..settings };
        let refused = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 10).unwrap_err();
        assert_eq!(refused.faults, [(Some(id(0)), fault)], "{issuer}");
    }
}
