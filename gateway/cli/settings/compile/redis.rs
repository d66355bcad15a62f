use relay::{Access, Plaintext, Server};
use terms::Finding;

use super::Compiler;
use crate::settings::{Redis, file};

impl Compiler<'_> {
    pub(super) fn redis(&mut self, entry: &file::Redis) -> Option<Redis> {
        let file::Redis { url, user, password, ca, prefix, insecure_plaintext } = entry;
        let password = match password {
            Some(written) => {
                let secret = self.secret(written)?;
                let text = String::from_utf8(secret.expose().clone());
                if text.is_err() {
                    self.error(written, "the password is not text in UTF-8".into(), "give the user another one");
                }
                Some(text.ok()?)
            }
            None => None,
        };
        let authority = match ca {
            Some(path) => {
                let read = std::fs::read(&path.value);
                let fault = |error: &std::io::Error| format!("`{}` cannot be read: {error}", path.value);
                if let Err(error) = &read {
                    self.findings.push(Finding::error(path.spot.place(self.file), fault(error)));
                }
                Some(read.ok()?)
            }
            None => None,
        };
        let access = Access {
            url: &url.value,
            user: user.as_ref().map(|user| user.value.as_str()),
            password: password.as_deref(),
            ca: authority,
            prefix: prefix.as_ref().map_or("cloister", |prefix| prefix.value.as_str()),
            plaintext: if *insecure_plaintext { Plaintext::Believed } else { Plaintext::Refused },
        };
        let plaintext = access.plaintext;
        match Server::new(access) {
            Ok(server) => Some(Redis { server, plaintext }),
            Err(error) => {
                // Whoever writes a password into it has written it down; there is no need to print it, too.
                self.findings.push(Finding::error(url.spot.place(self.file), terms::chain(&error)).unquoted());
                None
            }
        }
    }
}
