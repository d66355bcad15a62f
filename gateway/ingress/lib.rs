//! Ingress: lets connections in, watches over them, and hands their bytes to the application that parses them.
//!
//! *What it decides:* which connections are accepted (from where clients may come, so many in all, so many per client), how long a handshake, a head
//! and an idle connection may take, how long a head may be. It speaks TLS, and believes the PROXY protocol of those
//! proxies that it is told to believe.
//!
//! *What it must never do:* look at a request; cut a connection while a request runs on it (the body's and the backend's
//! deadlines belong to the proxy); let an attempt at a request end without a trace. What a parser never made a request of
//! is told to [`Unparsed`], once.
//!
//! *Who gives it what:* cli the settings, the clock and pingora's application; the proxy says through [`Connection`] when
//! a request starts and ends, and passes [`h2_options`] on to pingora. pingora calls [`Ingress`] as a service.
//!
//! *How to add a deadline or a cap:* a field of [`GuardSettings`]; its check in `connection.rs` (time, bytes) or `cap.rs`
//! (numbers); a counter in `counters.rs`; a test in `tests/` with a real socket that runs into it.
#![forbid(unsafe_code)]

mod bind;
mod cap;
mod connection;
mod counters;
mod frames;
mod guarded;
mod inherited;
mod outbox;
mod pingora_io;
mod preface;
mod proxy_header;
mod reception;
mod service;
mod settings;
mod tls;
mod unparsed;
mod wire;

pub use bind::{BindError, Listeners};
pub use connection::{Connection, TlsFacts};
pub use counters::{Counters, Snapshot};
pub use inherited::Inherited;
pub use proxy_header::{InvalidProxyHeader, Origin, ProxyHeader};
pub use service::Ingress;
pub use settings::{Cleartext, GuardSettings, ListenerSettings, Strangers, h2_options};
pub use tls::{
    CertificateFiles, Certificates, ClientCertificates, HostName, InvalidHostName, LONGEST_TICKET_ROTATION, Renewed,
    Scope, Served, Shown, Suite, TlsError, TlsSettings, TlsVersion, UnknownSuite, UnknownVersion,
};
pub use unparsed::{Unparsed, UnparsedWhy};

#[cfg(test)]
mod tests;
