use std::fmt;
use std::process::ExitCode;

use terms::Findings;

use crate::log_fault::LogFault;

/// Why a command did not say yes.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was done, and the answer is no; what is wrong has been printed.
    No,
    /// A hold forbids it.
    Held(String),
    /// Files that a user wrote are not as they must be.
    Findings(Findings),
    /// Files are not as they must be; what is wrong has been printed.
    Listed,
    /// Something else is not as it must be before the command can start.
    Setup(String),
    /// An audit log is not as it must be. What is wrong is said here, or has been printed.
    Log(LogFault, Option<String>),
    /// Something broke while it ran.
    Broke(String),
}

impl Failure {
    /// A failure of the set-up, with all causes of the error on one line.
    pub(crate) fn setup(what: impl fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Setup(format!("{what}: {}", terms::chain(error)))
    }

    /// A failure while running, with all causes of the error on one line.
    pub(crate) fn broke(what: impl fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Broke(format!("{what}: {}", terms::chain(error)))
    }

    /// What it says, for logs.
    pub(crate) fn as_text(&self) -> &str {
        match self {
            Self::Setup(text) | Self::Broke(text) | Self::Held(text) | Self::Log(_, Some(text)) => text,
            Self::Findings(_) | Self::Listed | Self::Log(_, None) | Self::No => "it has been said",
        }
    }

    /// The exit code, as the help text lists them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::No => 1,
            Self::Findings(_) | Self::Listed | Self::Setup(_) => 2,
            Self::Broke(_) => 3,
            Self::Held(_) => 4,
            Self::Log(fault, _) => fault.code(),
        })
    }
}

impl From<Findings> for Failure {
    fn from(findings: Findings) -> Self {
        Self::Findings(findings)
    }
}
