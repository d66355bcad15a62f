use upstream::{Dns, Special};

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn dns(&mut self, entry: &file::Dns) -> Option<Dns> {
        let file::Dns { servers, min_ttl, max_ttl, timeout, insecure_special_answers } = entry;
        let servers: Vec<_> = servers.iter().map(|server| self.parse(server)).collect();
        Some(Dns {
            servers: servers.into_iter().collect::<Option<_>>()?,
            min_ttl: min_ttl.0.max(std::time::Duration::from_millis(100)), // or zero would ask without a pause
            max_ttl: max_ttl.0,
            timeout: timeout.0,
            special: if *insecure_special_answers { Special::Believed } else { Special::Refused },
        })
    }
}
