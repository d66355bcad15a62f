//! HTTP/1.1 requests as the narrowest reading of RFC 9112 has them: no leniency that its text allows is used.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::recorder::{Recorded, Tape};

/// Why nothing more is read.
#[derive(Debug)]
pub enum Stop {
    /// The connection has ended.
    End,
    /// These bytes have more than one reading, or none.
    Spoilt(String),
}

/// How long a body is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    Chunked,
    Length(usize),
}

/// The longest line, and the longest head, that is waited for.
const HEAD: usize = 256 << 10;

#[derive(Debug)]
pub struct Reader {
    pub stream: TcpStream,
    tape: Arc<Mutex<Tape>>,
    unread: Vec<u8>,
}

impl Reader {
    pub fn new(stream: TcpStream, tape: Arc<Mutex<Tape>>) -> Self {
        Self { stream, tape, unread: Vec::new() }
    }

    /// The next head.
    pub async fn head(&mut self) -> Result<(Recorded, Framing), Stop> {
        let head = self.through(b"\r\n\r\n").await?;
        parse_head(&head).map_err(Stop::Spoilt)
    }

    /// The body, piece by piece.
    pub async fn body(&mut self, framing: Framing, mut keep: impl FnMut(&[u8])) -> Result<(), Stop> {
        match framing {
            Framing::Length(length) => self.exactly(length, &mut keep).await,
            Framing::Chunked => loop {
                let line = self.through(b"\r\n").await?;
                let size = chunk_size(&line).map_err(Stop::Spoilt)?;
                self.exactly(size, &mut keep).await?;
                let end = self.through(b"\r\n").await?;
                if end != b"\r\n" {
                    return Err(Stop::Spoilt(format!("after a chunk: {:?}", String::from_utf8_lossy(&end))));
                }
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    /// Whatever comes until the end.
    pub async fn drain(&mut self) -> Result<(), Stop> {
        loop {
            self.unread.clear();
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, mut length: usize, keep: &mut impl FnMut(&[u8])) -> Result<(), Stop> {
        while length > 0 {
            if self.unread.is_empty() {
                self.fill().await?;
            }
            let piece: Vec<u8> = self.unread.drain(..length.min(self.unread.len())).collect();
            length -= piece.len();
            keep(&piece);
        }
        Ok(())
    }

    async fn through(&mut self, end: &[u8]) -> Result<Vec<u8>, Stop> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Ok(self.unread.drain(..at + end.len()).collect());
            }
            if self.unread.len() > HEAD {
                return Err(Stop::Spoilt("a head without an end".into()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Stop> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                self.unread.extend_from_slice(&buffer[..count]);
                self.tape.lock().unwrap().bytes.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Ok(_) | Err(_) => Err(Stop::End),
        }
    }
}

/// One to eight hexadecimal digits and nothing else.
fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let text = String::from_utf8_lossy(&line[..line.len() - 2]);
    let digits = !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { Ok(usize::from_str_radix(&text, 16).unwrap()) } else { Err(format!("a chunk's size: {text:?}")) }
}

fn parse_head(head: &[u8]) -> Result<(Recorded, Framing), String> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect(); // each byte one character
    let mut lines = text.strip_suffix("\r\n\r\n").unwrap_or(&text).split("\r\n");
    let line = lines.next().unwrap_or_default();
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("a request line: {line:?}"));
    };
    if !is_token(method) || !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a request line: {line:?}"));
    }
    let mut request = Recorded { method: method.into(), target: target.into(), ..Recorded::default() };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("a field: {line:?}"))?;
        let clean = value.chars().all(|character| character == '\t' || !character.is_ascii_control());
        if !is_token(name) || !clean {
            return Err(format!("a field: {line:?}"));
        }
        let value = value.trim_matches([' ', '\t']).chars().map(|character| character as u8).collect();
        request.fields.push((name.into(), value));
    }
    if request.all("host").len() != 1 {
        return Err(format!("not one host: {text:?}"));
    }
    let framing = framing(&request)?;
    Ok((request, framing))
}

fn framing(request: &Recorded) -> Result<Framing, String> {
    let (lengths, codings) = (request.all("content-length"), request.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([], [coding]) if coding == "chunked" => Ok(Framing::Chunked),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| format!("a length: {length}"))
        }
        _ => Err(format!("two readings of the length: {lengths:?} {codings:?}")),
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || sign(byte))
}
