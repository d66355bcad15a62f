//! `JetStream` of NATS, by its text protocol. One message for each record, and the next when the stream has said that it has
//! it: so the order is kept. The id of a message is log and index, so that the stream itself drops what comes twice.

mod wire;

use directory::Security;
use secrets::{Kept, Secret};
use serde::Deserialize;
use serde_json::json;

use crate::batch::{Batch, Item, LogId};
use crate::sink::stream::Server;
use crate::sink::{Class, Delivery, Sink, SinkError};
use wire::{Wire, Word};

/// Where messages go, and who we are there.
#[derive(Clone, Debug)]
pub struct Nats {
    /// Where.
    pub server: Server,
    /// What a stream listens to.
    pub subject: String,
    /// Who we are. Nobody in particular, if it is missing.
    pub user: Option<String>,
    /// What proves it; without a user it is a token.
    pub password: Option<Kept<Secret<Vec<u8>>>>,
}

pub(crate) struct NatsSink {
    pub(crate) nats: Nats,
    pub(crate) open: Option<Open>,
}

/// A connection that has shown that it answers.
pub(crate) struct Open {
    wire: Wire,
    inbox: String,
    asked: u64,
    longest: usize,
}

impl NatsSink {
    async fn put(&mut self, batch: &Batch) -> Result<(), SinkError> {
        // A connection that was left alone may be gone.
        if let Some(open) = self.open.take() {
            match self.put_over(open, batch).await {
                Err(error) if error.class == Class::Unreachable && error.delivered == 0 => {}
                outcome => return outcome,
            }
        }
        let open = self.connect().await?;
        self.put_over(open, batch).await
    }

    async fn put_over(&mut self, mut open: Open, batch: &Batch) -> Result<(), SinkError> {
        for (delivered, item) in batch.items.iter().enumerate() {
            let outcome = open.publish(&self.nats.subject, batch.log, item).await;
            outcome.map_err(|error| SinkError { delivered, ..error })?;
        }
        self.open = Some(open);
        Ok(())
    }

    async fn connect(&self) -> Result<Open, SinkError> {
        let Nats { server, user, password, .. } = &self.nats;
        let mut wire = Wire::new(server.reach().await?);
        let Word::Info(info) = wire.next().await? else {
            return Err(SinkError::new(Class::Denied, format!("{} is no NATS", server.address)));
        };
        let tls = matches!(server.security, Security::Tls(_));
        if !tls && info.tls_required {
            return Err(SinkError::new(Class::Denied, format!("{} demands TLS", server.address)));
        }
        let mut wire = if tls { wire.secured(server).await? } else { wire };
        let secret = password.as_ref().map(|secret| zeroize::Zeroizing::new(secret.glance().expose().clone()));
        let secret = secret.as_ref().map(|secret| std::str::from_utf8(secret));
        let secret =
            secret.transpose().map_err(|_| SinkError::new(Class::Denied, "the password is not text in UTF-8"))?;
        let mut hello = json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "tls_required": tls, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "name": "cloister", "protocol": 1 });
        if let (Some(secret), Some(hello)) = (secret, hello.as_object_mut()) {
            match user {
                Some(user) => {
                    hello.insert("user".into(), user.as_str().into());
                    hello.insert("pass".into(), secret.into());
                }
                None => drop(hello.insert("auth_token".into(), secret.into())),
            }
        }
        let inbox = format!("_INBOX.{:032x}", fastrand::u128(..));
        wire.send(format!("CONNECT {hello}\r\nSUB {inbox}.* 1\r\nPING\r\n").as_bytes()).await?;
        loop {
            match wire.next().await? {
                Word::Pong => break,
                Word::Error(said) => return Err(SinkError::new(Class::Denied, format!("{}: {said}", server.address))),
                Word::Info(_) | Word::Message { .. } => {}
            }
        }
        let longest = usize::try_from(info.max_payload).unwrap_or(usize::MAX);
        Ok(Open { wire, inbox, asked: 0, longest })
    }
}

impl Open {
    async fn publish(&mut self, subject: &str, log: LogId, item: &Item) -> Result<(), SinkError> {
        let head = format!("NATS/1.0\r\nNats-Msg-Id: {log}:{}\r\nCloister-Leaf: {}\r\n\r\n", item.index, item.leaf);
        let all = head.len() + item.text.len();
        if all > self.longest {
            return Err(SinkError::new(Class::Refused, format!("{all} bytes are more than the server takes")));
        }
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        let message = format!("HPUB {subject} {reply} {} {all}\r\n{head}{}\r\n", head.len(), item.text);
        self.wire.send(message.as_bytes()).await?;
        loop {
            match self.wire.next().await? {
                Word::Message { subject, status, payload } if subject == reply => {
                    return acknowledged(status, &payload);
                }
                Word::Error(said) => return Err(SinkError::new(Class::Denied, said)),
                Word::Info(_) | Word::Message { .. } | Word::Pong => {}
            }
        }
    }
}

/// What a stream says of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    stream: Option<String>,
    seq: Option<u64>,
    error: Option<Fault>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    code: u64,
    err_code: u64,
    description: String,
}

/// Whether a stream has it.
fn acknowledged(status: Option<u16>, payload: &[u8]) -> Result<(), SinkError> {
    if status == Some(503) {
        return Err(SinkError::new(Class::Denied, "no stream listens to the subject"));
    }
    let Said { stream, seq, error } = serde_json::from_slice(payload).unwrap_or_default();
    let Some(error) = error else {
        // FAIL CLOSED: only what names a stream and a place in it says that it is there.
        let is_there = stream.and(seq).is_some();
        return is_there.then_some(()).ok_or_else(|| SinkError::new(Class::Denied, "whoever answers is no stream"));
    };
    // 10054: longer than the stream takes.
    let class = if error.err_code == 10_054 || error.code == 400 { Class::Refused } else { Class::Busy };
    let why: String = error.description.chars().take(120).collect();
    Err(SinkError::new(class, format!("the stream says {}", why.escape_debug())))
}

impl Sink for NatsSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_a_stream_counts() {
        for (status, said, class) in [
            (None, r#"{"stream":"AUDIT","seq":1}"#, None),
            (None, r#"{"stream":"AUDIT","seq":1,"duplicate":true}"#, None),
            (Some(503), "", Some(Class::Denied)),
            (None, "+OK", Some(Class::Denied)),
            (None, "{}", Some(Class::Denied)),
            (
                None,
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#,
                Some(Class::Busy),
            ),
            (
                None,
                r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds"}}"#,
                Some(Class::Refused),
            ),
        ] {
            assert_eq!(acknowledged(status, said.as_bytes()).err().map(|error| error.class), class, "{said}");
        }
    }
}
