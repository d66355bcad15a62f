//! `cloister probe`: a health check for images without a shell or curl. Plain HTTP, one request.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use secrets::Secret;

use crate::failure::Failure;

/// How long the probe waits for anything.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks a URL; fails unless the answer is 2xx.
pub(crate) fn run(url: &str) -> Result<(), Failure> {
    let rest = url.strip_prefix("http://").ok_or_else(|| Failure::Setup(format!("`{url}` is not an http:// URL")))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let answer = ask(authority, path).map_err(|error| Failure::broke(url, &error))?;
    match answer.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        Some(status) => {
            crate::print::notice(format_args!("{url} answered {status}"));
            Err(Failure::No)
        }
        None => Err(Failure::Broke(format!("{url} did not answer in HTTP"))),
    }
}

/// Whether a page answers 2xx.
pub(crate) fn is_up(address: std::net::SocketAddr, path: &str) -> bool {
    ask(&address.to_string(), path)
        .is_ok_and(|answer| answer.split(' ').nth(1).is_some_and(|status| status.starts_with('2')))
}

fn ask(authority: &str, path: &str) -> std::io::Result<String> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    exchange(authority, head.as_bytes(), PATIENCE)
}

/// Sends JSON with a bearer token, to whoever may take some time for it.
pub(crate) fn put(authority: &str, path: &str, token: &Secret<Vec<u8>>, body: &[u8]) -> std::io::Result<String> {
    let token = token.expose().trim_ascii();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\nAuthorization: Bearer ",
        body.len()
    );
    exchange(authority, &[head.as_bytes(), token, b"\r\n\r\n", body].concat(), Duration::from_secs(60))
}

fn exchange(authority: &str, request: &[u8], patience: Duration) -> std::io::Result<String> {
    let address = authority.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
