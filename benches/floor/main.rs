//! A bare pingora proxy: what the framework costs while it decides nothing. `floor PORT BACKEND_PORT [CERTIFICATE KEY]`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Floor {
    backend: String,
}

#[async_trait]
impl ProxyHttp for Floor {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.backend.as_str(), false, String::new())))
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(backend)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: floor PORT BACKEND_PORT [CERTIFICATE KEY]");
        return ExitCode::from(2);
    };
    let conf =
        ServerConf { threads: 1, work_stealing: false, upstream_keepalive_pool_size: 1024, ..Default::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Floor { backend: format!("127.0.0.1:{backend}") });
    let address = format!("127.0.0.1:{port}");
    match (arguments.next(), arguments.next()) {
        (Some(certificate), Some(key)) => {
            let mut tls = TlsSettings::intermediate(&certificate, &key).expect("the files are usable");
            tls.enable_h2();
            proxy.add_tls_with_settings(&address, None, tls);
        }
        _ => proxy.add_tcp(&address),
    }
    server.add_service(proxy);
    server.run_forever()
}
