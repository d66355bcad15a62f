use std::time::{Duration, UNIX_EPOCH};

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
