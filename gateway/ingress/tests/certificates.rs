use std::path::Path;
use std::sync::Arc;

use terms::{ManualClock, SystemClock, chain};

use super::house::{GUARD, House, shown, write_certificate, write_key};
use crate::tls::load;
use crate::{BindError, Cleartext, ListenerSettings, Listeners, TlsError, TlsFiles};

#[tokio::test]
async fn certificates_are_replaced_while_they_are_served() {
    let house = House::tls(GUARD);
    let mut before = house.connect_tls(&["http/1.1"]).await;
    let first = shown(&before);
    write_certificate(house.files.path(), "a.test");
    house.certificates.replace_certificates().unwrap();
    let after = house.connect_tls(&["http/1.1"]).await;
    assert_ne!(shown(&after), first);
    before.get("/still").await;
}

#[tokio::test]
async fn a_replacement_that_cannot_be_served_with_changes_nothing() {
    let house = House::tls(GUARD);
    let first = shown(&house.connect_tls(&["http/1.1"]).await);
    let key = house.files.path().join("key.pem");
    let good = std::fs::read_to_string(&key).unwrap();
    write_key(&key, &rcgen::KeyPair::generate().unwrap().serialize_pem(), 0o600);
    assert!(matches!(house.certificates.replace_certificates(), Err(TlsError::Mismatch { .. })));
    write_key(&key, &good, 0o600);
    assert_eq!(shown(&house.connect_tls(&["http/1.1"]).await), first);
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
        let files = TlsFiles { certificate: certificate.into(), key: key.into() };
        load(&files, &SystemClock).map(|_| "served").map_err(|error| chain(&error))
    };
    let at = |name: &str| path(name).display().to_string();
    assert_eq!(tried(&good.certificate, &good.key), Ok("served"));
    assert_eq!(tried(&good.certificate, &path("group.key")), Ok("served"));
    for (certificate, key, expected) in [
        (path("none"), good.key.clone(), format!("cannot read `{}`: ", at("none"))),
        (good.certificate.clone(), path("none"), format!("cannot read `{}`: ", at("none"))),
        (path("empty"), good.key.clone(), format!("`{}` holds no certificate in pem", at("empty"))),
        (good.key.clone(), good.key.clone(), format!("`{}` holds no certificate in pem", at("key.pem"))),
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
            format!("the key in `{}` does not belong to", other.path().join("key.pem").display()),
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
    assert!(load(&files, &far).is_ok());
}

#[test]
fn a_listener_without_its_certificate_names_its_address() {
    let tls = TlsFiles { certificate: "/nowhere/a.pem".into(), key: "/nowhere/a.key".into() };
    let settings = ListenerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        proxies: None,
        cleartext: Cleartext::Http1,
        tls: Some(tls),
    };
    let error = Listeners::bind(&[settings], Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(error, BindError::Tls { .. }));
    assert!(chain(&error).starts_with("cannot speak tls on `127.0.0.1:0`: cannot read `/nowhere/a.pem`: "));
}
