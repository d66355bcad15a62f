//! Syslog (RFC 5424) over TCP (RFC 6587, octets counted) or TLS (RFC 5425).
//!
//! The protocol has no word for "I have it". So a batch goes over a connection of its own, which is closed on our side; a
//! receiver that has read everything closes its side, too, and one that has not, resets it. That is the answer.

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::batch::{Batch, Item, LogId};
use crate::render::Severity;
use crate::sink::stream::{Server, Stream};
use crate::sink::{Class, Delivery, Sink, SinkError};

/// Where messages go, and from whom.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// Where.
    pub server: Server,
    /// What stands in `HOSTNAME`.
    pub hostname: String,
    /// The facility, 0 to 23; 13 is that of audit logs.
    pub facility: u8,
    /// What counts as delivered.
    pub acknowledged: Acknowledged,
}

/// What counts as delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acknowledged {
    /// What was read to its end by whoever closes the connection then.
    ByClose,
    /// What was sent. A receiver that dies takes what it had not read with it.
    BySending,
}

pub(crate) struct SyslogSink {
    pub(crate) syslog: Syslog,
    pub(crate) open: Option<Stream>,
}

impl SyslogSink {
    async fn put(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let messages =
            batch.items.iter().map(|item| self.message(batch.log, item)).fold(String::new(), |mut all, it| {
                write!(all, "{} {it}", it.len()).unwrap_or_default(); // a String takes everything
                all
            });
        let server = &self.syslog.server;
        let failed = |error: std::io::Error| server.failed(&error);
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => server.secure(server.reach().await?).await?,
        };
        stream.write_all(messages.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        match self.syslog.acknowledged {
            Acknowledged::BySending => self.open = Some(stream),
            Acknowledged::ByClose => {
                stream.shutdown().await.map_err(failed)?;
                // Over TLS only a close that nobody in between can forge ends this well.
                if stream.read(&mut [0]).await.map_err(failed)? > 0 {
                    let what = format!("{} answers, which syslog does not know", server.address);
                    return Err(SinkError::new(Class::Denied, what));
                }
            }
        }
        Ok(())
    }

    fn message(&self, log: LogId, item: &Item) -> String {
        let severity = match item.severity {
            Severity::Informational => 6,
            Severity::Low => 5,
            Severity::Medium => 4,
            Severity::High => 3,
        };
        let priority = u16::from(self.syslog.facility) * 8 + severity;
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(item.millis) * 1_000_000).ok();
        let time = time.filter(|_| item.millis > 0).and_then(|time| time.format(&Rfc3339).ok());
        let time = time.as_deref().unwrap_or("-");
        let (host, event) = (word(&self.syslog.hostname, 255), word(&item.event, 32));
        let (index, leaf) = (item.index, item.leaf);
        let mut message = format!(
            r#"<{priority}>1 {time} {host} cloister - {event} [cloister@32473 log="{log}" index="{index}" leaf="{leaf}""#
        );
        if let Some(tenant) = &item.tenant {
            message.push_str(" tenant=\"");
            parameter(&mut message, tenant);
            message.push('"');
        }
        message.push_str("] ");
        message.push_str(&item.text);
        message
    }
}

/// A word of the header: printable and not too long, or `-`.
fn word(text: &str, longest: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// The value of a parameter: three letters are escaped in it (RFC 5424 §6.3.3).
fn parameter(into: &mut String, value: &str) {
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | ']') {
            into.push('\\');
        }
        into.push(if letter.is_control() { ' ' } else { letter });
    }
}

impl Sink for SyslogSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}

#[cfg(test)]
mod tests {
    use directory::Security;
    use proptest::prelude::*;

    use super::*;
    use crate::tests::batch;

    fn message(hostname: &str, event: &str, tenant: &str) -> String {
        let server = Server { address: "127.0.0.1:601".parse().unwrap(), security: Security::Plain };
        let syslog = Syslog { server, hostname: hostname.into(), facility: 13, acknowledged: Acknowledged::ByClose };
        let mut batch = batch(3, 1);
        let item = &mut batch.items[0];
        (item.event, item.tenant) = (event.into(), Some(tenant.into()));
        SyslogSink { syslog, open: None }.message(batch.log, &batch.items[0])
    }

    /// The value of a parameter as RFC 5424 §6.3.3 reads it, and what follows its quote.
    fn value<'a>(text: &'a str, name: &str) -> Option<(String, &'a str)> {
        let (_, rest) = text.split_once(&format!(" {name}=\""))?;
        let (mut value, mut letters) = (String::new(), rest.char_indices());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Some((value, rest.get(at + 1..)?)),
                '\\' => value.push(letters.next().filter(|(_, it)| matches!(it, '"' | '\\' | ']'))?.1),
                ']' => return None,
                other => value.push(other),
            }
        }
        None
    }

    #[test]
    fn a_message_looks_like_this() {
        let message = message("eu-1", "policy.denied", "acme");
        let leaf = &batch(3, 1).items[0].leaf;
        let expected = format!(
            "<110>1 2026-09-21T14:13:20.003Z eu-1 cloister - policy.denied [cloister@32473 \
             log=\"07070707070707070707070707070707\" index=\"3\" leaf=\"{leaf}\" tenant=\"acme\"] {{\"n\":3}}"
        );
        assert_eq!(message, expected);
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(host in any::<String>(), event in any::<String>(), tenant in "[\\]\\[\"\\\\ =a-z\\r\\n\u{e9}]{0,40}") {
            let message = message(&host, &event, &tenant);
            prop_assert!(!message.chars().any(char::is_control));
            let words: Vec<&str> = message.splitn(7, ' ').collect();
            prop_assert_eq!((words[0], words[3], words[4]), ("<110>1", "cloister", "-"));
            for (word, longest) in [(words[2], 255), (words[5], 32)] {
                prop_assert!((1..=longest).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            let (read, rest) = value(&message, "tenant").expect("a value with an end");
            let seen: String = tenant.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
            prop_assert_eq!(read, seen);
            prop_assert_eq!(rest, "] {\"n\":3}");
        }
    }
}
