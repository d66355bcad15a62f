use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use certificate::ClientCertificate;
use terms::RequestId;

/// What is known of a request before a byte of it is judged.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Ours, never the client's.
    pub id: RequestId,
    /// Where the client is: at the other end of the connection, or where proxies that are believed say.
    pub client: IpAddr,
    /// The version of HTTP, if it is one of those that we speak.
    pub protocol: Option<audit::Protocol>,
    /// The trace that it belongs to (W3C Trace Context).
    pub trace: u128,
    /// When its head was there.
    pub at: SystemTime,
    /// The same moment on the clock that does not step.
    pub started: Instant,
    /// How the client has spoken: to us, or to the first of the proxies that are believed.
    pub scheme: canonical::Scheme,
    /// The connection that it came on.
    pub channel: Channel,
}

/// What is known of the connection under a request.
#[derive(Clone, Debug)]
pub enum Channel {
    /// No TLS: nobody has asked for a host, and nothing was asked of the client.
    Plain,
    /// TLS.
    Tls {
        /// The host that the client has asked for in the handshake (SNI), in lower case.
        sni: Option<Arc<str>>,
        /// On whose behalf the client was asked for a certificate, or was not.
        asked: Asked,
        /// What it has presented, by what is in force now.
        certificate: ClientCertificate,
    },
}

/// On whose behalf a client was asked for a certificate, or was not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// By the rule of the host that it asked for.
    ForHost,
    /// By the rule for whatever comes to the listener.
    ForListener,
}

impl Channel {
    pub(crate) const fn certificate(&self) -> &ClientCertificate {
        match self {
            Self::Plain => &ClientCertificate::None,
            Self::Tls { certificate, .. } => certificate,
        }
    }
}

/// What of a head goes into the record of a refusal, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The method as the client wrote it.
    pub method: Option<&'a str>,
    /// The host, once it was found to be one.
    pub host: Option<&'a str>,
    /// The `User-Agent`, as it was sent: it goes in sealed, or not at all.
    pub user_agent: Option<&'a [u8]>,
}
