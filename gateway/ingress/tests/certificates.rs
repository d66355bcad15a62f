use std::path::Path;
use std::sync::Arc;

use rcgen::PKCS_ECDSA_P256_SHA256;
use rustls::HandshakeKind;
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use terms::{Clock, ManualClock, SystemClock, chain};

use super::house::{GUARD, House, shown, speaking, write_certificate, write_certificate_as, write_key};
use crate::{
    BindError, CertificateFiles, Cleartext, ListenerSettings, Listeners, Shown, Suite, TlsSettings, TlsVersion,
};

#[tokio::test]
async fn certificates_are_replaced_while_they_are_served() {
    let house = House::tls(GUARD);
    let mut before = house.connect_tls(&["http/1.1"]).await;
    let first = shown(&before);
    write_certificate(house.files.path(), "a.test");
    assert_eq!(house.certificates.renew().changed, 1);
    let after = house.connect_tls(&["http/1.1"]).await;
    assert_ne!(shown(&after), first);
    before.get("/still").await;
    assert_eq!(house.certificates.renew().changed, 0, "nothing has changed since");
}

#[tokio::test]
async fn a_replacement_that_cannot_be_served_with_changes_nothing_and_holds_up_no_other() {
    let files = tempfile::tempdir().unwrap();
    let write = |name| write_certificate_as(files.path(), name, &[&format!("{name}.test")], &PKCS_ECDSA_P256_SHA256);
    let settings = speaking(vec![write("a"), write("b")]);
    let house = House::tls_with(GUARD, files, settings.clone(), &[]);
    let client = || Arc::new(house.client_config(&ring::default_provider()).with_no_client_auth());
    let connected = async |name| shown(&house.connect_as(client(), name).await.unwrap());
    let (first_a, first_b) = (connected("a.test").await, connected("b.test").await);
    let key = &settings.certificates[0].key;
    let good = std::fs::read_to_string(key).unwrap();
    write_key(key, &rcgen::KeyPair::generate().unwrap().serialize_pem(), 0o600);
    write_certificate_as(house.files.path(), "b", &["b.test"], &PKCS_ECDSA_P256_SHA256);
    let renewed = house.certificates.renew();
    assert_eq!((renewed.changed, renewed.faults.len(), house.certificates.faulty()), (1, 1, 1));
    assert!(renewed.faults[0].contains("does not belong to the certificate"), "{:?}", renewed.faults);
    assert!(house.certificates.renew().faults.is_empty(), "a fault is news once");
    assert_eq!(connected("a.test").await, first_a);
    assert_ne!(connected("b.test").await, first_b);
    write_key(key, &good, 0o600);
    assert!(house.certificates.renew().faults.is_empty() && house.certificates.faulty() == 0);
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let files = tempfile::tempdir().unwrap();
    let write = |name, names: &[&str]| write_certificate_as(files.path(), name, names, &PKCS_ECDSA_P256_SHA256);
    let certificates = [write("star", &["*.a.test"]), write("exact", &["b.a.test", "c.test"])];
    let pem = |name| CertificateDer::from_pem_file(files.path().join(format!("{name}.pem"))).unwrap();
    let (star, exact) = (pem("star"), pem("exact"));
    let others = CertificateFiles { shown: Shown::ToOthers, ..write("others", &["d.test", "127.0.0.1"]) };
    let other = pem("others");
    let with_default: Vec<_> = certificates.iter().cloned().chain([others]).collect();
    let house = House::tls_with(GUARD, files, speaking(with_default), &[]);
    let client = Arc::new(house.client_config(&ring::default_provider()).with_no_client_auth());
    for (name, expected) in [
        ("x.a.test", &star),
        ("X.A.test", &star),
        ("b.a.test", &exact),
        ("c.test", &exact),
        ("d.test", &other),
        ("127.0.0.1", &other), // asks for no name
    ] {
        assert_eq!(shown(&house.connect_as(Arc::clone(&client), name).await.unwrap()), *expected, "{name}");
    }
    // The certificate is shown; that it does not have this name is the client's to find.
    let error = house.connect_as(Arc::clone(&client), "x.y.a.test").await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_name_without_a_certificate_is_refused_where_none_is_the_default() {
    let house = House::tls(GUARD);
    let client = Arc::new(house.client_config(&ring::default_provider()).with_no_client_auth());
    for name in ["b.test", "x.a.test", "127.0.0.1"] {
        let error = house.connect_as(Arc::clone(&client), name).await.unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{name}: {error}");
    }
    assert_eq!(house.counters().refused_name, 3);
    assert_eq!(house.unparsed().await, []);
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_whose_signature_it_understands() {
    let files = tempfile::tempdir().unwrap();
    let certificates = vec![
        write_certificate_as(files.path(), "ed", &["a.test"], &rcgen::PKCS_ED25519),
        write_certificate_as(files.path(), "ec", &["a.test"], &PKCS_ECDSA_P256_SHA256),
    ];
    let pem = |name| CertificateDer::from_pem_file(files.path().join(format!("{name}.pem"))).unwrap();
    let (ed, ec) = (pem("ed"), pem("ec"));
    let house = House::tls_with(GUARD, files, speaking(certificates), &[]);
    let mut few = ring::default_provider();
    few.signature_verification_algorithms.mapping = &few.signature_verification_algorithms.mapping[..2]; // ECDSA
    for (provider, expected) in [(ring::default_provider(), ed), (few, ec)] {
        let client = Arc::new(house.client_config(&provider).with_no_client_auth());
        assert_eq!(shown(&house.connect_as(client, "a.test").await.unwrap()), expected);
    }
}

#[tokio::test]
async fn versions_and_suites_are_those_of_the_settings() {
    let all = ring::default_provider().cipher_suites;
    let of = |version| all.iter().copied().filter(|suite| Suite(*suite).version() == version).collect::<Vec<_>>();
    let (of_12, of_13) = (of(TlsVersion::Tls12), of(TlsVersion::Tls13));
    let suite = |name: &str| name.parse::<Suite>().unwrap();
    let chosen = vec![suite("TLS_CHACHA20_POLY1305_SHA256"), suite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")];
    for (min_version, suites, offered, expected) in [
        (TlsVersion::Tls12, Vec::new(), of_12.clone(), Some("TLSv1_2")),
        (TlsVersion::Tls12, Vec::new(), of_13.clone(), Some("TLSv1_3")),
        (TlsVersion::Tls13, Vec::new(), of_12.clone(), None),
        (TlsVersion::Tls13, Vec::new(), of_13.clone(), Some("TLSv1_3")),
        (TlsVersion::Tls12, chosen.clone(), all.clone(), Some("TLS13_CHACHA20_POLY1305_SHA256")),
        (TlsVersion::Tls12, chosen.clone(), of_12, Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")),
        (TlsVersion::Tls13, vec![chosen[0]], vec![of_13[0], of_13[1]], None),
    ] {
        let files = tempfile::tempdir().unwrap();
        let certificate = write_certificate(files.path(), "a.test");
        let settings = TlsSettings { min_version, suites: suites.clone(), ..speaking(vec![certificate]) };
        let house = House::tls_with(GUARD, files, settings, &[]);
        let provider = CryptoProvider { cipher_suites: offered, ..ring::default_provider() };
        let client = Arc::new(house.client_config(&provider).with_no_client_auth());
        let connected = house.connect_as(client, "a.test").await;
        let agreed = connected.ok().map(|client| {
            let tls = client.0.get_ref().1;
            let (version, suite) = (tls.protocol_version().unwrap(), tls.negotiated_cipher_suite().unwrap().suite());
            if suites.is_empty() { version.as_str().unwrap() } else { suite.as_str().unwrap() }
        });
        assert_eq!(agreed, expected, "{min_version:?} {suites:?}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_also_when_the_certificate_has_changed() {
    let files = tempfile::tempdir().unwrap();
    let certificate = write_certificate(files.path(), "a.test");
    let house = House::tls_with(GUARD, files, speaking(vec![certificate]), &[]);
    let client = Arc::new(house.client_config(&ring::default_provider()).with_no_client_auth());
    let resumed = async || {
        let mut connection = house.connect_as(Arc::clone(&client), "a.test").await.unwrap();
        connection.get("/").await; // tickets come behind the handshake
        connection.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    };
    assert!(!resumed().await);
    assert!(resumed().await);
    write_certificate(house.files.path(), "a.test");
    assert_eq!(house.certificates.renew().changed, 1);
    assert!(resumed().await, "another certificate is no other key");
    let counters = house.counters();
    assert_eq!((counters.handshakes_full, counters.handshakes_resumed), (1, 2));
}

#[tokio::test]
async fn what_is_not_tls_is_counted_and_is_no_request() {
    let house = House::tls(GUARD);
    let mut client = house.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    client.rest().await;
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.counters().handshake_failures, 1);
}

#[test]
fn files_that_cannot_be_served_with_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let good = write_certificate(folder.path(), "a.test");
    let other = tempfile::tempdir().unwrap();
    let stranger = write_certificate(other.path(), "a.test");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty"), "").unwrap();
    write_key(&path("empty.key"), "", 0o600);
    write_key(&path("open.key"), &std::fs::read_to_string(&good.key).unwrap(), 0o644);
    write_key(&path("group.key"), &std::fs::read_to_string(&good.key).unwrap(), 0o640);
    let bad_der = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    write_key(&path("bad.key"), bad_der, 0o600);
    let bad_der = bad_der.replace("PRIVATE KEY", "CERTIFICATE");
    std::fs::write(path("bad.pem"), bad_der).unwrap();

    let tried = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.into(), key.into());
        let files = CertificateFiles { certificate, key, ocsp: None, shown: Shown::ByName };
        let faults: Vec<_> = files.faults().iter().map(|fault| chain(fault)).collect();
        let opened = files.open(SystemClock.now()).map(|_| "served").map_err(|error| chain(&error));
        assert_eq!(faults.first(), opened.as_ref().err(), "`check` says what `run` would");
        opened
    };
    let at = |name: &str| path(name).display().to_string();
    assert_eq!(tried(&good.certificate, &good.key), Ok("served"));
    assert_eq!(tried(&good.certificate, &path("group.key")), Ok("served"));
    for (certificate, key, expected) in [
        (path("none"), good.key.clone(), format!("cannot read `{}`: ", at("none"))),
        (good.certificate.clone(), path("none"), format!("cannot read `{}`: ", at("none"))),
        (path("empty"), good.key.clone(), format!("`{}` holds no certificate in pem", at("empty"))),
        (good.key.clone(), good.key.clone(), format!("`{}` holds no certificate in pem", at("certificate.key"))),
        (good.certificate.clone(), path("empty.key"), format!("`{}` holds no private key in pem", at("empty.key"))),
        (path("bad.pem"), good.key.clone(), format!("the certificate in `{}` is not usable: ", at("bad.pem"))),
        (good.certificate.clone(), path("bad.key"), format!("the key in `{}` is not usable: ", at("bad.key"))),
        (
            good.certificate.clone(),
            path("open.key"),
            format!("the key in `{}` is open to everybody (mode 644)", at("open.key")),
        ),
        (
            good.certificate.clone(),
            stranger.key,
            format!("the key in `{}` does not belong to", other.path().join("certificate.key").display()),
        ),
    ] {
        let error = tried(&certificate, &key).unwrap_err();
        assert!(error.starts_with(&expected), "{error:?} should be {expected:?}");
    }
}

#[test]
fn a_certificate_that_has_run_out_is_served_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_certificate(folder.path(), "a.test");
    let far = ManualClock::at(1 << 40); // some 35,000 years on
    assert!(files.open(far.now()).is_ok());
}

#[test]
fn a_listener_without_its_certificate_names_its_address() {
    let (certificate, key) = ("/nowhere/a.pem".into(), "/nowhere/a.key".into());
    let files = CertificateFiles { certificate, key, ocsp: None, shown: Shown::ByName };
    let settings = ListenerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        proxies: None,
        cleartext: Cleartext::Http1,
        tls: Some(speaking(vec![files])),
    };
    let error = Listeners::bind(&[settings], &[], Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(error, BindError::Tls { .. }));
    assert!(chain(&error).starts_with("cannot speak tls on `127.0.0.1:0`: cannot read `/nowhere/a.pem`: "));
}
