//! Somebody who signs certificates of clients.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use super::TlsIdentity;

pub struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl TestAuthority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        authority.write();
        authority
    }

    /// The file of its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn write(&self) {
        let certificate: &rcgen::Certificate = self.issuer.as_ref();
        std::fs::write(self.file(), certificate.pem()).unwrap();
    }

    /// Signs as another one from now on, as if its key had been replaced.
    pub fn replace(&mut self) {
        self.issuer = Self::new("replaced").issuer;
        self.write();
    }

    /// What a token says that is bound to the last client's certificate (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        let certificate = CertificateDer::from_pem_file(self.folder.path().join("client.pem")).unwrap();
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate))
    }

    /// A client with a certificate for these URIs and DNS names, which trusts the gateway's certificate.
    pub fn client(&self, gateway: &Path, uris: &[&str], dns: &[&str]) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.subject_alt_names.extend(uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())));
        parameters.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let (shown, own) = (self.folder.path().join("client.pem"), self.folder.path().join("client.key"));
        std::fs::write(&shown, certificate.pem()).unwrap();
        std::fs::write(&own, key.serialize_pem()).unwrap();
        TlsIdentity::showing(&[gateway], &shown, &own)
    }
}
