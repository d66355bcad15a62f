//! Where the records of the audit log go besides.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteCount, Span};
use yaml::At;

/// One place where the records of the audit log go besides: in order, each at least once, from where it stopped. It says
/// what it is by one of the keys `file`, `http`, `nats`, `otlp`, `postgresql`, `s3`, `stdout` and `syslog`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    /// What it is called, in metrics and in the state folder. Another name is another sink, which begins anew.
    pub(crate) name: At<String>,
    /// How records look there: `native` if it is left out.
    #[serde(default)]
    pub(crate) rendering: Option<At<Rendering>>,
    /// The tenants whose records go there, and nothing else. Everybody's and the log's own, if it is left out.
    #[serde(default)]
    pub(crate) tenants: Option<At<Vec<At<String>>>>,
    /// Where it begins in a log that it has not seen.
    #[serde(default)]
    pub(crate) start: Start,
    /// What becomes of a record that is refused for what it says.
    #[serde(default)]
    pub(crate) refused: OnRefusal,
    /// How much goes there at once.
    #[serde(default)]
    pub(crate) batch: Batch,
    /// How long one delivery may take: `30s` if it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) timeout: Option<At<Span>>,
    /// To a file, a line for each record.
    #[serde(default)]
    pub(crate) file: Option<At<ToFile>>,
    /// To a server, as batches of `CloudEvents`.
    #[serde(default)]
    pub(crate) http: Option<At<ToHttp>>,
    /// To a stream of NATS `JetStream`, a message for each record.
    #[serde(default)]
    pub(crate) nats: Option<At<ToNats>>,
    /// To a collector of OpenTelemetry, as log records.
    #[serde(default)]
    pub(crate) otlp: Option<At<ToOtlp>>,
    /// To a table of a PostgreSQL (14 or later) that is only added to: config/postgresql/audit.sql makes it.
    #[serde(default)]
    pub(crate) postgresql: Option<At<ToPostgresql>>,
    /// To a store that speaks S3 and has Object Lock, an object for each batch.
    #[serde(default)]
    pub(crate) s3: Option<At<ToS3>>,
    /// To a collector of syslog (RFC 5424).
    #[serde(default)]
    pub(crate) syslog: Option<At<ToSyslog>>,
    /// To standard output, a line for each record: `{}`.
    #[serde(default)]
    pub(crate) stdout: Option<At<ToStdout>>,
}

/// How records look.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rendering {
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// The exact bytes that are in the log.
    Native,
    /// The Open Cybersecurity Schema Framework, version 1.8.0, as JSON.
    Ocsf,
}

/// Where a sink begins in a log that it has not seen.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    /// With the first record that there is.
    #[default]
    First,
    /// With what comes from now on.
    Now,
}

/// What becomes of a record that is refused for what it says.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnRefusal {
    /// The sink waits until somebody has looked at it.
    #[default]
    Hold,
    /// The record goes to `sinks/<log>.<name>.refused` in the state folder, and the sink goes on.
    SetAside,
}

/// How much goes to a sink at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Batch {
    /// At most so many records: from 1 to 10000.
    pub(crate) records: Option<At<u32>>,
    /// At most so many bytes: from 16KiB to 16MiB.
    #[schemars(with = "Option<String>")]
    pub(crate) bytes: Option<At<ByteCount>>,
    /// How long the first of them waits for others: from 10ms to 1h.
    #[schemars(with = "Option<String>")]
    pub(crate) wait: Option<At<Span>>,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToFile {
    /// Where it is. It is made if it is not there, readable for its owner alone, and made again after it was moved away.
    pub(crate) path: At<String>,
}

/// Standard output.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToStdout {}

/// A server that takes `CloudEvents`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToHttp {
    /// Where they are posted to: `https://…`; `http://` on this machine.
    pub(crate) url: At<String>,
    /// A reference to the key that signs them as Standard Webhooks does: at least 24 bytes, or `whsec_` and base64.
    #[serde(default)]
    pub(crate) key: Option<At<String>>,
    /// A reference to the value of the field `Authorization`: `Bearer …`.
    #[serde(default)]
    pub(crate) authorization: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Use `http://` over the network, too, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: bool,
}

/// A NATS whose `JetStream` has a stream that listens to the subject.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToNats {
    /// Where it is: `host:port`. TLS, but on this machine.
    pub(crate) address: At<String>,
    /// What the stream listens to.
    pub(crate) subject: At<String>,
    /// Who we are there.
    #[serde(default)]
    pub(crate) user: Option<At<String>>,
    /// A reference to the password; without a user, to a token.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Do without TLS over the network, too, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: Option<At<bool>>,
}

/// A collector of OpenTelemetry (OTLP over HTTP, in JSON).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToOtlp {
    /// Where records are posted to: `https://…:4318/v1/logs`; `http://` on this machine.
    pub(crate) url: At<String>,
    /// A reference to the value of the field `Authorization`: `Bearer …`.
    #[serde(default)]
    pub(crate) authorization: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Use `http://` over the network, too, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: bool,
}

/// A PostgreSQL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToPostgresql {
    /// Where it is: `host:port`, or the path of its socket. Of several, the first that answers and is no standby.
    pub(crate) addresses: At<Vec<At<String>>>,
    /// The database's name.
    pub(crate) database: At<String>,
    /// The role that adds rows and can do nothing else: `cloister_audit_writer` if it is left out.
    #[serde(default)]
    pub(crate) user: Option<At<String>>,
    /// A reference to its password.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Connect over the network without TLS, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: Option<At<bool>>,
}

/// A store that speaks S3.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToS3 {
    /// Where it is, without a bucket: `https://s3.eu-central-1.amazonaws.com`; `http://` on this machine.
    pub(crate) url: At<String>,
    /// The region that requests are signed for.
    pub(crate) region: At<String>,
    /// The bucket, which has Object Lock.
    pub(crate) bucket: At<String>,
    /// What the names of all objects begin with: `audit/`.
    #[serde(default)]
    pub(crate) prefix: Option<At<String>>,
    /// What the key is called that signs.
    pub(crate) access_key: At<String>,
    /// A reference to the key that signs.
    pub(crate) secret_key: At<String>,
    /// For how long nobody may change or delete an object: from 1d to 36500d.
    #[schemars(with = "String")]
    pub(crate) retain: At<Span>,
    /// Who may do so all the same.
    #[serde(default)]
    pub(crate) lock: Lock,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Use `http://` over the network, too, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: bool,
}

/// Who may change an object before its time.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lock {
    /// Nobody, whoever they are.
    #[default]
    Compliance,
    /// Who has a right of its own for that.
    InsecureGovernance,
}

/// A collector of syslog.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToSyslog {
    /// Where it is: `host:port`. TLS (RFC 5425), but on this machine.
    pub(crate) address: At<String>,
    /// The facility, from 0 to 23: 13, that of audit logs, if it is left out.
    #[serde(default)]
    pub(crate) facility: Option<At<u32>>,
    /// Count as delivered what was sent, with a receiver that does not close its side of a connection: what it had not read
    /// when it died is lost.
    #[serde(default)]
    pub(crate) insecure_unacknowledged: bool,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Do without TLS over the network, too, where everybody in between reads and changes what is on record.
    #[serde(default)]
    pub(crate) insecure_plaintext: Option<At<bool>>,
}
