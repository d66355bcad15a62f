use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;

use crate::proxy::{Proxy, Serving};
use crate::running;

/// The proxy as ingress serves it: pingora's, with the one thing that it lacks. Each request runs so that it can be
/// ended alone, whatever it waits for; see `running.rs`.
pub struct Application {
    http: Arc<HttpProxy<Serving>>,
    proxy: Arc<Proxy>,
}

impl Application {
    /// Puts pingora's proxy around ours.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>, conf: &Arc<ServerConf>, http2: H2Options) -> Self {
        let mut http = HttpProxy::new(Serving(Arc::clone(&proxy)), Arc::clone(conf));
        http.handle_init_modules();
        http.h2_options = Some(http2);
        Self { http: Arc::new(http), proxy }
    }
}

#[async_trait]
impl HttpServerApp for Application {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        running::run(self.http.process_new_http(session, shutdown), |left, why| self.proxy.cut(left, why)).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.http.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.http.server_options()
    }

    async fn http_cleanup(&self) {
        self.http.http_cleanup().await;
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}
