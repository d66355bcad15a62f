//! How records look where they go.

mod cef;
mod event;
mod json;
mod ocsf;

use tlog::Hash;

use crate::batch::LogId;
use crate::record::Fields;

pub(crate) use event::{Event, Severity};
pub(crate) use json::quoted;

/// How records look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rendering {
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// The exact bytes that are in the log.
    Native,
    /// The Open Cybersecurity Schema Framework, version 1.8.0, as JSON.
    Ocsf,
}

/// One record and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// In which log.
    pub log: LogId,
    /// Its place there.
    pub index: u64,
    /// The hash of its exact bytes as a leaf of the log's tree.
    pub leaf: Hash,
    /// Its exact bytes.
    pub json: &'a [u8],
}

impl Rendering {
    /// One line without its end.
    #[must_use]
    pub fn render(self, source: &Source<'_>) -> String {
        self.render_fields(source, Fields::parse(source.json).as_ref())
    }

    /// What is no record is rendered, too, as what it is.
    pub(crate) fn render_fields(self, source: &Source<'_>, fields: Option<&Fields<'_>>) -> String {
        match self {
            Self::Cef => cef::render(source, fields),
            Self::Native => String::from_utf8_lossy(source.json).into_owned(),
            Self::Ocsf => ocsf::render(source, fields),
        }
    }

    /// Whether a line is JSON.
    pub(crate) const fn is_json(self) -> bool {
        match self {
            Self::Cef => false,
            Self::Native | Self::Ocsf => true,
        }
    }
}

#[cfg(test)]
mod tests;
