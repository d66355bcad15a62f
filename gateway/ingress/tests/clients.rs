//! What is asked of clients, and what becomes of what they show.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use certificate::AuthoritySettings;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::house::{GUARD, House, speaking, write_certificate_as};
use crate::{ClientCertificates, GuardSettings, TlsSettings};

/// Somebody who signs certificates.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, path: &Path) {
        let certificate: &rcgen::Certificate = self.0.as_ref();
        std::fs::write(path, certificate.pem()).unwrap();
    }

    /// A list on which these serial numbers stand.
    fn write_crl(&self, path: &Path, revoked: &[u64]) {
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: date_time_ymd(2026, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(path, parameters.signed_by(&self.0).unwrap().pem().unwrap()).unwrap();
    }

    /// What a client shows.
    fn sign(&self, serial: u64) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["client.test".into()]).unwrap();
        parameters.serial_number = Some(SerialNumber::from(serial));
        parameters.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        Shown(certificate.der().clone(), key.serialize_pem())
    }
}

struct Shown(CertificateDer<'static>, String);

/// A house for `a.test` and `b.test`, where partners and strangers may vouch as the settings say.
struct World {
    house: House,
    partners: Ca,
    others: Ca,
}

impl World {
    fn new(guard: GuardSettings, rules: impl FnOnce(TlsSettings) -> TlsSettings) -> Self {
        let files = tempfile::tempdir().unwrap();
        let certificate = write_certificate_as(files.path(), "own", &["a.test", "b.test"], &PKCS_ECDSA_P256_SHA256);
        let (partners, others) = (Ca::new("partners"), Ca::new("others"));
        let authority = |id: &str, crl: bool| AuthoritySettings {
            id: id.parse().unwrap(),
            ca: files.path().join(format!("{id}.ca")),
            crl: crl.then(|| files.path().join(format!("{id}.crl"))),
            tenants: Arc::new(HashSet::from(["acme".parse().unwrap()])),
        };
        let authorities = [authority("partners", true), authority("others", false)];
        partners.write(&authorities[0].ca);
        partners.write_crl(authorities[0].crl.as_ref().unwrap(), &[]);
        others.write(&authorities[1].ca);
        let house = House::tls_with(guard, files, rules(speaking(vec![certificate])), &authorities);
        Self { house, partners, others }
    }

    fn client(&self, shown: Option<&Shown>) -> Arc<ClientConfig> {
        let builder = self.house.client_config(&ring::default_provider());
        Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some(Shown(certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
            }
        })
    }

    /// What the house knows of a request on a new connection: `None` if there is no connection.
    async fn asks(&self, client: &Arc<ClientConfig>, name: &str) -> Option<(HandshakeKind, String)> {
        let mut client = self.house.connect_as(Arc::clone(client), name).await.ok()?;
        let answer = client.try_get("/").await?;
        let kind = client.0.get_ref().1.handshake_kind().unwrap();
        Some((kind, answer.split(' ').nth(5).unwrap().to_owned()))
    }

    async fn word(&self, shown: Option<&Shown>, name: &str) -> Option<String> {
        self.asks(&self.client(shown), name).await.map(|(_, word)| word)
    }
}

fn ids(names: &[&str]) -> Vec<terms::IssuerId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn every_mode_takes_whom_it_should() {
    use ClientCertificates::{Off, Optional, Required};
    let own = Ca::new("nobody we know");
    for (rule, nobody, partner, other, stranger) in [
        (Off, Some("none"), Some("none"), Some("none"), Some("none")),
        (Optional(ids(&["partners"])), Some("none"), Some("vouched"), None, None),
        (Required(ids(&["partners"])), None, Some("vouched"), None, None),
        (Required(ids(&["others", "partners"])), None, Some("vouched"), Some("vouched"), None),
        (Required(ids(&[])), None, None, None, None),
    ] {
        let world = World::new(GUARD, |tls| TlsSettings { clients: rule.clone(), ..tls });
        for (who, shown, expected) in [
            ("nobody", None, nobody),
            ("partner", Some(world.partners.sign(1)), partner),
            ("other", Some(world.others.sign(1)), other),
            ("stranger", Some(own.sign(1)), stranger),
        ] {
            assert_eq!(world.word(shown.as_ref(), "a.test").await.as_deref(), expected, "{rule:?} {who}");
        }
    }
}

#[tokio::test]
async fn a_rule_holds_for_the_name_that_it_was_written_for() {
    use ClientCertificates::{Off, Required};
    for (listener, host, a, b) in [
        (Off, Required(ids(&["partners"])), [true, true, true], [false, true, false]),
        (Required(ids(&["others"])), Required(ids(&["partners"])), [false, false, true], [false, true, false]),
        (Required(ids(&["others"])), Off, [false, false, true], [true, true, true]),
    ] {
        let world = World::new(GUARD, |tls| TlsSettings {
            clients: listener.clone(),
            hosts: vec![("b.test".parse().unwrap(), host.clone())],
            ..tls
        });
        let shown = [None, Some(world.partners.sign(1)), Some(world.others.sign(1))];
        for (name, expected) in [("a.test", a), ("b.test", b)] {
            for (shown, expected) in shown.iter().zip(expected) {
                assert_eq!(world.word(shown.as_ref(), name).await.is_some(), expected, "{listener:?} {host:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_revoked_counts_no_more_on_open_connections_and_in_resumed_sessions() {
    let world =
        World::new(GUARD, |tls| TlsSettings { clients: ClientCertificates::Required(ids(&["partners"])), ..tls });
    let (good, bad) = (world.partners.sign(7), world.partners.sign(8));
    let (stays, goes) = (world.client(Some(&good)), world.client(Some(&bad)));
    let mut open = world.house.connect_as(Arc::clone(&goes), "a.test").await.unwrap();
    assert!(open.get("/").await.contains(" vouched "));
    for client in [&stays, &goes] {
        assert_eq!(world.asks(client, "a.test").await.unwrap().1, "vouched");
        assert_eq!(world.asks(client, "a.test").await.unwrap(), (HandshakeKind::Resumed, "vouched".into()));
    }

    world.partners.write_crl(&world.house.files.path().join("partners.crl"), &[8]);
    assert_eq!(world.house.certificates.renew().changed, 1);

    assert!(open.get("/").await.contains(" refused "), "the connection is open, and what it proved is over");
    // rustls resumes the session without asking for the certificate again, and so the house asks.
    assert_eq!(world.asks(&goes, "a.test").await.unwrap(), (HandshakeKind::Resumed, "refused".into()));
    assert_eq!(world.asks(&stays, "a.test").await.unwrap(), (HandshakeKind::Resumed, "vouched".into()));
    assert!(world.word(Some(&bad), "a.test").await.is_none(), "a new handshake fails");
    assert_eq!(world.house.counters().client_certificates_refused, 2);
}

#[tokio::test]
async fn another_authority_ends_the_trust_in_the_one_before() {
    let world = World::new(GUARD, |tls| TlsSettings { clients: ClientCertificates::Optional(ids(&["others"])), ..tls });
    let client = world.client(Some(&world.others.sign(1)));
    let mut open = world.house.connect_as(Arc::clone(&client), "a.test").await.unwrap();
    assert!(open.get("/").await.contains(" vouched "));
    Ca::new("somebody else").write(&world.house.files.path().join("others.ca"));
    assert_eq!(world.house.certificates.renew().changed, 1);
    assert!(open.get("/").await.contains(" refused "));
    // A file that is no authority leaves the last one in force.
    std::fs::write(world.house.files.path().join("others.ca"), "").unwrap();
    assert_eq!(world.house.certificates.renew().faults.len(), 1);
    assert!(open.get("/").await.contains(" refused "));
}

#[tokio::test]
async fn a_session_without_a_certificate_is_never_resumed_where_one_is_demanded() {
    let partners = ClientCertificates::Required(ids(&["partners"]));
    let lax = World::new(GUARD, |tls| tls);
    let client = lax.client(None);
    assert_eq!(lax.asks(&client, "b.test").await.unwrap().0, HandshakeKind::Full);
    assert_eq!(lax.asks(&client, "b.test").await.unwrap().0, HandshakeKind::Resumed);
    // The same client, the same name, the same tickets; a rule that was not there before.
    let strict = World::new(GUARD, |tls| TlsSettings { hosts: vec![("b.test".parse().unwrap(), partners)], ..tls });
    let mut both = ClientConfig::clone(&strict.client(None));
    both.resumption = client.resumption.clone();
    let both = Arc::new(both);
    assert!(strict.asks(&both, "b.test").await.is_none());
    // And from the lax name of the same listener to the strict one.
    assert!(strict.asks(&both, "a.test").await.is_some());
    assert!(strict.asks(&both, "b.test").await.is_none());
}

#[tokio::test]
async fn one_key_has_so_many_connections_and_not_more() {
    let guard = GuardSettings { connections_per_certificate: 2, ..GUARD };
    let rule = ClientCertificates::Optional(ids(&["partners"]));
    let world = World::new(guard, |tls| TlsSettings { clients: rule, ..tls });
    let (one, other) = (world.client(Some(&world.partners.sign(1))), world.client(Some(&world.partners.sign(2))));
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = world.house.connect_as(Arc::clone(&one), "a.test").await.unwrap();
        client.get("/").await;
        held.push(client);
    }
    assert!(world.asks(&one, "a.test").await.is_none());
    assert!(world.asks(&other, "a.test").await.is_some(), "another key has its own");
    assert!(world.asks(&world.client(None), "a.test").await.is_some());
    assert_eq!(world.house.counters().refused_certificate, 1);
    held.pop();
    world.house.eventually(|house| house.counters().open == 1).await;
    assert!(world.asks(&one, "a.test").await.is_some());
}

#[tokio::test]
async fn more_handshakes_than_there_may_be_are_turned_away_before_they_cost_anything() {
    let world = World::new(GuardSettings { handshakes: 0, ..GUARD }, |tls| tls);
    assert!(world.word(None, "a.test").await.is_none());
    assert_eq!((world.house.counters().refused_handshake, world.house.counters().handshakes_full), (1, 0));
}
