//! `cloister.yaml`: text → [`File`](file::File) → [`Settings`], which hold what each part takes.

mod compile;
mod file;
mod reading;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::AdminToken;
use certificate::AuthoritySettings;
use ingress::{GuardSettings, ListenerSettings};
use proxy::{Backend, ResponseSettings};
use schemars::Schema;
use secrets::Kept;
use subjects::{Fields, GivenRoots, Keeping, Making, SubjectVault, VaultError};
use terms::{ClassName, IssuerId, Place};
use token::IssuerSettings;

use crate::trusted::Trust;

pub(crate) use compile::MOST_ATTEMPTS;
pub(crate) use file::{Level, LogFormat};
pub(crate) use reading::{AuthorityFiles, Certificate, Reading};

/// Where Cloister runs, checked and in the types of the parts.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listeners: Vec<ListenerSettings>,
    pub(crate) authorities: Vec<AuthoritySettings>,
    pub(crate) guard: GuardSettings,
    /// Requests in progress, in all.
    pub(crate) requests: usize,
    /// The share of them that one tenant alone may have.
    pub(crate) requests_per_tenant: terms::Share,
    /// Whom to believe when they say whose request it is.
    pub(crate) proxies: canonical::Proxies,
    /// From where clients may come.
    pub(crate) clients: terms::Clients,
    /// `None`: one per processor.
    pub(crate) workers: Option<usize>,
    pub(crate) shutdown: Shutdown,
    pub(crate) admin: std::net::SocketAddr,
    pub(crate) admin_token: Option<secrets::Kept<admin::AdminToken>>,
    pub(crate) vault: Vaulted,
    pub(crate) state: PathBuf,
    /// `None`: this gateway is alone.
    pub(crate) redis: Option<Redis>,
    /// `None`: the policy files say who is a member.
    pub(crate) directory: Option<directory::Settings>,
    pub(crate) issuers: Vec<IssuerSettings>,
    pub(crate) issuer_places: BTreeMap<IssuerId, Place>,
    pub(crate) dpop: token::DpopSettings,
    pub(crate) backends: Vec<Backend>,
    /// Who must have signed the policies; nobody, if nothing is said about that.
    pub(crate) trust: Option<Trust>,
    pub(crate) dns: upstream::Dns,
    pub(crate) response: ResponseSettings,
    pub(crate) assertion_issuer: assertion::Issuer,
    pub(crate) assertion_lifetime: assertion::Lifetime,
    pub(crate) keys: KeySettings,
    /// Of which the keys come that are shared with backends and not given.
    pub(crate) root: Option<secrets::Secret<Vec<u8>>>,
    /// Every secret, with what is made of it, to be kept in step.
    pub(crate) followed: secrets::Followed,
    pub(crate) audit: Audit,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: Level,
}

/// The Redis that several gateways share.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) server: hub::Server,
    pub(crate) plaintext: hub::Plaintext,
    /// `None`: each gateway counts for itself.
    /// How gateways count limits together.
    pub(crate) limits: Option<tally::Settings>,
}

/// Where values of Vault have come from.
#[derive(Debug)]
pub(crate) enum Vaulted {
    /// From this one, and they are read again after this time.
    Asked(Arc<vault::Vault>, Duration),
    /// From nowhere: what was made of them must not be used.
    MadeUp,
    /// There are none.
    None,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shutdown {
    pub(crate) grace: Duration,
    pub(crate) delay: Duration,
    pub(crate) idle: Duration,
}

/// The keys that sign what backends receive.
#[derive(Clone, Debug)]
pub(crate) struct KeySettings {
    pub(crate) source: KeySource,
    pub(crate) schedule: assertion::Schedule,
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// Somebody else looks after them.
    Given(secrets::Reference),
    /// Somebody else does, in Vault: where, and what was there last.
    Kept(PathBuf, secrets::Kept<secrets::Secret<Vec<u8>>>),
    /// In the state folder.
    State,
}

/// Where the audit log is.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) directory: PathBuf,
    pub(crate) instance: String,
    /// What the log is called in its checkpoints, if it was given a name.
    pub(crate) origin: Option<tlog::Name>,
    /// How often one is signed.
    pub(crate) checkpoint: Duration,
    /// Who may put events of their own on record, each with its token.
    pub(crate) events: Vec<(crate::backend_events::Source, Kept<AdminToken>)>,
    /// Who signs the checkpoints, too.
    pub(crate) witnesses: Option<crate::cosigning::Witnesses>,
    /// Where the records go besides.
    pub(crate) sinks: Vec<Arc<sinks::Settings>>,
    /// When another key signs them.
    pub(crate) rotation: Rotation,
    pub(crate) retention: Retention,
    /// Retention classes besides the default one, in the order of their names.
    pub(crate) classes: Vec<Class>,
    pub(crate) privacy: Privacy,
}

/// When another key signs the checkpoints of the audit log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// Only when somebody says so, if it is nothing.
    pub(crate) after: Option<Duration>,
    /// How long the one that is replaced signs on.
    pub(crate) overlap: Duration,
}

/// How long records are kept, and how much room there is for them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retention {
    /// For good, if nothing is said.
    pub(crate) keep: Option<Duration>,
    /// In bytes. All of the disk, if nothing is said.
    pub(crate) disk: Option<u64>,
}

/// A retention class besides the default one. It has a log of its own.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) name: ClassName,
    pub(crate) retention: Retention,
}

/// What the audit log holds of persons.
#[derive(Debug)]
pub(crate) struct Privacy {
    /// What opens the subject vault; `None`: it lies beside it.
    pub(crate) root: Option<secrets::Secret<Vec<u8>>>,
    /// What comes in its place.
    pub(crate) next_root: Option<secrets::Secret<Vec<u8>>>,
    pub(crate) fields: Fields,
    pub(crate) keeping: Keeping,
    /// For how long the vault is believed that does not answer; `None`: as a file is.
    pub(crate) believed: Option<Duration>,
}

impl Privacy {
    /// Opens the subject vault that goes with this state folder, once it was looked at.
    pub(crate) fn vault(&self, state: &std::path::Path, making: Making) -> Result<SubjectVault, VaultError> {
        let mut vault = self.unseen_vault(state, making)?;
        vault.look()?;
        Ok(vault)
    }

    /// The same before it was.
    pub(crate) fn unseen_vault(&self, state: &std::path::Path, making: Making) -> Result<SubjectVault, VaultError> {
        let given = GivenRoots { root: self.root.as_ref(), next: self.next_root.as_ref() };
        SubjectVault::unseen(state, &self.keeping, given, self.fields, making)
    }
}

impl Settings {
    /// The JSON Schema of `cloister.yaml`, for editors.
    pub(crate) fn schema() -> Schema {
        schemars::schema_for!(file::File)
    }
}
