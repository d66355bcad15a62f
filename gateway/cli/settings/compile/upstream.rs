use std::net::SocketAddr;
use std::sync::Arc;

use assertion::{Audience, Backend, Binding, SignatureKey};
use secrets::Reference;
use terms::{Finding, UpstreamId};
use upstream::{Protocol, Settings, Timeouts, Upstream};
use yaml::{At, Named};

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn upstream(&mut self, Named { name, entry }: Named<file::Upstream>) -> Option<proxy::Backend> {
        let id: Option<UpstreamId> = self.parse(&name);
        let file::Upstream { addresses, protocol, timeouts, assertion } = entry?;
        if addresses.value.is_empty() {
            self.error(&addresses, "an upstream needs an address".into(), "for example `[\"127.0.0.1:9001\"]`");
        }
        let addresses: Vec<Option<SocketAddr>> = addresses.value.iter().map(|address| self.parse(address)).collect();
        let file::Timeouts { connect, read, write, idle } = timeouts;
        let timeouts = Timeouts { connect: connect.0, read: read.0, write: write.0, idle: idle.0 };
        let protocol = match protocol {
            file::Protocol::H2c => Protocol::H2c,
            file::Protocol::Http1 => Protocol::Http1,
        };
        let assertion = self.backend(&name, assertion);
        let addresses = addresses.into_iter().collect::<Option<_>>()?;
        let upstream = Arc::new(Upstream::new(Settings { id: id?, addresses, protocol, timeouts }));
        Some(proxy::Backend { upstream, assertion: assertion? })
    }

    fn backend(&mut self, name: &At<String>, entry: file::UpstreamAssertion) -> Option<Backend> {
        let file::UpstreamAssertion { audience, binding, key } = entry;
        let audience: Option<Audience> = self.parse(audience.as_ref().unwrap_or(name));
        let key = match key {
            None => None,
            Some(key) => Some(self.signature_key(name, &key)?),
        };
        let binding = match binding {
            file::Binding::InsecureReuse => Binding::InsecureReuse,
            file::Binding::PerRequest => Binding::PerRequest,
            file::Binding::Reuse => Binding::Reuse,
        };
        match Backend::new(audience?, binding, key) {
            Ok(backend) => Some(backend),
            Err(invalid) => {
                self.findings.push(Finding::error(name.spot.place(self.file), invalid.to_string()));
                None
            }
        }
    }

    fn signature_key(&mut self, name: &At<String>, written: &At<String>) -> Option<SignatureKey> {
        let reference: Reference = self.parse(written)?;
        let key = secrets::resolve(&reference, self.environment)
            .map_err(|error| terms::chain(&error))
            .and_then(|secret| SignatureKey::new(&name.value, &secret).map_err(|error| terms::chain(&error)));
        key.map_err(|message| self.findings.push(Finding::error(written.spot.place(self.file), message))).ok()
    }
}
