use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use certificate::UnfitOcsp;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::house::{GUARD, House, speaking, write_key};
use crate::{CertificateFiles, Shown};

#[tokio::test]
async fn a_good_ocsp_response_is_stapled_and_one_that_is_not_good_any_more_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_pair(folder.path());
    let path = files.ocsp.clone().unwrap();
    let good = openssl_responds(folder.path(), "V\t960101000000Z\t");
    let house = House::tls_with(GUARD, folder, speaking(vec![files]), &[]);
    let seen = Arc::new(Seen::default());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().dangerous();
    let mut config = config.with_custom_certificate_verifier(Arc::clone(&seen) as Arc<_>).with_no_client_auth();
    config.resumption = Resumption::disabled(); // a resumed session shows no certificate to staple something to
    let config = Arc::new(config);
    let stapled = async || {
        house.connect_as(Arc::clone(&config), "a.test").await.unwrap();
        seen.0.lock().unwrap().clone()
    };
    assert!(!good.is_empty() && stapled().await == good);

    openssl_responds(house.files.path(), "R\t960101000000Z\t260101000000Z");
    assert_eq!(house.certificates.renew().changed, 1);
    assert_eq!(stapled().await, b"", "clients that want one ask the responder themselves");
    assert_eq!(house.certificates.served()[0].unfit_ocsp, Some(UnfitOcsp::NotGood));

    std::fs::write(path, &good).unwrap();
    assert_eq!(house.certificates.renew().changed, 1);
    assert_eq!(stapled().await, good);
    assert_eq!(house.certificates.served()[0].unfit_ocsp, None);
}

/// A certificate that has signed itself, with a place for what a responder says of it.
fn write_pair(folder: &Path) -> CertificateFiles {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["a.test".into()]).unwrap();
    parameters.serial_number = Some(SerialNumber::from(0x1234_u64));
    parameters.distinguished_name.push(DnType::CommonName, "a");
    let at = |name: &str| folder.join(name);
    std::fs::write(at("a.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    write_key(&at("a.key"), &key.serialize_pem(), 0o600);
    CertificateFiles { certificate: at("a.pem"), key: at("a.key"), ocsp: Some(at("a.ocsp")), shown: Shown::ByName }
}

/// What OpenSSL's responder says of it, which is also written to its place: a line of its index begins with `status`.
fn openssl_responds(folder: &Path, status: &str) -> Vec<u8> {
    std::fs::write(folder.join("index"), format!("{status}\t1234\tunknown\t/CN=a\n")).unwrap();
    let out = Command::new("openssl")
        .current_dir(folder)
        .args(["ocsp", "-index", "index", "-rsigner", "a.pem", "-rkey", "a.key", "-CA", "a.pem"])
        .args(["-issuer", "a.pem", "-cert", "a.pem", "-ndays", "7", "-noverify", "-respout", "a.ocsp"])
        .output()
        .expect("openssl is installed");
    std::fs::read(folder.join("a.ocsp"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// What a server has stapled to its certificate. Whoever it is, is believed.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<u8>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &ring::default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &ring::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
