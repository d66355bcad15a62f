use std::num::NonZeroU64;

use ingress::{BodyPace, Cleartext, GuardSettings, ListenerSettings};
use terms::Share;
use yaml::At;

use super::Compiler;
use super::authority::AuthorityNames;
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn listener(
        &mut self,
        listener: file::Listener,
        authorities: &AuthorityNames,
    ) -> Option<ListenerSettings> {
        let file::Listener { bind, proxy_protocol, h2c, tls } = listener;
        let bind = self.parse(&bind);
        let proxies = proxy_protocol.map(|proxies| self.trusted(&proxies));
        if let Some(h2c) = h2c.as_ref().filter(|_| tls.is_some()) {
            self.error(h2c, "h2c is HTTP/2 without TLS".into(), "leave it out: with TLS, HTTP/2 is always spoken");
        }
        let cleartext = match h2c {
            Some(h2c) if h2c.value => Cleartext::Http1AndHttp2,
            Some(_) | None => Cleartext::Http1,
        };
        let tls = tls.map(|tls| self.tls(tls, authorities));
        Some(ListenerSettings {
            bind: bind?,
            proxies: proxies.map_or(Some(None), |all| all.map(Some))?,
            cleartext,
            tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        })
    }

    pub(super) fn requests_per_tenant(&mut self, written: Option<&At<Share>>) -> Share {
        let Some(written) = written else { return Share::HALF };
        if written.value.percent() == 0 {
            self.error(
                written,
                "no tenant would be served".into(),
                "from 1% to 100%, which is all of them for one tenant",
            );
        }
        written.value
    }

    pub(super) fn guard(&mut self, guard: file::Guard) -> GuardSettings {
        let file::Guard {
            connections,
            connections_per_ip,
            connections_per_certificate,
            proxy_header,
            handshake,
            handshakes,
            head,
            idle,
            min_body_rate,
            body_grace,
            requests: _,
            requests_per_tenant: _,
            head_bytes,
            fields,
        } = guard;
        let written = min_body_rate.as_ref().map_or(1024, |rate| rate.value.0);
        let rate = NonZeroU64::new(written);
        if let (None, Some(zero)) = (rate, &min_body_rate) {
            self.error(zero, "no client would be too slow".into(), "for example `1KiB`, in a second");
        }
        GuardSettings {
            connections: connections as usize,
            connections_per_ip: connections_per_ip as usize,
            connections_per_certificate: connections_per_certificate as usize,
            proxy_header: proxy_header.0,
            handshakes: handshakes as usize,
            handshake: handshake.0,
            head: head.0,
            idle: idle.0,
            body: BodyPace { rate: rate.unwrap_or(NonZeroU64::MIN), grace: body_grace.0 },
            head_bytes: usize::try_from(head_bytes.0).unwrap_or(usize::MAX),
            fields: usize::from(fields),
        }
    }
}
