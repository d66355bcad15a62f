use std::sync::atomic::{AtomicU64, Ordering};

/// Lists every counter once: doc and name.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened to connections since the start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: Count,)*
        }

        /// The counters as they stood at one moment.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads them all.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Accepted, those included that were refused at once.
    accepted,
    /// Open now.
    open,
    /// Refused: there were as many as there may be.
    refused_full,
    /// Refused: this client had as many as one may have.
    refused_client,
    /// Refused: from an address that no client may come from.
    refused_denied,
    /// Refused: not from one of the proxies that the listener takes connections from.
    refused_stranger,
    /// Refused: what a proxy sent before the connection was no header of the PROXY protocol.
    refused_proxy_header,
    /// Refused: a proxy took too long to say whose the connection is.
    proxy_header_timeouts,
    /// Refused: the key of its certificate had as many as one may have.
    refused_certificate,
    /// Refused: as many handshakes were going on as there may be.
    refused_handshake,
    /// Refused: no certificate of ours has the name that was asked for.
    refused_name,
    /// Requests with a client's certificate that nobody vouches for any more.
    client_certificates_refused,
    /// Handshakes that ended well, with a session of its own each.
    handshakes_full,
    /// Handshakes that ended well and resumed a session.
    handshakes_resumed,
    /// `accept` failed, mostly for want of file descriptors.
    accept_failures,
    /// TLS handshakes that failed.
    handshake_failures,
    /// TLS handshakes that took too long.
    handshake_timeouts,
    /// Cut: a head took too long.
    head_timeouts,
    /// Cut: a head was too long.
    heads_too_large,
    /// Cut: nothing came for too long.
    idle_timeouts,
    /// Ended without a byte.
    silent,
    /// Attempts at a request that never became one.
    unparsed,
}

/// One number that several threads count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
