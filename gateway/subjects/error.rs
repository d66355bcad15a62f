use std::io;
use std::path::PathBuf;

use terms::Surrogate;

use crate::files::RootError;
use crate::{ShelfError, Unsealable};

/// Why the vault cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A row does not open.
    #[error("the subject vault holds a key that does not open: {0}")]
    Damaged(Surrogate, #[source] Unsealable),
    /// A file beside the vault cannot be used.
    #[error("`{}` cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// It is another vault than before.
    #[error(
        "{} is not the vault that was made with this state folder: put that back, or remove `{}` if this one is to be used, which does not know whom the log speaks of",
        .0, .1.display()
    )]
    Foreign(String, PathBuf),
    /// It was there, and is not any more.
    #[error(
        "{} is gone, and with it whom the log speaks of: put it back from a backup, or remove `{}` to begin with an empty one, which erases everybody in the log for good",
        .0, .1.display()
    )]
    Gone(String, PathBuf),
    /// There has never been one.
    #[error("{0} is not there: the gateway that makes it has never started with this state folder")]
    Missing(String),
    /// There is no root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Cryptography failed.
    #[error("nothing can be sealed for the subject vault")]
    Sealing(#[from] Unsealable),
    /// It is as it was before somebody was erased.
    #[error(
        "{place} was set back: something was destroyed in it {destroyed} times, and {known} times by what `{}` says. Whoever was erased since is in it again: take a later backup, or run `cloister privacy mend`, which erases again whom the log says was erased", .seen.display()
    )]
    SetBack {
        /// The vault.
        place: String,
        /// What knows better.
        seen: PathBuf,
        /// As the vault says.
        destroyed: u64,
        /// As it was known.
        known: u64,
    },
    /// What keeps the rows says so.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// There is no next root.
    #[error(
        "nothing says which root comes next: give another one as `audit.privacy.next_root`, and start each gateway with it before"
    )]
    NoNext,
    /// Somebody else rotates the root.
    #[error("the root of the vault in `{}` is being rotated", .0.display())]
    Rotating(PathBuf),
    /// Keys come and go, or one is damaged.
    #[error("keys of tenants do not open, or were destroyed again and again while one was made with them")]
    Unsettled,
    /// The root does not open it.
    #[error("the root does not open {0}: it was made with another one, which must be given as `audit.privacy.root`")]
    WrongRoot(String),
}

impl VaultError {
    /// Whether somebody has to put it right, so that waiting does not help.
    #[must_use]
    pub const fn is_to_be_mended(&self) -> bool {
        match self {
            Self::Shelf(error) => error.is_to_be_mended(),
            Self::Rotating(_) | Self::Unsettled => false,
            Self::Damaged(..)
            | Self::File(..)
            | Self::Foreign(..)
            | Self::Gone(..)
            | Self::Missing(_)
            | Self::NoNext
            | Self::Root(_)
            | Self::Sealing(_)
            | Self::SetBack { .. }
            | Self::WrongRoot(_) => true,
        }
    }
}
