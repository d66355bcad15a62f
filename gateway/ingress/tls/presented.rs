use std::sync::Arc;
use std::time::{Duration, SystemTime};

use certificate::{Authorities, ClientCertificate, KeyDigest, Peer, Unvouched};
use rustls::pki_types::CertificateDer;
use terms::{IssuerId, Live};

use crate::{Certificates, Counters};

/// How long a verdict about a certificate stands while nothing changes: it may run out, and so may what has been revoked.
const STANDS: Duration = Duration::from_secs(60);

/// A certificate that a client has presented, and whether it is good by what is in force now.
///
/// The handshake asked the same, if there was one: a session that is resumed has not asked at all, and a connection may
/// outlive an authority. So it is asked again whenever the authorities have changed, and every minute.
#[derive(Debug)]
pub(crate) struct Presented {
    chain: Vec<CertificateDer<'static>>,
    may_vouch: Arc<[IssuerId]>,
    certificates: Certificates,
    verdict: Live<Verdict>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Verdict {
    by: Arc<Authorities>,
    at: SystemTime,
    peer: Result<Arc<Peer>, Unvouched>,
}

impl Presented {
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        may_vouch: Arc<[IssuerId]>,
        certificates: &Certificates,
        counters: Arc<Counters>,
    ) -> Self {
        let now = certificates.clock().now();
        let verdict = Live::new(judge(&chain, &may_vouch, certificates.authorities().snapshot(), now));
        Self { chain, may_vouch, certificates: certificates.clone(), verdict, counters }
    }

    /// Whether it is good at this moment. Costs two look-ups while nothing has changed.
    pub(crate) fn verify(&self) -> ClientCertificate {
        let (now, authorities) = (self.certificates.clock().now(), self.certificates.authorities());
        let verdict = self.verdict.glance();
        let stands = now.duration_since(verdict.at).is_ok_and(|age| age < STANDS); // not if the clock went back
        let peer = if stands && Arc::ptr_eq(&verdict.by, &authorities.glance()) {
            verdict.peer.clone()
        } else {
            let verdict = judge(&self.chain, &self.may_vouch, authorities.snapshot(), now);
            let peer = verdict.peer.clone();
            self.verdict.replace(verdict);
            peer
        };
        match peer {
            Ok(peer) => ClientCertificate::Vouched(peer),
            Err(_) => {
                self.counters.client_certificates_refused.up();
                ClientCertificate::Refused
            }
        }
    }
}

impl Presented {
    /// The key of the certificate, if it was good when the connection began.
    pub(crate) fn key(&self) -> Option<KeyDigest> {
        self.verdict.glance().peer.as_ref().ok().map(|peer| *peer.key())
    }
}

fn judge(chain: &[CertificateDer<'_>], may_vouch: &[IssuerId], by: Arc<Authorities>, at: SystemTime) -> Verdict {
    let peer = by.verify(may_vouch, chain, at).map(Arc::new);
    if let Err(error) = &peer {
        tracing::debug!(error = terms::chain(error), "a client's certificate is not good by what is in force");
    }
    Verdict { by, at, peer }
}
