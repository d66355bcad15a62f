use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use terms::{Clock as _, SystemClock};

use super::*;

fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(vec!["A.test".into(), "*.b.test".into()]).unwrap();
    parameters.subject_alt_names.push(rcgen::SanType::URI("spiffe://mesh/Billing".try_into().unwrap()));
    parameters.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn the_dates_of_a_certificate_are_read_in_both_of_their_forms() {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let dates = |der: &[u8]| Parsed::of(der).map(|parsed| parsed.validity);
    let short = dates(&certificate((2026, 11, 23), (2049, 12, 31)));
    assert_eq!(short, Some(Validity { not_before: at(1_795_392_000), not_after: at(2_524_521_600) }));
    let long = dates(&certificate((1999, 1, 1), (2050, 1, 1)));
    assert_eq!(long, Some(Validity { not_before: at(915_148_800), not_after: at(2_524_608_000) }));
}

#[test]
fn names_are_those_of_the_subject_alternative_names_alone() {
    let names = Parsed::of(&certificate((2026, 1, 1), (2027, 1, 1))).unwrap().names.unwrap();
    assert_eq!(names.dns, ["a.test".into(), "*.b.test".into()]);
    assert_eq!(names.uris, ["spiffe://mesh/Billing".into()]);
    let mut common = rcgen::CertificateParams::default();
    common.distinguished_name.push(rcgen::DnType::CommonName, "c.test");
    let common = common.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    assert_eq!(Parsed::of(common.der()).unwrap().names, Some(Names::default()));
}

#[test]
fn a_name_with_a_nul_or_a_blank_in_it_spoils_all_of_them() {
    let whole = certificate((2026, 1, 1), (2027, 1, 1));
    for name in [&b"A.test"[..], b"spiffe://mesh/Billing"] {
        let at = whole.windows(name.len()).rposition(|window| window == name).unwrap();
        for bad in [0, b' ', b'\n', 0x7f, 0xe9] {
            let mut bent = whole.clone();
            bent[at + 2] = bad;
            assert_eq!(Parsed::of(&bent).unwrap().names, None, "{bad}");
        }
    }
}

#[test]
fn a_key_is_known_again_in_another_certificate() {
    let key = rcgen::KeyPair::generate().unwrap();
    let digest = |name: &str| {
        let certificate = rcgen::CertificateParams::new(vec![name.into()]).unwrap().self_signed(&key).unwrap();
        Parsed::of(certificate.der()).unwrap().key
    };
    assert_eq!(digest("a.test"), digest("b.test"));
    assert_ne!(digest("a.test"), Parsed::of(&certificate((2026, 1, 1), (2027, 1, 1))).unwrap().key);
}

#[test]
fn what_is_cut_short_or_bent_is_no_certificate_and_no_panic() {
    let whole = certificate((2026, 1, 1), (2027, 1, 1));
    let parsed = Parsed::of(&whole).unwrap();
    for length in 0..whole.len() {
        let _cut = Parsed::of(&whole[..length]);
        let mut bent = whole.clone();
        bent[length] ^= 0xff;
        let _bent = Parsed::of(&bent);
        assert_eq!(check_ocsp(&bent, &parsed, UNIX_EPOCH), Err(UnfitOcsp::NotOcsp));
    }
    assert_eq!(Parsed::of(b""), None);
    assert_eq!(Parsed::of(b"0\x80"), None);
}

/// What OpenSSL's responder says of a certificate that has signed itself: a line of its index begins with `status`.
fn openssl_responds(folder: &Path, name: &str, status: &str, serial: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![format!("{name}.test")]).unwrap();
    parameters.serial_number = Some(rcgen::SerialNumber::from(0x1234_u64));
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = parameters.self_signed(&key).unwrap();
    let at = |extension: &str| folder.join(format!("{name}.{extension}"));
    std::fs::write(at("der"), certificate.der()).unwrap();
    std::fs::write(at("pem"), certificate.pem()).unwrap();
    std::fs::write(at("key"), key.serialize_pem()).unwrap();
    std::fs::write(at("index"), format!("{status}\t{serial}\tunknown\t/CN={name}\n")).unwrap();
    let file = |extension: &str| at(extension).display().to_string();
    let out = Command::new("openssl")
        .args(["ocsp", "-index", &file("index"), "-rsigner", &file("pem"), "-rkey", &file("key"), "-CA", &file("pem")])
        .args(["-issuer", &file("pem"), "-cert", &file("pem"), "-ndays", "7", "-noverify", "-respout", &file("ocsp")])
        .output()
        .expect("openssl is installed");
    std::fs::read(at("ocsp")).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)))
}

#[test]
fn an_ocsp_response_is_stapled_only_while_it_calls_this_certificate_good() {
    let folder = tempfile::tempdir().unwrap();
    let parsed = |name: &str| Parsed::of(&std::fs::read(folder.path().join(format!("{name}.der"))).unwrap()).unwrap();
    let good = openssl_responds(folder.path(), "good", "V\t960101000000Z\t", "1234");
    let revoked = openssl_responds(folder.path(), "revoked", "R\t960101000000Z\t260101000000Z", "1234");
    let unknown = openssl_responds(folder.path(), "unknown", "V\t960101000000Z\t", "9999");
    let now = SystemClock.now();
    let (day, week) = (Duration::from_secs(86400), Duration::from_secs(7 * 86400));
    let until = check_ocsp(&good, &parsed("good"), now).unwrap();
    assert!(until > now + 6 * day && until < now + week + day);
    for (response, certificate, at, why) in [
        (&good, "good", now + week + day, UnfitOcsp::Stale),
        (&good, "good", now - day, UnfitOcsp::Stale),
        (&good, "revoked", now, UnfitOcsp::Other), // the same serial number, of another issuer
        (&revoked, "revoked", now, UnfitOcsp::NotGood),
        (&unknown, "unknown", now, UnfitOcsp::NotGood),
        (&Vec::new(), "good", now, UnfitOcsp::NotOcsp),
    ] {
        assert_eq!(check_ocsp(response, &parsed(certificate), at), Err(why), "{certificate}");
    }
    for length in 0..good.len() {
        assert!(check_ocsp(&good[..length], &parsed("good"), now).is_err(), "cut short, and no panic");
    }
}
