use terms::Reason;

use crate::Connection;

/// Hears of each attempt at a request that never became one, so that it is on record like any other.
pub trait Unparsed: Send + Sync {
    /// Called once for each attempt, at the latest when its connection is gone. Must not block.
    fn unparsed(&self, connection: &Connection, why: UnparsedWhy);
}

/// Why bytes on a connection never became a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UnparsedWhy {
    /// The parser could make nothing of them, and said so to the client.
    Garbage,
    /// The head was not whole in time.
    HeadTimeout,
    /// The head was longer than is looked at.
    HeadTooLarge,
    /// The connection ended in the middle of a head.
    Incomplete,
    /// A stream of HTTP/2 that was reset or answered before it was a request.
    RefusedStream,
}

impl UnparsedWhy {
    /// The word for records and metrics.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Garbage | Self::Incomplete | Self::RefusedStream => Reason::RequestUnparsed,
            Self::HeadTimeout => Reason::RequestTimeout,
            Self::HeadTooLarge => Reason::RequestHeadTooLarge,
        }
    }
}
