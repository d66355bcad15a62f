use std::path::Path;
use std::time::Duration;

use hub::{Access, Identity, Login, Plaintext, Server};
use secrets::Secret;
use terms::{Finding, Place};
use yaml::{At, Spot};

use super::Compiler;
use crate::settings::{Redis, file};

const MOST_GATEWAYS: u16 = 1_000;
const TIMEOUT: Duration = Duration::from_millis(10);
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(20);

/// Where it is, as written.
struct Found {
    how: How,
    urls: Vec<String>,
    spot: Spot,
}

enum How {
    Cluster,
    One,
    Sentinels(String),
}

impl Compiler<'_> {
    pub(super) fn redis(&mut self, entry: file::Redis) -> Option<Redis> {
        let file::Redis {
            url,
            sentinels,
            cluster,
            user,
            password,
            ca,
            certificate,
            key,
            prefix,
            insecure_plaintext,
            limits: _,
        } = &entry;
        let found = self.found(url.as_ref(), sentinels.as_ref(), cluster.as_ref())?;
        let authority = match ca {
            Some(path) => Some(self.pem(path, |path| std::fs::read(path).map_err(|error| error.to_string()))?),
            None => None,
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: self.pem(certificate, |path| std::fs::read(path).map_err(|error| error.to_string()))?,
                key: self.pem(key, |path| {
                    let read = secrets::read_private(path).map_err(|error| terms::chain(&error))?;
                    Ok(read.expose().clone())
                })?,
            }),
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                self.error(alone, "a certificate and its key belong together".into(), "write `certificate` and `key`");
                return None;
            }
        };
        let plaintext = if *insecure_plaintext { Plaintext::Believed } else { Plaintext::Refused };
        let (spot, user) = (found.spot, user.as_ref().map(|user| user.value.clone()));
        let login = move |password: Option<&str>| {
            let urls: Vec<&str> = found.urls.iter().map(String::as_str).collect();
            let at = match (&found.how, urls.as_slice()) {
                (How::One, [url]) => hub::Place::One(url),
                (How::One | How::Cluster, urls) => hub::Place::Cluster(urls),
                (How::Sentinels(master), urls) => hub::Place::Sentinels { master, urls },
            };
            let (user, ca, identity) = (user.as_deref(), authority.clone(), identity.clone());
            Login::new(Access { at, user, password, ca, identity, plaintext }).map_err(|error| terms::chain(&error))
        };
        // Whatever is wrong is so without the password, too, and has its place.
        let anonymous = match login(None) {
            Ok(login) => login,
            Err(error) => {
                // Whoever writes a password into it has written it down; there is no need to print it, too.
                self.findings.push(Finding::error(spot.place(self.file), error).unquoted());
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
        let server = Server::new(login, prefix);
        let limits = entry.limits.map(|limits| self.shared_limits(limits, server.clone()));
        Some(Redis { server, plaintext, limits })
    }

    /// How it is found: in one of three ways.
    fn found(
        &mut self,
        url: Option<&At<String>>,
        sentinels: Option<&file::Sentinels>,
        cluster: Option<&At<Vec<At<String>>>>,
    ) -> Option<Found> {
        let texts = |urls: &At<Vec<At<String>>>| urls.value.iter().map(|url| url.value.clone()).collect::<Vec<_>>();
        let one = url.map(|url| Found { how: How::One, urls: vec![url.value.clone()], spot: url.spot });
        let by_sentinels = sentinels.map(|it| {
            let how = How::Sentinels(it.master.value.clone());
            Found { how, urls: texts(&it.urls), spot: it.urls.spot }
        });
        let nodes = cluster.map(|urls| Found { how: How::Cluster, urls: texts(urls), spot: urls.spot });
        let mut all: Vec<_> = one.into_iter().chain(by_sentinels).chain(nodes).collect();
        let found = all.pop();
        let help = "write one of `url`, `sentinels` and `cluster`";
        match (found, all.pop()) {
            (Some(found), None) => Some(found),
            (Some(found), Some(_)) => {
                let finding = Finding::error(found.spot.place(self.file), "it is found in two ways");
                self.findings.push(finding.help(help));
                None
            }
            (None, _) => {
                self.findings
                    .push(Finding::error(Place::file(self.file), "`redis` does not say where it is").help(help));
                None
            }
        }
    }

    fn pem<T>(&mut self, path: &At<String>, read: impl FnOnce(&Path) -> Result<T, String>) -> Option<T> {
        let fault = |error: String| {
            let why = format!("`{}` cannot be read: {error}", path.value);
            self.findings.push(Finding::error(path.spot.place(self.file), why));
        };
        read(Path::new(&path.value)).map_err(fault).ok()
    }

    fn shared_limits(&mut self, entry: file::SharedLimits, server: Server) -> tally::Settings {
        let file::SharedLimits { gateways, timeout } = entry;
        if gateways.value == 0 || gateways.value > MOST_GATEWAYS {
            self.error(&gateways, format!("from 1 to {MOST_GATEWAYS} gateways"), "say how many there are");
        }
        let timeout = self.span_between(timeout, TIMEOUT, SHORTEST, LONGEST);
        tally::Settings { server, timeout }
    }
}
