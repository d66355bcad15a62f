//! Where records go.

pub(crate) mod endpoint;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod otlp;
pub(crate) mod postgresql;
pub(crate) mod s3;
pub(crate) mod sigv4;
pub(crate) mod stream;
pub(crate) mod syslog;

use std::time::Duration;

use futures::future::BoxFuture;

use crate::batch::Batch;

/// What becomes of a delivery.
pub(crate) type Delivery<'a> = BoxFuture<'a, Result<(), SinkError>>;

/// Takes records to one place.
pub(crate) trait Sink: Send {
    /// Delivers a batch, in order. All of it is safe there once this is `Ok`. A delivery may be given up at any time: it is
    /// not known then what has arrived, and the batch comes again.
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a>;
}

/// Why records were not delivered.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct SinkError {
    pub(crate) class: Class,
    pub(crate) what: String,
    /// How long whoever takes them asks us to wait.
    pub(crate) after: Option<Duration>,
    /// How many of the batch, from its first on, are safe there all the same.
    pub(crate) delivered: usize,
}

/// What kind of failure it was: a label of the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// It is there, and cannot take more now.
    Busy,
    /// Where the sink stands in the log is not to be believed.
    Cursor,
    /// It does not let us in, or does not know what we ask for: somebody has to put the settings right.
    Denied,
    /// No answer in time.
    Late,
    /// A file of this machine.
    Local,
    /// The log cannot be read.
    Log,
    /// It takes others, but not what this says.
    Refused,
    /// Nobody is there.
    Unreachable,
}

impl Class {
    pub(crate) const ALL: [Self; 8] =
        [Self::Busy, Self::Cursor, Self::Denied, Self::Late, Self::Local, Self::Log, Self::Refused, Self::Unreachable];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Cursor => "cursor",
            Self::Denied => "denied",
            Self::Late => "late",
            Self::Local => "local",
            Self::Log => "log",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

impl SinkError {
    pub(crate) fn new(class: Class, what: impl Into<String>) -> Self {
        Self { class, what: what.into(), after: None, delivered: 0 }
    }

    /// An error with its causes.
    pub(crate) fn of(class: Class, what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(class, format!("{what}: {}", terms::chain(error)))
    }
}
