use std::fmt;

use tlog::Hash;

use crate::render::Severity;

/// What names a log for good: 32 hexadecimal digits as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogId(pub [u8; 16]);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// One record on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its place in the log.
    pub(crate) index: u64,
    /// The hash of its exact bytes as a leaf of the log's tree.
    pub(crate) leaf: Hash,
    /// When it happened, in milliseconds since the Unix epoch; 0 if the record does not say.
    pub(crate) millis: u64,
    /// What kind of thing happened: the reason of a request, the kind of the log's own.
    pub(crate) event: String,
    /// Whose it is, if it is one tenant's.
    pub(crate) tenant: Option<String>,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// The W3C trace that it belongs to, in hexadecimal digits.
    pub(crate) trace: Option<String>,
    /// As the sink wants it: one line without its end.
    pub(crate) text: String,
}

impl Item {
    /// How much it adds to a batch.
    pub(crate) const fn bytes(&self) -> usize {
        self.text.len() + 1
    }
}

/// Records that follow each other, though some in between may not be wanted.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) log: LogId,
    pub(crate) items: Vec<Item>,
}

impl Batch {
    /// The first and the last index. `None`, if there is nothing in it.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        Some((self.items.first()?.index, self.items.last()?.index))
    }

    /// What names this batch wherever it comes to: the log, and which records of it.
    pub(crate) fn name(&self) -> String {
        let (first, last) = self.range().unwrap_or_default();
        format!("{}:{first}-{last}", self.log)
    }
}
