use http::{Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, ErrorType, Result};
use pingora::proxy::Session;

/// Makes of a response what a client of HTTP/1.0 can read. It knows no chunks (RFC 9112 §6.1): without a length, a body ends
/// with the connection.
pub(crate) fn adapt(head: &mut ResponseHeader, session: &Session) -> Result<()> {
    head.remove_header(&header::TRANSFER_ENCODING);
    let empty = session.req_header().method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if head.version == Version::HTTP_2 && !empty && !head.headers.contains_key(header::CONTENT_LENGTH) {
        // FAIL CLOSED: pingora will write chunks for what comes over HTTP/2, and nobody is asked behind here.
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "a body without a length, for a client of HTTP/1.0")
            .map_err(|error| error.into_up());
    }
    Ok(())
}
