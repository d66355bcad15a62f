//! How long the client itself waits, where it says so: gRPC's `grpc-timeout`. It counts from the arrival of the request
//! over all attempts.

use std::time::{Duration, Instant};

use pingora::prelude::{Error, ErrorType, HttpPeer, Result};

use crate::context::Admitted;
use crate::running::Deadline;

/// How much later than the backend's time a call is cut: the answer that its time is over comes first, if it can.
const MARGIN: Duration = Duration::from_millis(250);

/// Lets no wait for the backend outlast the client's patience, so that the client is told in an answer.
pub(crate) fn bound(peer: &mut HttpPeer, admitted: &Admitted) -> Result<()> {
    let Some(until) = until(admitted) else { return Ok(()) };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Error::e_explain(ErrorType::ReadTimedout, "the client waits no longer")
            .map_err(|error| error.into_up());
    }
    let options = &mut peer.options;
    for wait in [
        &mut options.connection_timeout,
        &mut options.total_connection_timeout,
        &mut options.read_timeout,
        &mut options.write_timeout,
    ] {
        *wait = Some(wait.map_or(left, |wait| wait.min(left)));
    }
    admitted.end_at(Deadline::Call, until + MARGIN);
    Ok(())
}

/// Once the head of a response is on its way, there is no other answer any more.
pub(crate) fn answering(admitted: &Admitted) {
    if let Some(until) = until(admitted) {
        admitted.end_at(Deadline::Call, until);
    }
}

fn until(admitted: &Admitted) -> Option<Instant> {
    let patience = admitted.forward.patience?;
    Some(admitted.arrival.started.checked_add(patience).unwrap_or_else(|| admitted.arrival.started + FAR))
}

/// A year: what lies beyond the clock is no nearer.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
