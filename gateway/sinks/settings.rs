use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use terms::{Clock, TenantId};

use crate::render::Rendering;
use crate::sink::Sink;
use crate::sink::file::{FileSink, StdoutSink};
use crate::sink::http::{Http, HttpSink};
use crate::sink::nats::{Nats, NatsSink};
use crate::sink::otlp::{Otlp, OtlpSink};
use crate::sink::postgresql::PostgresqlSink;
use crate::sink::s3::{Lock, S3, S3Sink};
use crate::sink::syslog::{Acknowledged, Syslog, SyslogSink};

/// One sink.
#[derive(Debug)]
pub struct Settings {
    /// What it is called, in metrics and in the state folder.
    pub name: Name,
    /// How records look there.
    pub rendering: Rendering,
    /// Whose records go there; everybody's and the log's own, if nobody is named.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// How much goes there at once.
    pub limits: Limits,
    /// Where it begins in a log that it has not seen.
    pub start: Start,
    /// What becomes of a record that it will not take.
    pub refused: OnRefusal,
    /// Where the records go.
    pub target: Target,
}

/// How much is delivered at once, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most so many records.
    pub records: usize,
    /// At most so many bytes, unless a single record has more.
    pub bytes: usize,
    /// How long the first of them waits for others.
    pub wait: Duration,
    /// How long one delivery may take.
    pub timeout: Duration,
}

/// Where a sink begins in a log that it has not seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// With the first record that there is.
    First,
    /// With what comes from now on.
    Now,
}

/// What becomes of a record that is refused for what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnRefusal {
    /// The sink waits until somebody has looked at it.
    Hold,
    /// The record goes to a file beside the cursor, and the sink goes on.
    SetAside,
}

/// Where records go.
#[derive(Debug)]
pub enum Target {
    /// To a file, a line each.
    File(PathBuf),
    /// To a server, as `CloudEvents`.
    Http(Http),
    /// To a stream of NATS.
    Nats(Nats),
    /// To a collector of OpenTelemetry.
    Otlp(Otlp),
    /// To a table of a database.
    Postgresql(Arc<directory::Server>),
    /// To a store of objects.
    S3(S3),
    /// To standard output, a line each.
    Stdout,
    /// To a collector of syslog.
    Syslog(Syslog),
}

impl Target {
    /// The settings that weaken what the sink promises.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<&'static str> {
        let is_open = match self {
            Self::File(_) | Self::Stdout => false,
            Self::Http(http) => http.endpoint.is_open_to_all(),
            Self::Nats(nats) => nats.server.is_open_to_all(),
            Self::Otlp(otlp) => otlp.endpoint.is_open_to_all(),
            Self::Postgresql(server) => server.is_open_to_all(),
            Self::S3(s3) => s3.endpoint.is_open_to_all(),
            Self::Syslog(syslog) => syslog.server.is_open_to_all(),
        };
        let is_unacknowledged = matches!(self, Self::Syslog(it) if it.acknowledged == Acknowledged::BySending);
        let is_governed = matches!(self, Self::S3(s3) if s3.lock == Lock::Governance);
        let all = [
            (is_open, "insecure_plaintext"),
            (is_unacknowledged, "insecure_unacknowledged"),
            (is_governed, "insecure_governance"),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, name)| name).collect()
    }

    pub(crate) fn open(&self, rendering: Rendering, clock: &Arc<dyn Clock>) -> Box<dyn Sink> {
        let clock = Arc::clone(clock);
        match self {
            Self::File(path) => Box::new(FileSink::new(path.clone())),
            Self::Http(http) => Box::new(HttpSink { http: http.clone(), rendering, clock }),
            Self::Nats(nats) => Box::new(NatsSink { nats: nats.clone(), open: None }),
            Self::Otlp(otlp) => Box::new(OtlpSink { otlp: otlp.clone(), clock }),
            Self::Postgresql(server) => Box::new(PostgresqlSink { server: Arc::clone(server), open: None }),
            Self::S3(s3) => Box::new(S3Sink { s3: s3.clone(), clock }),
            Self::Stdout => Box::new(StdoutSink),
            Self::Syslog(syslog) => Box::new(SyslogSink { syslog: syslog.clone(), open: None }),
        }
    }
}

/// What a sink is called: part of the name of a file, and the value of a label.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name(Arc<str>);

/// Not the name of a sink.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a sink has 1 to 32 small letters, digits and `-`, and begins with a letter")]
pub struct InvalidName;

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let good = plain && text.len() <= 32 && text.starts_with(|first: char| first.is_ascii_lowercase());
        if good { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_sink_is_one_of_a_file() {
        for (text, good) in
            [("siem", true), ("a-1", true), ("", false), ("../x", false), ("Siem", false), ("1a", false)]
        {
            assert_eq!(text.parse::<Name>().is_ok(), good, "{text}");
        }
        assert!("a".repeat(33).parse::<Name>().is_err());
    }
}
