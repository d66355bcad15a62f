//! The protocol of NATS, as far as it is spoken here.

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sink::stream::{Server, Stream};
use crate::sink::{Class, SinkError};

/// The longest line, and the longest message, that is read.
const LONGEST: usize = 64 << 10;

/// A connection, and what was read from it and not yet looked at.
pub(crate) struct Wire {
    stream: Stream,
    read: Vec<u8>,
}

/// What a server says. That it asks whether we are there is answered here.
#[derive(Debug)]
pub(crate) enum Word {
    Error(String),
    Info(Info),
    Message { subject: String, status: Option<u16>, payload: Vec<u8> },
    Pong,
}

/// What a server says of itself.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Info {
    pub(crate) max_payload: u64,
    pub(crate) tls_required: bool,
}

impl Default for Info {
    fn default() -> Self {
        Self { max_payload: 1 << 20, tls_required: false }
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), read: Vec::new() }
    }

    /// Goes on with TLS. Nothing may have been said before it but the first word.
    pub(crate) async fn secured(self, server: &Server) -> Result<Self, SinkError> {
        match self.stream {
            // FAIL CLOSED: what was said in the clear would be taken for what is said over TLS.
            Stream::Plain(stream) if self.read.is_empty() => {
                Ok(Self { stream: server.secure(stream).await?, read: Vec::new() })
            }
            Stream::Plain(_) | Stream::Tls(_) => Err(odd("it says more than it should before TLS")),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let failed = |error: std::io::Error| SinkError::of(Class::Unreachable, "NATS", &error);
        self.stream.write_all(bytes).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)
    }

    pub(crate) async fn next(&mut self) -> Result<Word, SinkError> {
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "INFO" => return serde_json::from_str(rest).map(Word::Info).map_err(|_| odd("its INFO is no JSON")),
                "MSG" => return self.message(rest, false).await,
                "HMSG" => return self.message(rest, true).await,
                "PING" => self.send(b"PONG\r\n").await?,
                "PONG" => return Ok(Word::Pong),
                "-ERR" => return Ok(Word::Error(rest.escape_debug().to_string())),
                "+OK" => {}
                _ => return Err(odd("it says something that is no word of the protocol")),
            }
        }
    }

    /// `MSG subject sid [reply] bytes`, `HMSG subject sid [reply] head bytes`.
    async fn message(&mut self, rest: &str, has_head: bool) -> Result<Word, SinkError> {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |back: usize| words.len().checked_sub(back).and_then(|at| words.get(at)?.parse::<usize>().ok());
        let all = number(1).filter(|all| *all <= LONGEST).ok_or_else(|| odd("the length of a message"))?;
        let head = if has_head {
            number(2).filter(|head| *head <= all).ok_or_else(|| odd("the length of a head"))?
        } else {
            0
        };
        let subject = (*words.first().unwrap_or(&"")).to_owned();
        while self.read.len() < all + 2 {
            self.fill().await?;
        }
        let mut bytes: Vec<u8> = self.read.drain(..all + 2).collect();
        bytes.truncate(all);
        let payload = bytes.split_off(head);
        let first = String::from_utf8_lossy(&bytes);
        let status = first.lines().next().and_then(|line| line.strip_prefix("NATS/1.0 ")?.get(..3)?.parse().ok());
        Ok(Word::Message { subject, status, payload })
    }

    async fn line(&mut self) -> Result<String, SinkError> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
                return String::from_utf8(line.to_vec()).map_err(|_| odd("a line that is no text"));
            }
            if self.read.len() > LONGEST {
                return Err(odd("a line without an end"));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), SinkError> {
        let read = self.stream.read_buf(&mut self.read).await;
        match read {
            Ok(0) => Err(SinkError::new(Class::Unreachable, "NATS has closed the connection")),
            Ok(_) => Ok(()),
            Err(error) => Err(SinkError::of(Class::Unreachable, "NATS", &error)),
        }
    }
}

fn odd(what: &str) -> SinkError {
    SinkError::new(Class::Denied, format!("whoever answers does not speak as NATS does: {what}"))
}
