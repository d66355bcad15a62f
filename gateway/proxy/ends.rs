use audit::End;
use pingora::{Error, ErrorSource, ErrorType};
use terms::Reason;

use crate::echo::LEAK;

/// What a failure after the decision means: why, and how the request ended. `None`: the client went away.
pub(crate) fn of(error: &Error) -> (Option<Reason>, End) {
    let timeout = matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    );
    match (error.esource(), error.etype()) {
        (_, kind) if *kind == LEAK => (Some(Reason::TenantLeak), End::Complete),
        (_, ErrorType::HTTPStatus(413)) => (Some(Reason::RequestBodyTooLarge), End::Complete),
        (ErrorSource::Upstream, _) if is_malformed(error) => (Some(Reason::UpstreamMalformed), End::UpstreamFailed),
        (ErrorSource::Upstream, _) if timeout => (Some(Reason::UpstreamTimeout), End::UpstreamFailed),
        (ErrorSource::Upstream, _) => (Some(Reason::UpstreamUnavailable), End::UpstreamFailed),
        (ErrorSource::Downstream, _) if timeout => (Some(Reason::RequestTimeout), End::ClientGone),
        // The names that pingora has for chunks and their end which are none; the backend got less than a whole request.
        (
            ErrorSource::Downstream,
            ErrorType::InvalidHTTPHeader | ErrorType::Custom("InvalidChunk" | "InvalidTrailerEnd"),
        ) => (Some(Reason::RequestFraming), End::Complete),
        (ErrorSource::Downstream, _) => (None, End::ClientGone),
        (ErrorSource::Internal | ErrorSource::Unset, _) => (Some(Reason::Internal), End::UpstreamFailed),
    }
}

/// Whether a backend sent what is no HTTP, or what two readers could read differently.
pub(crate) fn is_malformed(error: &Error) -> bool {
    const CHUNK: ErrorType = ErrorType::new("InvalidChunk");
    const TRAILER: ErrorType = ErrorType::new("InvalidTrailerEnd");
    let kind = error.etype();
    // What the parser of HTTP/2 itself ends, it ends for what the other side has sent.
    let refused = error.root_cause().downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library);
    refused || matches!(kind, ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2) || [CHUNK, TRAILER].contains(kind)
}
