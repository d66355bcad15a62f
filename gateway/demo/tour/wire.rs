use std::net::SocketAddr;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, Response};
use serde_json::Value;
use terms::chain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// As much of an answer as is looked at, in bytes. Longer ones are for `traffic.rs`, which does not keep them.
const ANSWER: usize = 256 * 1024;

pub(super) const HOSTS: [&str; 3] = ["acme.localhost", "globex.localhost", "initech.localhost"];

/// What came back.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Got {
    /// Of an answer whose body is still to come.
    pub(super) fn head(status: u16, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        Self { status, request_id: text("x-request-id"), retry_after: text("retry-after"), body: Vec::new() }
    }

    /// The body as JSON. What surrounds it (the sizes of chunks, in a raw answer) is not looked at.
    pub(super) fn json(&self) -> Option<Value> {
        let start = self.body.iter().position(|byte| *byte == b'{')?;
        let end = self.body.iter().rposition(|byte| *byte == b'}')?;
        serde_json::from_slice(self.body.get(start..=end)?).ok()
    }
}

/// The ways to the gateway: an HTTP client for requests that are as they should be, a bare connection for the others,
/// since a client library mends them.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) gateway: SocketAddr,
    client: Client,
}

impl Wire {
    pub(super) fn new(gateway: SocketAddr, client: Result<ClientBuilder, rustls::Error>) -> Result<Self, String> {
        let client = client.map_err(|error| chain(&error))?;
        let client = HOSTS.iter().fold(client, |client, host| client.resolve(host, gateway)).timeout(PATIENCE);
        Ok(Self { gateway, client: client.build().map_err(|error| chain(&error))? })
    }

    pub(super) fn url(&self, scheme: &str, host: &str, path: &str) -> String {
        format!("{scheme}://{host}:{}{path}", self.gateway.port())
    }

    pub(super) async fn start(
        &self,
        method: &str,
        host: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<impl Into<reqwest::Body>>,
    ) -> Result<Response, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| chain(&error))?;
        let mut request = self.client.request(method, self.url("http", host, path));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.map_err(|error| chain(&error))
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        host: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&'static str>,
    ) -> Result<Got, String> {
        let mut response = self.start(method, host, path, token, headers, body).await?;
        let mut got = Got::head(response.status().as_u16(), response.headers());
        while let Some(part) = response.chunk().await.map_err(|error| chain(&error))? {
            got.body.extend_from_slice(&part);
            if got.body.len() > ANSWER {
                return Err("the answer does not end".into());
            }
        }
        Ok(got)
    }

    /// Sends these bytes on a connection of their own and reads what comes until the gateway hangs up.
    pub(super) async fn raw(&self, bytes: &[u8]) -> Result<Got, String> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.gateway).await.map_err(|error| chain(&error))?;
            stream.write_all(bytes).await.map_err(|error| chain(&error))?;
            let mut answer = Vec::new();
            // A reset after the answer is as good an end as any.
            drop((&mut stream).take(ANSWER as u64).read_to_end(&mut answer).await);
            Ok::<_, String>(answer)
        };
        let answer = timeout(PATIENCE, exchange).await.map_err(|_| "no end of the answer in time".to_owned())??;
        parse(&answer).ok_or_else(|| "the connection ended without an answer".to_owned())
    }
}

/// Reads an HTTP/1 answer as far as the tour needs it.
fn parse(answer: &[u8]) -> Option<Got> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let field = |wanted: &str| {
        let mut fields = lines.clone().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
    };
    Some(Got { status, request_id: field("x-request-id"), retry_after: field("retry-after"), body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_its_framing() {
        let got = parse(
            b"HTTP/1.1 403 Forbidden\r\nX-Request-Id: 0a\r\nRetry-After:  7\r\n\r\n9\r\n{\"a\":\"b\"}\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!((got.status, got.request_id.as_deref(), got.retry_after.as_deref()), (403, Some("0a"), Some("7")));
        assert_eq!(got.json().unwrap()["a"], "b");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bytes in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 ok\r\n\r\n"] {
            assert!(parse(bytes.as_bytes()).is_none(), "{bytes:?}");
        }
    }
}
