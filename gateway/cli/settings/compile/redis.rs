use relay::{Access, Login, Plaintext, Server};
use secrets::Secret;
use terms::Finding;

use super::Compiler;
use crate::settings::{Redis, file};

impl Compiler<'_> {
    pub(super) fn redis(&mut self, entry: &file::Redis) -> Option<Redis> {
        let file::Redis { url, user, password, ca, prefix, insecure_plaintext } = entry;
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
        let plaintext = if *insecure_plaintext { Plaintext::Believed } else { Plaintext::Refused };
        let (at, user) = (url.value.clone(), user.as_ref().map(|user| user.value.clone()));
        let login = move |password: Option<&str>| {
            let (url, user, ca) = (at.as_str(), user.as_deref(), authority.clone());
            Login::new(Access { url, user, password, ca, plaintext }).map_err(|error| terms::chain(&error))
        };
        // Whatever is wrong is so without the password, too, and has its place.
        let anonymous = match login(None) {
            Ok(login) => login,
            Err(error) => {
                // Whoever writes a password into it has written it down; there is no need to print it, too.
                self.findings.push(Finding::error(url.spot.place(self.file), error).unquoted());
                return None;
            }
        };
        let login = match password {
            Some(written) => {
                let given = self.secret(written)?;
                let make = move |secret: Secret<Vec<u8>>, _: Option<&Login>| match std::str::from_utf8(secret.expose())
                {
                    Ok(password) => login(Some(password)),
                    Err(_) => Err("the password is not text in UTF-8; give the user another one".into()),
                };
                self.kept("redis.password", written, given, make)?
            }
            None => anonymous.into(),
        };
        let prefix = prefix.as_ref().map_or("cloister", |prefix| prefix.value.as_str());
        Some(Redis { server: Server::new(login, prefix), plaintext })
    }
}
