//! Where HTTP goes, and how it is judged what came back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url};
use terms::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::sink::{Class, SinkError};

/// How much of an answer is read.
const LONGEST: usize = 64 << 10;
const CONNECT: Duration = Duration::from_secs(5);

/// A server that is spoken with over HTTP.
#[derive(Clone, Debug)]
pub struct Endpoint {
    client: Client,
    url: Url,
    is_open: bool,
}

/// Whether what is said may be read by everybody in between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plaintext {
    /// Somebody has said so.
    Believed,
    /// Only on this machine.
    Refused,
}

/// Why nothing can be sent there.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not an address of a server.
    #[error("an address is `https://host/path`, without a user or a password in it")]
    Address,
    /// The certificates of the authority.
    #[error("`ca` has no certificates in PEM that can be used")]
    Authority(#[source] Option<reqwest::Error>),
    /// Everybody could read it.
    #[error("`http://` is for this machine alone: everybody in between reads and changes what is on record")]
    Plaintext,
    /// No client can be made.
    #[error("no client can be made")]
    Client(#[source] reqwest::Error),
}

impl Endpoint {
    /// That of this address; its certificate is one that `ca` vouches for, in PEM, or the system's roots.
    ///
    /// # Errors
    /// When it is none that may be spoken with.
    pub fn new(address: &str, ca: Option<&[u8]>, plaintext: Plaintext) -> Result<Self, InvalidEndpoint> {
        let url: Url = address.parse().map_err(|_| InvalidEndpoint::Address)?;
        let host = url.host_str().ok_or(InvalidEndpoint::Address)?;
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = terms::is_loopback_name(host) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback());
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        match url.scheme() {
            "https" if is_bare => {}
            "http" if is_bare && (is_here || plaintext == Plaintext::Believed) => {}
            "http" if is_bare => return Err(InvalidEndpoint::Plaintext),
            _ => return Err(InvalidEndpoint::Address),
        }
        let builder = Client::builder()
            .redirect(Policy::none()) // records would go where somebody else says
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            .connect_timeout(CONNECT)
            .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")));
        let builder = match ca {
            None => builder,
            Some(pem) => {
                let authorities =
                    Certificate::from_pem_bundle(pem).map_err(|error| InvalidEndpoint::Authority(Some(error)))?;
                if authorities.is_empty() {
                    return Err(InvalidEndpoint::Authority(None));
                }
                builder.tls_certs_only(authorities)
            }
        };
        let is_open = url.scheme() == "http" && !is_here;
        Ok(Self { client: builder.build().map_err(InvalidEndpoint::Client)?, url, is_open })
    }

    /// Its address. What tells one sink from another; no secret.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether others can read what is said.
    #[must_use]
    pub const fn is_open_to_all(&self) -> bool {
        self.is_open
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    pub(crate) fn post(&self) -> RequestBuilder {
        self.client.post(self.url.clone())
    }
}

/// What came back: its status, its fields, and the beginning of what it says.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Sends a request, and reads what comes back.
pub(crate) async fn ask(request: RequestBuilder) -> Result<Reply, SinkError> {
    let failed = |error: reqwest::Error| SinkError::of(Class::Unreachable, "no answer", &error.without_url());
    let mut response: Response = request.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > LONGEST {
            break; // nobody says that much who has taken it
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status(), headers: response.headers().clone(), body })
}

impl Reply {
    /// Whether it was taken. What is only for now is told from what somebody has to put right, and from what is wrong with
    /// these records.
    pub(crate) fn judge(&self, clock: &Arc<dyn Clock>) -> Result<(), SinkError> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let class = match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Class::Busy,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Class::Refused
            }
            status if status.is_server_error() => Class::Busy,
            _ => Class::Denied, // redirects among them: they are not followed
        };
        let after = self.headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, clock));
        Err(SinkError { after, ..SinkError::new(class, format!("it answers {status}{}", self.said())) })
    }
}

impl Reply {
    /// The beginning of what it says, for whoever reads the log.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(300).collect();
        if line.is_empty() { line } else { format!(": {line}") }
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str, clock: &Arc<dyn Clock>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
    let now = clock.now().duration_since(UNIX_EPOCH).ok()?;
    Duration::from_secs(u64::try_from(then.unix_timestamp()).ok()?).checked_sub(now)
}

#[cfg(test)]
mod tests {
    use terms::ManualClock;

    use super::*;

    #[test]
    fn records_go_out_over_tls_or_stay_on_this_machine_unless_somebody_says_otherwise() {
        crate::tests::provider();
        for (address, plain, good) in [
            ("https://siem.example.com/events?a=b", Plaintext::Refused, true),
            ("http://127.0.0.1:8080/", Plaintext::Refused, true),
            ("http://localhost:8080/", Plaintext::Refused, true),
            ("http://[::1]:8080/", Plaintext::Refused, true),
            ("http://siem.example.com/", Plaintext::Refused, false),
            ("http://10.0.0.1/", Plaintext::Refused, false),
            ("http://siem.example.com/", Plaintext::Believed, true),
            ("https://user:password@siem.example.com/", Plaintext::Believed, false),
            ("https://siem.example.com/#here", Plaintext::Refused, false),
            ("ftp://127.0.0.1/", Plaintext::Believed, false),
            ("siem.example.com", Plaintext::Believed, false),
            ("", Plaintext::Believed, false),
        ] {
            assert_eq!(Endpoint::new(address, None, plain).is_ok(), good, "{address}");
        }
        assert!(Endpoint::new("https://siem.example.com/", Some(b"no PEM"), Plaintext::Refused).is_err());
    }

    #[test]
    fn an_answer_says_whether_to_wait_to_put_something_right_or_to_look_at_the_record() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(784_111_777));
        for (status, after, expected) in [
            (200, None, None),
            (204, None, None),
            (301, None, Some((Class::Denied, None))),
            (307, None, Some((Class::Denied, None))),
            (400, None, Some((Class::Refused, None))),
            (401, None, Some((Class::Denied, None))),
            (403, None, Some((Class::Denied, None))),
            (404, None, Some((Class::Denied, None))),
            (408, None, Some((Class::Busy, None))),
            (413, None, Some((Class::Refused, None))),
            (422, None, Some((Class::Refused, None))),
            (429, Some("7"), Some((Class::Busy, Some(7)))),
            (500, None, Some((Class::Busy, None))),
            (503, Some("Sun, 06 Nov 1994 08:49:57 GMT"), Some((Class::Busy, Some(20)))),
            (503, Some("Sun, 06 Nov 1994 08:49:17 GMT"), Some((Class::Busy, None))),
            (503, Some("soon"), Some((Class::Busy, None))),
        ] {
            let headers = after.map(|after| (RETRY_AFTER, after.parse().unwrap()));
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply { status, headers: headers.into_iter().collect(), body: Vec::new() };
            let told = reply.judge(&clock).err().map(|error| (error.class, error.after.map(|it| it.as_secs())));
            assert_eq!(told, expected, "{status} {after:?}");
        }
    }
}
