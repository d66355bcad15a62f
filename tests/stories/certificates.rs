//! Certificates of the gateway, as those see them who connect.

use std::path::Path;
use std::process::Command;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::harness::{Gateway, TlsIdentity};

fn write(folder: &Path, name: &str) {
    let certified =
        rcgen::generate_simple_self_signed(["*.example.test".to_string(), "localhost".to_string()]).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certified.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), certified.signing_key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_without_a_restart_and_cuts_no_connection() {
    let gateway = Gateway::test().tls().start().await;
    let (address, path) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let authorization = format!("Authorization: Bearer {}\r\n", gateway.token("acme", "ada", &["viewer"]));
    let (line, host) = ("GET /orders/1", "acme.example.test");
    let mut before = TlsIdentity::nobody(&[&path]).connect(address, host).await.unwrap();
    assert_eq!(before.status(line, host, &authorization).await, Some(200));
    let first = CertificateDer::from_pem_file(&path).unwrap();

    // Half a renewal: the key is not there yet. The last good pair is served on.
    let key = std::fs::read_to_string(gateway.folder.path().join("tls.key")).unwrap();
    write(gateway.folder.path(), "tls");
    let new_key = std::fs::read_to_string(gateway.folder.path().join("tls.key")).unwrap();
    let second = CertificateDer::from_pem_file(&path).unwrap();
    std::fs::write(gateway.folder.path().join("tls.key"), &key).unwrap();
    gateway.eventually("the fault is seen", || gateway.metric("cloister_certificate_faulty") == 1.0);
    let trusting_first = {
        let old = gateway.folder.path().join("old.crt");
        std::fs::write(&old, pem(&first)).unwrap();
        TlsIdentity::nobody(&[&old])
    };
    assert_eq!(trusting_first.connect(address, host).await.unwrap().shown(), first);

    std::fs::write(gateway.folder.path().join("tls.key"), new_key).unwrap();
    gateway.eventually("the fault is mended", || gateway.metric("cloister_certificate_faulty") == 0.0);
    let mut after = TlsIdentity::nobody(&[&path]).connect(address, host).await.unwrap();
    assert_eq!(after.shown(), second);
    assert_eq!(after.status(line, host, &authorization).await, Some(200));
    assert_eq!(before.status(line, host, &authorization).await, Some(200), "a connection that was open stays open");
    assert!(gateway.metric("cloister_certificate_not_after_seconds") > 0.0);
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_refused_for_a_name_without_a_certificate_and_resumes_for_one_with() {
    let gateway = Gateway::test().tls().start().await;
    let address = gateway.tls_address.unwrap().to_string();
    let session = gateway.folder.path().join("session");
    let session = session.to_str().unwrap();
    let client = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address]).args(arguments);
        let out = command.stdin(std::process::Stdio::null()).output().expect("openssl is installed");
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    };
    for name in [&["-noservername"][..], &["-servername", "example.test"], &["-servername", "a.b.example.test"]] {
        let said = client(name);
        assert!(said.contains("unrecognized name"), "{name:?}: {said}");
    }
    for version in ["-tls1_3", "-tls1_2"] {
        let named = ["-servername", "acme.example.test", version];
        let first = client(&[&named[..], &["-sess_out", session]].concat());
        assert!(first.contains("New, TLSv1."), "{version}: {first}");
        if version == "-tls1_2" {
            let again = client(&[&named[..], &["-sess_in", session]].concat());
            assert!(again.contains("Reused, TLSv1.2"), "{version}: {again}");
        }
    }
    let old = client(&["-servername", "acme.example.test", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(old.contains("Cipher is (NONE)"), "{old}");
}
