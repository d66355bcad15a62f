use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Messages, and how often the receiver dies before it has read a connection to its end.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<(Vec<String>, usize)>>);

impl Inbox {
    /// Octets counted, as RFC 6587 §3.4.1 and RFC 5425 §4.3 say.
    async fn read(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let dies = {
            let mut inbox = self.0.lock().unwrap();
            inbox.1 = inbox.1.saturating_sub(1);
            inbox.1 > 0
        };
        if dies {
            drop(stream.read_u8().await);
            return;
        }
        let mut bytes = Vec::new();
        if stream.read_to_end(&mut bytes).await.is_err() {
            return;
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = rest.iter().position(|byte| *byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
            let (message, behind) = rest[space + 1..].split_at(length);
            self.0.lock().unwrap().0.push(String::from_utf8(message.to_vec()).unwrap());
            rest = behind;
        }
        drop(stream.shutdown().await);
    }

    fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }

    fn records(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.split_once("] ").unwrap().1.to_owned()).collect()
    }
}

async fn receiver(inbox: &Inbox, tls: Option<TlsAcceptor>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inbox = inbox.clone();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &tls {
                None => inbox.read(stream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => inbox.read(stream).await,
                    Err(_) => continue,
                },
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_messages_of_rfc_5424_over_tls_and_whoever_is_not_believed_gets_none() {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&ca, identity.cert.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(identity.cert.der().to_vec())], key)
        .unwrap();
    let (inbox, unbelieved) = (Inbox::default(), Inbox::default());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = receiver(&inbox, Some(acceptor.clone())).await;
    let imposter = receiver(&unbelieved, Some(acceptor)).await;
    let sink = |name: &str, address, ca: &std::path::Path| {
        let ca = ca.display();
        format!("{{ name: {name}, batch: {{ wait: 10ms }}, syslog: {{ address: \"{address}\", ca: {ca} }} }}")
    };
    let gateway =
        Gateway::test().sink(&sink("siem", address, &ca)).sink(&sink("imposter", imposter, &other)).start().await;
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("all records are there", || inbox.records() == records(&gateway));
    let request = inbox.messages().into_iter().find(|message| message.contains("tenant=\"acme\"")).unwrap();
    // 13 * 8 + 6: an audit log, informational.
    let words: Vec<_> = request.split(' ').collect();
    assert_eq!((words[0], words[2], words[3], words[4], words[5]), ("<110>1", "gateway", "cloister", "-", "allowed"));
    assert_eq!(words[6], "[cloister@32473");
    assert!(unbelieved.messages().is_empty());
    assert!(
        gateway
            .admin("/metrics")
            .1
            .contains("cloister_audit_sink_failing{sink=\"imposter\",why=\"denied\",class=\"default\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_had_not_read_when_it_died_comes_again() {
    let inbox = Inbox::default();
    inbox.0.lock().unwrap().1 = 4; // three connections die
    let address = receiver(&inbox, None).await;
    let sink = format!("{{ name: siem, batch: {{ wait: 10ms }}, syslog: {{ address: \"{address}\" }} }}");
    let gateway = Gateway::test().sink(&sink).start().await;
    for _ in 0..20 {
        gateway.get("acme", "/orders/1").await;
    }
    gateway.eventually("all records are there", || once(inbox.records()) == records(&gateway));
    assert!(gateway.metric("cloister_audit_sink_failures_total") >= 3.0);
}
