use std::net::IpAddr;
use std::time::{Instant, SystemTime};

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
}

/// What of a head goes into the record of a refusal, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The method as the client wrote it.
    pub method: Option<&'a str>,
    /// The host, once it was found to be one.
    pub host: Option<&'a str>,
}
