use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Privacy {
    /// Erase a person from the audit log: the keys of all that is personal, and what leads from the log to the person, are
    /// destroyed for good. The log stays as it is, and every proof of it holds.
    ///
    /// It is on disk when it returns, whether or not a gateway runs; one that runs forgets the person within a second, and puts
    /// the erasure on record. Whoever comes back is somebody else in the log: take their tokens back, too, if they should not.
    /// Backups of the vault still have the keys until they expire.
    Erase {
        #[command(flatten)]
        person: Whom,
        #[command(flatten)]
        order: Ordered,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Erase a tenant with all of its persons, by destroying its key.
    OffBoard {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        order: Ordered,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the name that the audit log has for a person: `cloister audit query --sub` finds the records by it. Exit code 1: it
    /// has none.
    Hash {
        #[command(flatten)]
        person: Whom,
        #[command(flatten)]
        at: At,
    },
    /// Write all that the audit log holds of a person into an archive, with what is sealed opened, and with what proves each
    /// record. That it was handed out is on record.
    Export {
        #[command(flatten)]
        person: Whom,
        #[command(flatten)]
        order: Ordered,
        /// The archive (tar). It must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Erase again whom the log says was erased, from a vault that was put back from a backup. A gateway does not start with such
    /// a vault before.
    Mend {
        #[command(flatten)]
        at: At,
    },
    /// Put another root in the place of the one that the subject vault has: the one that the configuration names as
    /// `audit.privacy.next_root`, or one that is made now, if the root lies in the state folder. Each tenant gets another key, and each
    /// person's key is wrapped anew.
    ///
    /// All of it or nothing, whenever it is broken off, and beside gateways that run: start each of them with both roots before.
    /// Persons who are new wait meanwhile, or are answered 503; many take a while.
    RotateRoot {
        #[command(flatten)]
        order: Ordered,
    },
    /// Keep persons from being erased as long as the law demands what the log has of them.
    #[command(subcommand)]
    Hold(Hold),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Keep a person, or with no person everybody in a tenant, from being erased.
    Add {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Whose user it is.
        #[arg(long, requires = "subject")]
        issuer: Option<String>,
        /// The user (`sub`).
        #[arg(long, requires = "issuer")]
        subject: Option<String>,
        #[command(flatten)]
        order: Ordered,
    },
    /// List all holds.
    List {
        #[command(flatten)]
        at: At,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Take a hold away.
    Remove {
        /// Its number.
        id: u64,
        #[command(flatten)]
        order: Ordered,
    },
}

/// One person.
#[derive(Args, Clone, Debug)]
pub(crate) struct Whom {
    /// The tenant.
    #[arg(long)]
    pub(crate) tenant: String,
    /// Whose user it is: an issuer as the configuration calls it, and with `/` and the tenant behind it where each tenant has one
    /// of its own.
    #[arg(long)]
    pub(crate) issuer: String,
    /// The user (`sub`).
    #[arg(long)]
    pub(crate) subject: String,
}

/// Why it is done, and where.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ordered {
    /// Why. It stays in the log for good: name no person.
    #[arg(long)]
    pub(crate) reason: String,
    /// What the request for it is called in your books.
    #[arg(long, value_name = "TEXT")]
    pub(crate) request_ref: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Where.
#[derive(Args, Clone, Debug)]
pub(crate) struct At {
    /// The configuration that names the state folder, the log and the root of the vault.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
}
