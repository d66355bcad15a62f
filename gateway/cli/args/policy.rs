use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Files, Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Make a key, and print its public part: it goes into `policies.signed_by` of cloister.yaml.
    Key {
        /// What the key is called, for example policies.example.com
        #[arg(long)]
        name: String,
        /// The file for the secret part. It must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a folder of policy files: `bundle.note` in it says which files, which version, and who says so.
    Sign {
        /// The folder.
        folder: PathBuf,
        /// The file with the secret part of a key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The version. The one after that which was signed last, if it is left out.
        #[arg(long)]
        version: Option<u64>,
    },
    /// Send a signed folder to a gateway, which takes it over at once and has it at its next start, too. Exit code 1: it does not take
    /// it, and says why.
    Push {
        /// The folder.
        folder: PathBuf,
        /// The admin listener.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
        to: String,
        /// The file with its token (`admin.token` of cloister.yaml).
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
    },
    /// Say whether a folder is what was signed. Exit code 1: it is not.
    Verify {
        /// The folder.
        folder: PathBuf,
        /// A public key that counts; may be given several times.
        #[arg(long, value_name = "KEY", required = true)]
        signed_by: Vec<String>,
    },
}

/// Files to be laid out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Fmt {
    /// Files, and folders of which every `*.yaml` is taken.
    #[arg(env = "CLOISTER_POLICIES", value_name = "PATH", default_value = "policies")]
    pub(crate) paths: Vec<PathBuf>,
    /// Change nothing, and list the files that would be. Exit code 1: there are some.
    #[arg(long)]
    pub(crate) check: bool,
    /// Change nothing, and show what would be. Exit code 1: something would.
    #[arg(long)]
    pub(crate) diff: bool,
}

/// Tests of policies.
#[derive(Args, Clone, Debug)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) files: Files,
    /// List the routes and rules that no test has come to.
    #[arg(long)]
    pub(crate) coverage: bool,
    /// How many percent of routes and rules tests must come to. Exit code 1: they do not.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) min_coverage: Option<u8>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TestFormat,
}

/// How results of tests are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum TestFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For pipelines that read the XML of JUnit.
    Junit,
}

/// Two sets of policy files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Diff {
    /// A folder with policy files: those of before.
    pub(crate) old: PathBuf,
    /// Another: those to come.
    pub(crate) new: PathBuf,
    /// The configuration that both fit.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Records and a set of policy files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Replay {
    /// The folder of an audit log.
    pub(crate) log: PathBuf,
    /// A folder with policy files: those to come.
    pub(crate) new: PathBuf,
    /// Those of before: the routes of the records are looked up there.
    #[arg(long, env = "CLOISTER_POLICIES", value_name = "FOLDER", default_value = "policies")]
    pub(crate) policies: PathBuf,
    /// The configuration that both fit.
    #[arg(long, env = "CLOISTER_CONFIG", value_name = "FILE", default_value = "config/cloister.yaml")]
    pub(crate) config: PathBuf,
    /// Only this tenant.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only from this time on: RFC 3339, for example 2026-11-23T12:00:00Z, or how long ago, for example -1h
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only before this time.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// So many lines of changes at most, those with the most requests.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
