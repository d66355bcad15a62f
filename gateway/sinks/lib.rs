//! Takes the records of the audit log to where others want them: files, databases, collectors, object storage.
//!
//! *What it decides:* how far each sink has come in each log, and what goes there next. A record counts as delivered when
//! whoever takes it has said that it is safe there; only then the [`Cursor`] moves, and it moves on disk. So each record
//! arrives at least once and in order, and twice only where a delivery was cut off.
//!
//! *What it must never do:* hold up a request, or the log; read what is not on disk for good; pass over a record in silence;
//! send anything over a network that others can read, unless somebody has said so.
//!
//! *Who gives it what:* `cli` makes [`Settings`] of `audit.sinks`, says how many records are committed, and begins the
//! [`Feeding`]. Each sink has a thread of its own, so that none waits for another.
//!
//! # The way of a record
//!
//! A `Feed` reads it off the segments behind its cursor, renders it ([`Rendering`]) and puts it in a batch, which is
//! bounded in records, bytes and time. A `Sink` delivers the batch or says why not. What is only unwell is tried again,
//! later and later. What is refused for what it says is looked for by halves, until it stands alone: then the sink holds,
//! or sets it aside, as its settings say. Both can be seen.
//!
//! *How to add a sink:* a file in `sink/` with a type that implements `Sink`; a variant of [`Target`]; the settings in
//! `cli/settings/{file,compile}/sinks.rs` and `config/cloister.yaml`; a story against a real server.
#![forbid(unsafe_code)]

mod backoff;
mod batch;
mod cursor;
mod feed;
mod feeding;
mod record;
mod render;
mod settings;
mod sink;
mod state;
#[cfg(test)]
mod tests;

pub use batch::LogId;
pub use cursor::{Cursor, CursorError};
pub use feeding::{Committed, Feeding, Log, Running, StartError};
pub use render::{Rendering, Source};
pub use settings::{InvalidName, Limits, Name, OnRefusal, Settings, Start, Target};
pub use sink::endpoint::{Endpoint, InvalidEndpoint, Plaintext};
pub use sink::http::{Http, InvalidWebhookKey, WebhookKey};
pub use sink::nats::Nats;
pub use sink::otlp::Otlp;
pub use sink::s3::{Lock, S3};
pub use sink::stream::{Address, InvalidAddress, Server};
pub use sink::syslog::{Acknowledged, Syslog};
pub use state::{CLASSES, Condition};
