//! What stands between clients and everything else: addresses, certificates, deadlines and caps.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteCount, Share, Span};
use yaml::{At, Pairs};

/// One address where clients connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Address and port, for example `0.0.0.0:8443`.
    pub(crate) bind: At<String>,
    /// The proxies in front, as networks. Connections are taken from them alone, and each must begin with a header of the
    /// PROXY protocol, version 1 or 2, that says whose it is.
    #[serde(default)]
    pub(crate) proxy_protocol: Option<At<Vec<At<String>>>>,
    /// Whether HTTP/2 is spoken here without TLS, beside HTTP/1.1, with clients that begin with it.
    #[serde(default)]
    pub(crate) h2c: Option<At<bool>>,
    /// With which certificates TLS is spoken, and how. Without it the listener speaks plain HTTP.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

/// How TLS is spoken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// Which one a client is shown is chosen by the name that it asks for, among the DNS names in their subject alternative names. A name with a star is one label: `*.example.com`.
    #[schemars(length(min = 1))]
    pub(crate) certificates: At<Vec<Certificate>>,
    /// The oldest version that is spoken: `"1.2"`, which it is if it is left out, or `"1.3"`.
    #[serde(default)]
    #[schemars(extend("enum" = ["1.2", "1.3"]))]
    pub(crate) min_version: Option<At<String>>,
    /// The cipher suites that are spoken, best first, by their IANA names. All that this program has if it is left out.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) suites: Option<At<Vec<At<String>>>>,
    /// How long one key encrypts the tickets with which clients resume sessions: 1m to 6h, 1h if it is left out. Tickets under the key before are taken for as long again.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) ticket_rotation: Option<At<Span>>,
    /// Whether clients are asked for certificates, for whatever comes to this listener. They are not if it is left out.
    #[serde(default)]
    pub(crate) client_certificates: Option<ClientCertificates>,
    /// What differs for single hosts, by their names, which may begin with `*.`.
    #[serde(default)]
    pub(crate) hosts: Pairs<Host>,
}

/// What differs for one host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Whether its clients are asked for certificates. Where they must show one, this host cannot be reached in any other way.
    pub(crate) client_certificates: ClientCertificates,
}

/// Whether clients are asked for certificates, and who must vouch for them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificates {
    /// Whether.
    pub(crate) mode: At<ClientCertificateMode>,
    /// Who vouches: names under `authorities`.
    #[serde(default)]
    pub(crate) authorities: Vec<At<String>>,
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientCertificateMode {
    /// They are not.
    Off,
    /// They may show one. A bad one ends the handshake.
    Optional,
    /// They must show one.
    Required,
}

/// Who signs certificates of clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authority {
    /// Its root certificates, PEM. Watched, as all files here.
    pub(crate) ca: At<String>,
    /// Lists of what it has revoked, PEM, one for every certificate that signs. A list that is out of date lets nobody in.
    #[serde(default)]
    pub(crate) crl: Option<At<String>>,
    /// The tenants that its certificates may speak for. Whoever shows one cannot act for any other.
    #[schemars(length(min = 1))]
    pub(crate) tenants: At<Vec<At<String>>>,
}

/// The files of a certificate. They are watched, and taken over when they change; if they are bad then, the last good ones stay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    /// The certificate and those between it and its root, PEM.
    pub(crate) certificate: At<String>,
    /// Its private key, PEM; readable for its owner alone.
    pub(crate) key: At<String>,
    /// What its issuer's OCSP responder says of it, DER: it is stapled. One that is out of date is left out.
    #[serde(default)]
    pub(crate) ocsp: Option<At<String>>,
    /// Whether clients that ask for a name that no certificate has, or for none, are shown this one. Without such a certificate they are refused.
    #[serde(default)]
    pub(crate) default: Option<At<bool>>,
}

/// Deadlines and caps in front of everything else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Guard {
    /// Connections in all.
    pub(crate) connections: u32,
    /// Connections per client address.
    pub(crate) connections_per_ip: u32,
    /// Until the header of the PROXY protocol is there, where there must be one.
    #[schemars(with = "String")]
    pub(crate) proxy_header: Span,
    /// Connections per key of a client's certificate.
    pub(crate) connections_per_certificate: u32,
    /// TLS handshakes at once.
    pub(crate) handshakes: u32,
    /// Until a TLS handshake is done.
    #[schemars(with = "String")]
    pub(crate) handshake: Span,
    /// Until a whole request head is there.
    #[schemars(with = "String")]
    pub(crate) head: Span,
    /// How long a connection may be unused.
    #[schemars(with = "String")]
    pub(crate) idle: Span,
    /// The slowest client while a body is sent or taken, in bytes a second.
    #[schemars(with = "Option<String>")]
    pub(crate) min_body_rate: Option<At<ByteCount>>,
    /// How long a client may lag behind that, or do nothing at all.
    #[schemars(with = "String")]
    pub(crate) body_grace: Span,
    /// Requests in progress, in all.
    pub(crate) requests: u32,
    /// The share of them that one tenant of weight 1 may have while no other has any: `50%` if it is left out.
    #[schemars(with = "Option<String>")]
    pub(crate) requests_per_tenant: Option<At<Share>>,
    /// How long a request head may be.
    #[schemars(with = "String")]
    pub(crate) head_bytes: ByteCount,
    /// How many fields a request head may have.
    pub(crate) fields: u16,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_ip: 256,
            proxy_header: Span(Duration::from_secs(3)),
            connections_per_certificate: 1024,
            handshakes: 1024,
            handshake: Span(Duration::from_secs(5)),
            head: Span(Duration::from_secs(10)),
            idle: Span(Duration::from_secs(60)),
            min_body_rate: None,
            body_grace: Span(Duration::from_secs(10)),
            requests: 10_000,
            requests_per_tenant: None,
            head_bytes: ByteCount(32 << 10),
            fields: 100,
        }
    }
}

/// Who the clients are, and from where they may come. A tenant may say more in its policy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clients {
    /// Proxies in front, as networks, that are believed when they say in `field` whose request it is.
    pub(crate) trusted_proxies: Option<At<Vec<At<String>>>>,
    /// Where they say it: `x-forwarded-for` (and `x-forwarded-proto`) or `forwarded`. The other is not looked at.
    pub(crate) field: ForwardedWord,
    /// Clients are served from these networks alone.
    pub(crate) allow: Option<At<Vec<At<String>>>>,
    /// Clients are never served from these networks. A deny wins.
    pub(crate) deny: Vec<At<String>>,
}

/// A field in which a proxy says whom it forwards for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedWord {
    /// RFC 7239.
    Forwarded,
    /// What nearly all proxies write.
    #[default]
    XForwardedFor,
}
