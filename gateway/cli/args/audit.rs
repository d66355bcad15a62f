use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the records that fit all conditions, the newest last.
    Query(Query),
    /// Print records as they come, until interrupted.
    #[command(visible_alias = "follow")]
    Tail(Tail),
    /// Make the index that queries are answered by, as far as it is missing. A gateway that runs does that by itself.
    Index(Index),
    /// Make a report of one tenant in a span: for people, machines and spreadsheets, with what an auditor needs to check it.
    Report(Report),
    /// Check every byte of the log: frames, order, one final record per request, and that the records are those that its
    /// checkpoint was signed for. With `--proof`, check one record by its receipt alone, without the log.
    Verify(Verify),
    /// Have a gateway that runs read all of the log again. One that serves no more since it has found the log to be another one
    /// serves again if every byte is what was signed for, as often in a row as it was found otherwise. Exit code 1: it is not.
    Recheck {
        /// Why: it is on record, whatever comes of it.
        #[arg(long)]
        reason: String,
        /// Only the log of this retention class. Without it, all logs that are there.
        #[arg(long, value_name = "NAME")]
        class: Option<String>,
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
    },
    /// Print the newest checkpoint of the log: how many records it has, the root over them, and who has signed that.
    Checkpoint {
        #[command(flatten)]
        log: Log,
    },
    /// Print the trust policy for auditors: the public key of this gateway's log (C2SP tlog-policy). Give it to them before
    /// they need it, on another way than the log.
    Trust {
        /// The configuration that names the state folder.
        #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
        config: PathBuf,
    },
    /// Say how far the machine's clock is ahead of the time that has passed while the gateway could see it pass, and that it is
    /// right all the same.
    Clock(Clock),
    /// Print the receipt of a record (C2SP tlog-proof), to be verified by anybody who has the record and the public key.
    Proof(Proof),
}

/// Which log.
#[derive(Args, Clone, Debug)]
pub(crate) struct Log {
    /// The folder of the log. Without it, the one that the configuration names.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// The configuration that names the folder.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
    /// Only the log of this retention class, for example default. Without it, all logs that are there.
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,
}

/// Which records.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only this tenant.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only this subject, as the token names it. The log has other names for it, so this must be able to read the log's key and,
    /// for records of members, to open the subject vault.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only this subject, as the records hide it, for example x_D2W6lb2Esp597lxw
    #[arg(long, conflicts_with = "subject")]
    pub(crate) sub: Option<String>,
    /// Only what came with this API key, by what it is called.
    #[arg(long, value_name = "ID")]
    pub(crate) api_key: Option<String>,
    /// Only this reason, for example tenant.mismatch
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Only this route.
    #[arg(long)]
    pub(crate) route: Option<String>,
    /// Only this status.
    #[arg(long)]
    pub(crate) status: Option<u16>,
    /// Only what was allowed, or denied.
    #[arg(long, value_enum)]
    pub(crate) decision: Option<Decision>,
    /// Only what no role granted, and its caller justified.
    #[arg(long)]
    pub(crate) break_glass: bool,
    /// Only this request.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Only records about the gateway itself of this kind, for example tokens.revoked
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only from this time on: RFC 3339, for example 2026-11-23T12:00:00Z, or how long ago, for example -1h
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only before this time.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Every record, also those about the gateway itself and the decisions of strict routes.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Decision {
    Allow,
    Deny,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most so many, the latest of them, or `all`.
    #[arg(long, default_value = "100")]
    pub(crate) limit: Limit,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Records,
}

/// How many records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limit(pub(crate) Option<usize>);

impl std::str::FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(None)),
            number => match number.parse() {
                Ok(0) | Err(_) => Err("a limit is a number from 1 on, or `all`"),
                Ok(number) => Ok(Self(Some(number))),
            },
        }
    }
}

impl Query {
    /// The latest records of a log, as text.
    pub(crate) fn latest(log: Log, limit: usize) -> Self {
        Self { log, filter: Filter::default(), limit: Limit(Some(limit)), format: Records::Table }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Go on as records come: it always does.
    #[arg(long, short, hide = true)]
    pub(crate) follow: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Records,
}

/// How to print records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Records {
    /// For spreadsheets (RFC 4180). A text that a spreadsheet would take for a formula has an apostrophe before it.
    Csv,
    /// For machines: each record as it is in the log, one per line.
    Json,
    /// For people: aligned columns.
    #[default]
    #[value(alias = "text")]
    Table,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Index {
    #[command(flatten)]
    pub(crate) log: Log,
    /// Read all records that are indexed, and say whether the index says of each what it says itself.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Clock {
    /// The configuration that names the state folder.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
    /// It is right: the gateway that runs, or the next that starts, takes the time from it, and puts on record who said so.
    /// Records whose time is over by that are removed within a day.
    #[arg(long, requires = "reason")]
    pub(crate) accept: bool,
    /// Why it is: it goes on record.
    #[arg(long, value_name = "TEXT", requires = "accept")]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) log: Log,
    /// Who must have signed the checkpoint: a file as `cloister audit trust` prints it. Without it, and without `--dir`, it is
    /// the key in the state folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Say for each tenant which of its records are there: first, last, how many, and that none is missing between them; and
    /// for each time that a gateway wrote the log, how many requests came in and how many of them are on record.
    #[arg(long)]
    pub(crate) complete: bool,
    /// A checkpoint of this log that was kept, as `cloister audit checkpoint` prints it. What it covers is shown to be the
    /// beginning of the log by the tiles, and is not read again: for a look every day at a log that is read whole once in a while.
    /// Of several logs, once for each: those of which there is none are read whole.
    #[arg(long, value_name = "CHECKPOINT", conflicts_with_all = ["proof", "record", "bundle", "complete"])]
    pub(crate) from: Vec<PathBuf>,
    /// The receipt of one record; nothing of the log is looked at.
    #[arg(long, value_name = "FILE", requires = "record", requires = "policy")]
    pub(crate) proof: Option<PathBuf>,
    /// The record of that receipt, byte for byte.
    #[arg(long, value_name = "FILE", requires = "proof")]
    pub(crate) record: Option<PathBuf>,
    /// A report with its proofs, as `cloister audit report` makes it; nothing of the log is looked at.
    #[arg(long, value_name = "FOLDER", requires = "policy", conflicts_with_all = ["proof", "record", "complete"])]
    pub(crate) bundle: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) log: Log,
    /// Of which tenant. Nothing of any other is in it.
    #[arg(long)]
    pub(crate) tenant: String,
    /// From this time on: RFC 3339, for example 2026-11-23T12:00:00Z, or how long ago, for example -30d
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) from: String,
    /// Before this time; now, if it is left out.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Where it is written: a folder that is made, or is empty.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Who must have signed the checkpoint. Without it, it is the key in the state folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Proof {
    #[command(flatten)]
    pub(crate) log: Log,
    /// The final record of this request.
    #[arg(long, conflicts_with = "index", required_unless_present = "index")]
    pub(crate) id: Option<String>,
    /// The record at this place; the first has 0.
    #[arg(long)]
    pub(crate) index: Option<u64>,
    /// Writes receipt and record into this folder, as `<index>.tlog-proof` and `<index>.json`, instead of printing the
    /// receipt.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Witness {
    /// Print the public key of the witness, which is made if there is none: for `audit.witnesses` and for auditors.
    Key {
        /// Where the key lies, and what the witness has seen.
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
        /// What it is called, for example a URL without its scheme. It cannot be changed later.
        #[arg(long)]
        name: String,
    },
    /// Sign the checkpoints of these logs, as long as each goes on from the one before it.
    Run {
        /// Where the key lies, and what the witness has seen.
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
        /// Where it listens. Put something in front that speaks TLS, if logs are to reach it from elsewhere.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9911")]
        listen: std::net::SocketAddr,
        /// Whose checkpoints: a file as `cloister audit trust` prints it.
        #[arg(long, value_name = "FILE")]
        logs: PathBuf,
    },
}
