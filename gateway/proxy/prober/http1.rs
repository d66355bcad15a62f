use http::header;
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::client::HttpSession;
use upstream::ProbeError;

use super::{AGENT, brief};

/// How many informational responses may come before the one that counts.
const ANNOUNCED: usize = 8;

/// The status that a GET of this path is answered with, over HTTP/1.1. The body is not read: the connection ends here.
pub(super) async fn get(stream: Stream, host: &str, path: &str) -> Result<u16, ProbeError> {
    ask(stream, host, path).await.map_err(|error| ProbeError::Broke(brief(&error)))
}

async fn ask(stream: Stream, host: &str, path: &str) -> pingora::Result<u16> {
    let mut head = RequestHeader::build(http::Method::GET, path.as_bytes(), Some(4))?;
    head.insert_header(header::HOST, host)?;
    head.insert_header(header::USER_AGENT, AGENT)?;
    head.insert_header(header::ACCEPT, "*/*")?;
    head.insert_header(header::CONNECTION, "close")?;
    let mut session = HttpSession::new(stream);
    session.write_request_header(Box::new(head)).await?;
    for _ in 0..=ANNOUNCED {
        session.read_response().await?;
        if let Some(status) = session.get_status().filter(|status| !status.is_informational()) {
            return Ok(status.as_u16());
        }
    }
    pingora::Error::e_explain(pingora::ErrorType::InvalidHTTPHeader, "nothing but informational responses")
}
