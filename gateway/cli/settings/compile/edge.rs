use std::path::PathBuf;

use ingress::{GuardSettings, ListenerSettings, TlsFiles};

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn listener(&mut self, listener: file::Listener) -> Option<ListenerSettings> {
        let file::Listener { bind, tls } = listener;
        let tls = tls.map(|file::Tls { certificate, key }| TlsFiles {
            certificate: PathBuf::from(certificate.value),
            key: PathBuf::from(key.value),
        });
        Some(ListenerSettings { bind: self.parse(&bind)?, tls })
    }

    pub(super) fn guard(&mut self, guard: &file::Guard) -> GuardSettings {
        let file::Guard { connections, connections_per_ip, handshake, head, idle, head_bytes, fields } = guard;
        GuardSettings {
            connections: *connections as usize,
            connections_per_ip: *connections_per_ip as usize,
            handshake: handshake.0,
            head: head.0,
            idle: idle.0,
            head_bytes: usize::try_from(head_bytes.0).unwrap_or(usize::MAX),
            fields: usize::from(*fields),
        }
    }
}
