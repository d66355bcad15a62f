//! How long a request may take in all: from its arrival over the queue, every attempt and every wait between them, to the
//! last byte of the response. It also bounds what no wait for the next byte can: a backend that drips.

use std::time::{Duration, Instant};

use http::HeaderMap;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::proxy::Session;

use crate::backends::Backend;
use crate::context::Admitted;
use crate::running::Deadline;
use crate::streams;

/// How much later than its time a request is cut that has no response yet: an answer that its time is over comes first,
/// where the backend is silent; one that drips its head leaves no moment for it.
const MARGIN: Duration = Duration::from_millis(500);

/// When a request has to be over. `None`: it is a stream, and lasts as long as it lasts.
pub(crate) fn of(session: &Session, admitted: &Admitted, backend: &Backend) -> Option<Instant> {
    if canonical::speaks_grpc(&session.req_header().headers) || session.is_upgrade_req() {
        return None;
    }
    let whole = admitted.permit.route().timeouts.request.unwrap_or(backend.upstream().timeouts().request);
    let until = admitted.arrival.started.checked_add(whole);
    if let Some(until) = until {
        admitted.end_at(Deadline::Whole, until + MARGIN);
    }
    until
}

/// Sets how long the backend may be silent, and lets nothing that is waited for outlast the deadline, so that its end is
/// told in an answer.
pub(crate) fn bound(peer: &mut HttpPeer, admitted: &Admitted, until: Option<Instant>) -> Result<()> {
    let options = &mut peer.options;
    if let Some(read) = admitted.permit.route().timeouts.read {
        options.read_timeout = Some(read);
    }
    let Some(until) = until else { return Ok(()) };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Error::e_explain(ErrorType::ReadTimedout, "the time of the request is over")
            .map_err(|error| error.into_up());
    }
    for wait in [
        &mut options.connection_timeout,
        &mut options.total_connection_timeout,
        &mut options.read_timeout,
        &mut options.write_timeout,
    ] {
        *wait = Some(wait.map_or(left, |wait| wait.min(left)));
    }
    Ok(())
}

/// Once the head of a response is on its way, there is no other answer any more, so that the deadline is one to the
/// moment; events that the backend sends as they happen have none.
pub(crate) fn answering(admitted: &Admitted, until: Option<Instant>, fields: &HeaderMap) {
    let Some(until) = until else { return };
    if streams::are_events(fields) {
        admitted.lift(Deadline::Whole);
    } else {
        admitted.end_at(Deadline::Whole, until);
    }
}
