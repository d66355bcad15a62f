//! How long a request may take in all: from its arrival over the queue, every attempt and every wait between them, to the
//! last byte of the response. It also bounds what no wait for the next byte can: a backend that drips.

use std::time::{Duration, Instant};

use http::HeaderMap;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::proxy::Session;
use upstream::{Protocol, Timeouts};

use crate::backends::Backend;
use crate::context::Admitted;
use crate::effort::Effort;
use crate::running::Deadline;
use crate::streams;

/// How much later than its time a request is cut that has no response yet: an answer that its time is over comes first.
const MARGIN: Duration = Duration::from_millis(500);

/// When a request has to be over. `None`: it is a stream, and lasts as long as it lasts.
pub(crate) fn of(session: &Session, admitted: &Admitted, backend: &Backend) -> Option<Instant> {
    if canonical::speaks_grpc(&session.req_header().headers) || session.is_upgrade_req() {
        return None;
    }
    let until = admitted.arrival.started.checked_add(whole(admitted, backend));
    if let Some(until) = until {
        admitted.end_at(Deadline::Whole, until + MARGIN);
    }
    until
}

/// How long a request may take in all.
pub(crate) fn whole(admitted: &Admitted, backend: &Backend) -> Duration {
    admitted.permit.route().timeouts.request.unwrap_or(backend.upstream().timeouts().request)
}

/// The times of this request: those of its route, and of its upstream where the route says nothing.
pub(crate) fn times(admitted: &Admitted, backend: &Backend) -> Timeouts {
    let (own, theirs) = (admitted.permit.route().timeouts, backend.upstream().timeouts());
    // A route that waits longer for a response than its upstream would bears that silence, too.
    let read = own.read.unwrap_or_else(|| theirs.read.max(own.first_byte.unwrap_or_default()));
    Timeouts {
        connect: own.connect.unwrap_or(theirs.connect),
        tls: own.tls.unwrap_or(theirs.tls),
        first_byte: own.first_byte.unwrap_or(theirs.first_byte).min(read),
        read,
        ..theirs
    }
}

/// How long to wait for the head of a response. `None`: the time for reads is as long, and over HTTP/2 that does, since a
/// head is read there in one piece.
pub(crate) fn first_byte(times: Timeouts, backend: &Backend) -> Option<Duration> {
    let drips = backend.upstream().protocol() == Protocol::Http1;
    (drips || times.first_byte < times.read).then_some(times.first_byte)
}

/// Lets nothing that is waited for outlast the deadline, so that its end is told in an answer.
pub(crate) fn bound(peer: &mut HttpPeer, until: Option<Instant>) -> Result<()> {
    let options = &mut peer.options;
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

/// The whole request is with the backend: from now on it owes the head of a response, all of it, however it drips.
pub(crate) fn asked(admitted: &Admitted, effort: &Effort) {
    if let Some(wait) = effort.first_byte {
        let at = Instant::now() + wait;
        admitted.end_at(Deadline::FirstByte, effort.until.map_or(at, |until| at.min(until)));
    }
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

/// The head of a response was not there in time.
pub(crate) fn late() -> Box<Error> {
    Error::explain(ErrorType::ReadTimedout, "no response in time").into_up()
}
