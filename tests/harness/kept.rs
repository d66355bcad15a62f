//! A connection that is kept from one request to the next, and never made anew.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Gateway;

pub struct Kept(BufReader<TcpStream>);

impl Kept {
    pub fn connect(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn ask(&mut self, token: &str, path: &str) {
        write!(
            self.0.get_mut(),
            "GET {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
    }

    /// The head of the answer, in lower case, once its body is read. Empty if the connection has ended.
    pub fn answer(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(self.0.read_line(&mut head), Ok(1..)) {
                return String::new();
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        self.0.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
        head
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}
