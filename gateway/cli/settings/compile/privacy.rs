use std::sync::Arc;
use std::time::Duration;

use directory::Server;
use subjects::{Fields, Keeping};
use yaml::At;

use super::{Compiler, Given};
use crate::settings::file::PersonalField;
use crate::settings::{Privacy, file};

/// The role that config/postgresql/subjects.sql makes.
const ROLE: &str = "cloister_subjects";

const CONNECT: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(1);
const WITHOUT_ANSWER: Duration = Duration::from_secs(1);

impl Compiler<'_> {
    pub(super) fn privacy(&mut self, written: file::Privacy) -> Option<Privacy> {
        let file::Privacy { root, next_root, fields, postgresql } = written;
        let fields = fields.map_or(Fields::ALL, |fields| Fields {
            client_ip: fields.contains(&PersonalField::ClientIp),
            user_agent: fields.contains(&PersonalField::UserAgent),
        });
        if let Some(postgresql) = postgresql.as_ref().filter(|_| root.is_none()) {
            let why = "gateways that share a subject vault must have its root in common: give `root`, too";
            self.error(
                postgresql,
                why.into(),
                "make one with `openssl rand -hex 32`, and keep it where no backup of it is",
            );
        }
        let (keeping, believed) = match postgresql {
            None => (Some(Keeping::File), None),
            Some(postgresql) => {
                let (server, believed) = self.vault_in_postgresql(postgresql.value);
                (server.map(|server| Keeping::Postgresql(Arc::new(server))), Some(believed))
            }
        };
        if let Some(next) = next_root.as_ref().filter(|_| root.is_none()) {
            let why =
                "the root lies in the state folder, and so will the next: `cloister privacy rotate-root` makes it";
            self.error(next, why.into(), "leave `next_root` out, or give `root`, too");
        }
        let mut read = |written: Option<At<String>>, setting, what| match written {
            None => Some(None),
            Some(written) => self.vault_root(&written, setting, what).map(Some),
        };
        let root = read(root, "audit.privacy.root", "the subject vault");
        let next_root = read(next_root, "audit.privacy.next_root", "the subject vault to come");
        Some(Privacy { root: root?, next_root: next_root?, fields, keeping: keeping?, believed })
    }

    fn vault_root(&mut self, written: &At<String>, setting: &str, what: &str) -> Option<secrets::Secret<Vec<u8>>> {
        let Given { reference, secret: root, .. } = self.key_for(written, what)?;
        if root.expose().len() < 32 {
            self.error(written, "a root has at least 32 bytes".into(), "make one with `openssl rand -hex 32`");
            return None;
        }
        let why = "another root does not open the subject vault: `cloister privacy rotate-root` puts one in its place";
        self.followed.pin(setting, reference, &root, why);
        Some(root)
    }

    fn vault_in_postgresql(&mut self, entry: file::VaultInPostgresql) -> (Option<Server>, Duration) {
        let file::VaultInPostgresql {
            addresses,
            database,
            user,
            password,
            ca,
            insecure_plaintext,
            connect,
            wait,
            without_answer,
        } = entry;
        let (addresses, security) = self.postgresql(&addresses, ca, insecure_plaintext);
        let password = password.map(|it| self.plain_secret("audit.privacy.postgresql.password", &it));
        let (short, long) = (Duration::from_millis(100), Duration::from_secs(10));
        let connect = self.span_between(connect, CONNECT, short, long);
        let wait = self.span_between(wait, WAIT, short, long);
        // No shorter than a few looks, and no longer than whoever is remembered is remembered in any case.
        let (short, long) = (Duration::from_millis(500), Duration::from_secs(300));
        let believed = self.span_between(without_answer, WITHOUT_ANSWER, short, long);
        let server = || {
            Some(Server {
                addresses: addresses?,
                database: database.value,
                user: user.map_or_else(|| ROLE.to_owned(), |user| user.value),
                password: match password {
                    Some(password) => Some(password?),
                    None => None,
                },
                security: security?,
                connect,
                wait,
            })
        };
        (server(), believed)
    }
}
