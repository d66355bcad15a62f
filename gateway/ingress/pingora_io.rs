//! What pingora wants of a stream beside reading and writing, each a trait of its own.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::AsyncWriteExt;

use crate::connection::Protocol;
use crate::guarded::Guarded;

#[async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::trace!(%error, "a client was gone before its connection was shut");
        }
        self.wire().discard_input();
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.wire().as_raw_fd()
    }
}

impl Ssl for Guarded {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.digests.tls.clone()
    }

    /// This is how pingora knows which HTTP to speak.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.connection().protocol() {
            Protocol::Http1 => Some(ALPN::H1),
            Protocol::Http2 => Some(ALPN::H2),
        }
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digests.proxy))
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digests.socket))
    }
}

/// Nobody reads it, and pingora asks for it once for each request: an empty list costs no allocation.
impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

/// Not allowed: pingora would wait for a preface without end. Which HTTP it is, `preface.rs` has found out before.
impl Peek for Guarded {}
