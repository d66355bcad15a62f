use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::log_fault;
use crate::which::Which;

mod audit;
mod policy;
mod privacy;

pub(crate) use audit::{
    Audit, Clock, Decision, Filter, Index, Limit, Log, Proof, Query, Records, Report, Tail, Verify, Witness,
};
pub(crate) use policy::{Bundle, Diff, Fmt, Replay, Test, TestFormat};
pub(crate) use privacy::{At, Hold, Ordered, Privacy, Whom};

/// Cloister: a security gateway for multi-tenant SaaS.
///
/// It verifies who asks, keeps tenants apart, enforces roles and limits, tells your backends in one signed header who is
/// there, and records every decision.
#[derive(Debug, Parser)]
#[command(name = "cloister", version, max_term_width = 100, after_help = format!("{EXIT_CODES}{}", log_fault::HELP))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and the answer is yes
  1  done, and the answer is no: a policy test failed, policies differ, the log does not verify, a tour step went wrong
  2  not done: the command line, a file or the environment is not as it must be; each finding is on standard error
  3  not done: something broke while running
  4  not done: a hold forbids to erase whom it is about

";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Run(Run),
    /// Run a whole small world on loopback: issuer, tenants, users, two backends and the gateway.
    Demo(Demo),
    /// Check configuration, policies and policy tests, and say all that is wrong with its place.
    Check(Check),
    /// Run the tests that stand in the policy files, and say which rules none of them has decided by.
    Test(Test),
    /// Say what in the policy files is allowed to be written and hardly ever meant. Exit code 1: there is something.
    Lint(Check),
    /// Say how one request would be decided, and which rules were asked in which order.
    Explain(Explain),
    /// Say what another set of policy files would change: who gains what, who loses what, and what else differs. Exit code 1:
    /// something does.
    ///
    /// Every kind of request that either set tells from others is looked at with every role, everybody and every service.
    Diff(Diff),
    /// Lay policy files out in one way: two spaces for each level, an empty line before each section. Words, comments, quotes and
    /// the order of everything stay as they are.
    Fmt(Fmt),
    /// Sign folders of policy files, so that a gateway takes no others.
    #[command(subcommand)]
    Bundle(Bundle),
    /// Make recorded decisions again by another set of policy files: what would be newly allowed, what newly denied, for whom.
    /// Exit code 1: something would be.
    ///
    /// What a record does not say (paths, claims) is not guessed: such requests are counted as unknown, with the reason. Tokens
    /// that were taken back, limits and backends stay as they were.
    Replay(Replay),
    /// Print the JSON Schema of a file format.
    Schema {
        /// Which one.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Read the audit log, and show what it proves.
    #[command(subcommand)]
    Audit(Audit),
    /// Witness the logs of others, on another host than theirs (C2SP tlog-witness).
    #[command(subcommand)]
    Witness(Witness),
    /// See the keys that sign what backends receive, and let them take turns.
    #[command(subcommand)]
    Keys(Keys),
    /// Take tokens back before their time, and see which are.
    #[command(subcommand)]
    Revocations(Revocations),
    /// Make, list, replace and take back API keys.
    #[command(subcommand)]
    ApiKey(ApiKey),
    /// Say what the audit log holds of a person, erase persons from it, and keep them from being erased.
    ///
    /// The keys are in the state folder, so this runs where the gateway does, as its user.
    #[command(subcommand)]
    Privacy(Privacy),
    /// Ask a URL and exit 0 if the answer is 2xx: a health check for images that have no curl.
    Probe {
        /// For example http://127.0.0.1:9901/readyz
        url: String,
    },
    /// Print a completion script for your shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Where the files are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Files {
    /// Where it runs: listeners, issuers, upstreams, audit.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
    /// What is allowed: a folder, of which every `*.yaml` is read.
    #[arg(long, env = "CLOISTER_POLICIES", value_name = "FOLDER", default_value = "policies")]
    pub(crate) policies: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Take over from the process that runs with the same state folder, without a request failing: its sockets, then its
    /// audit log. Send it SIGQUIT before or after; each waits a minute for the other. If this process does not come to
    /// serve, that one goes on.
    #[arg(long)]
    pub(crate) upgrade: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Ask Vault for its values, too, as a start does.
    #[arg(long)]
    pub(crate) vault: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// Make some twenty requests, show each decision, query and verify the log, and exit.
    #[arg(long)]
    pub(crate) tour: bool,
    /// Where the gateway listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) bind: SocketAddr,
    /// Where the admin listener listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    pub(crate) admin: SocketAddr,
    /// Where keys and the audit log are kept. Without it, in a temporary folder that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
    /// The policies to run with. Without it, the example set that is built in.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) policies: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The method, for example GET.
    pub(crate) method: String,
    /// The whole URL, for example http://acme.localhost/api/orders
    pub(crate) url: String,
    /// The tenant that the token names.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The roles that the token names, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// The subject of the token.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Which issuer the token is from; by default the first that the route accepts.
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// What the API key is called that comes in place of a token: what is kept of it is shown. The key itself is not asked for.
    #[arg(long, value_name = "ID", conflicts_with_all = ["tenant", "roles", "user", "issuer", "bound_to", "acr", "amr", "age"])]
    pub(crate) api_key: Option<String>,
    /// What the token is bound to, which the client shows: `certificate`, `dpop`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) bound_to: Vec<String>,
    /// How sure the issuer is of the user (`acr`).
    #[arg(long)]
    pub(crate) acr: Option<String>,
    /// By what means the user has proven itself (`amr`), separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) amr: Vec<String>,
    /// How long ago (`auth_time`), for example 5m.
    #[arg(long)]
    pub(crate) age: Option<String>,
    /// What the token may be used for (`scope`), separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) scopes: Vec<String>,
    /// A claim of the token, by its name under `claims` in cloister.yaml: `seats=7`; may be given several times.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// A header field: `X-Justification: why`; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// The client's address; without it, lists of clients are not asked.
    #[arg(long)]
    pub(crate) from: Option<std::net::IpAddr>,
    /// When it comes, for example 2026-11-27T09:30:00Z; now, if it is left out.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKey {
    /// Make a key, and print it: this once.
    ///
    /// What is kept of it is in the state folder, so this runs where the gateway does, as its user or as root.
    Create {
        #[command(flatten)]
        key: NewKeyArguments,
        #[command(flatten)]
        files: Files,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List all keys, also those that have expired or were taken back.
    List {
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Make a key in place of another, which stays good for a while, so that nobody is refused who still has it.
    Rotate {
        /// What the old key is called.
        id: String,
        /// For how long the old key stays good, at most.
        #[arg(long, value_name = "SPAN", default_value = "24h")]
        overlap: String,
        /// How long the new key is good; as long as the old one was, if it is left out.
        #[arg(long, value_name = "SPAN")]
        expires: Option<String>,
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Take a key back: it is refused within a second, and what runs under it ends.
    Revoke {
        /// What it is called.
        id: String,
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
    },
}

/// What a new key is for.
#[derive(Args, Clone, Debug)]
pub(crate) struct NewKeyArguments {
    /// The tenant that it acts for.
    #[arg(long)]
    pub(crate) tenant: String,
    /// Who uses it, for example `ci`: backends see `tenant/name` as the user. It stays the same when the key is replaced.
    #[arg(long)]
    pub(crate) name: String,
    /// What it is there, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) roles: Vec<String>,
    /// How long it is good, for example 90d. Until it is taken back, if it is left out.
    #[arg(long, value_name = "SPAN")]
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Revocations {
    /// Take tokens back: they are refused within a second, and what runs under them ends.
    ///
    /// It is kept in the state folder, so this runs where the gateway does, as its user or as root. On disk when it
    /// returns, whether or not a gateway runs.
    Add {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        files: Files,
    },
    /// List what is taken back here. Policy files (`revoked:`) may take back more.
    List {
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Let tokens be good again that were taken back in just this way. A time (`--before`) need not be given again for a user.
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        files: Files,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Print a key of one upstream that comes of the root: that of its signatures, or that of its database. It is a secret: give it to
    /// that backend and to nobody else.
    Derive {
        /// The name of the upstream.
        upstream: String,
        /// What the key is for.
        #[arg(long, value_enum, default_value_t)]
        of: DerivedFor,
        /// The configuration that names the root.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
    },
    /// Show each key: its name, its algorithm, and where it is in its life. Nothing of the keys themselves.
    List {
        /// The configuration that names the folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Let the next key sign from now on, before its time. Gateways that run take it over within seconds; the key before
    /// stays published until its last assertion has expired. Exit code 1: backends may not know the next key yet. With `--set
    /// log`, a new key signs the checkpoints of the audit log, beside the one before for a while; whoever trusts that one can
    /// find the new one in the log. If no gateway runs, the next start does it.
    Rotate {
        /// Which keys.
        #[arg(long, value_enum, default_value_t)]
        set: KeySet,
        /// The configuration that names the folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
        /// The key that signs has leaked: it is not published any more, from this moment on, and the next one signs whether
        /// backends know it or not. Requests may be refused until they have fetched the keys again. Of the log: it signs no
        /// more as soon as the log says so, and whatever else it signs from then on is not believed.
        #[arg(long)]
        withdraw: bool,
        /// Only the key of the log of this retention class. Without it, those of all logs that are there: each has its own.
        #[arg(long, value_name = "NAME")]
        class: Option<String>,
    },
}

/// What a key of an upstream is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum DerivedFor {
    /// Contexts for its database.
    Database,
    /// Signatures of requests.
    #[default]
    Signature,
}

/// Keys of one purpose.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum KeySet {
    /// Those that sign assertions.
    #[default]
    Assertion,
    /// Those that sign the checkpoints of the audit log.
    Log,
    /// Those that sign requests, for backends with `signature: ecdsa-p256-sha256` or `ed25519`.
    Signature,
}

impl KeySet {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Log => "log",
            Self::Signature => "signature",
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns.
    #[default]
    Text,
    /// For machines: one JSON document, or one per line where there are many records.
    Json,
}

/// A file format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// cloister.yaml
    Config,
    /// Files in policies/
    Policy,
    /// A record of the audit log.
    Record,
    /// report.json of `cloister audit report`.
    Report,
}
