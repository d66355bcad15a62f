//! The pace of clients on HTTP/2, where ingress sees a connection and not the requests on it: a body that does not come ends
//! its own request, and the others on the connection go on. On HTTP/1 ingress measures the pace itself.

use std::time::{Duration, Instant};

use ingress::BodyPace;
use pingora::proxy::Session;

use crate::context::{Admitted, Context, Stage};
use crate::running::Deadline;

/// A body that is coming in.
#[derive(Debug)]
pub(crate) struct Upload {
    pace: BodyPace,
    /// What it may take at most without a byte.
    longest: Duration,
    left: Duration,
    since: Instant,
}

/// The most that pingora hands to a client at once.
const PIECE: u64 = 64 << 10;

/// How long a backend may take for what it is sent, where its settings do not say so.
const BACKEND: Duration = Duration::from_secs(60);

impl Upload {
    fn new(pace: BodyPace, backend: Option<Duration>, now: Instant) -> Self {
        // From here one cannot tell a client that sends nothing from a backend that takes nothing. The backend has a
        // deadline of its own, and must run into that first, so that the client is never blamed for it.
        let longest = pace.grace.saturating_add(backend.unwrap_or(BACKEND));
        Self { pace, longest, left: longest, since: now }
    }

    /// So many bytes have come. By when there must be more.
    fn came(&mut self, bytes: usize, now: Instant) -> Instant {
        let waited = now.saturating_duration_since(self.since);
        self.left = self.left.saturating_sub(waited).saturating_add(self.pace.time_for(bytes as u64)).min(self.longest);
        self.since = now;
        now + self.left
    }
}

/// All of a body is read before a backend is asked, in the time that its request has. On HTTP/2 its pace counts, also that
/// of a call of gRPC.
pub(crate) fn hold(session: &Session, context: &mut Context, within: Duration) {
    let (Some(connection), Stage::Admitted(admitted)) = (&context.connection, &context.stage) else { return };
    let now = Instant::now();
    admitted.end_at(Deadline::Held, admitted.arrival.started.checked_add(within).unwrap_or(now));
    if session.is_http2() {
        let upload = Upload::new(connection.connection().body_pace(), Some(Duration::ZERO), now);
        admitted.end_at(Deadline::Body, now + upload.left);
        context.upload = Some(upload);
    }
}

/// Another piece of it has come.
pub(crate) fn comes(context: &mut Context, bytes: usize) {
    if let Stage::Admitted(admitted) = &context.stage {
        came(&mut context.upload, admitted, bytes, false);
    }
}

/// It is there.
pub(crate) fn held(context: &mut Context) {
    context.upload = None;
    if let Stage::Admitted(admitted) = &context.stage {
        admitted.lift(Deadline::Body);
        admitted.lift(Deadline::Held);
    }
}

/// The backend is there, and takes the body from now on. `backend` is how long it may take for each piece.
pub(crate) fn begin(session: &mut Session, context: &mut Context, backend: Option<Duration>) {
    let (Some(connection), Stage::Admitted(admitted)) = (&context.connection, &context.stage) else { return };
    // A call of gRPC may be silent for as long as it likes: its client says how long it waits.
    let held = admitted.held.is_some(); // so nothing is waited for
    if held || !session.is_http2() || session.is_body_empty() || canonical::speaks_grpc(&session.req_header().headers) {
        return;
    }
    let now = Instant::now();
    let upload = Upload::new(connection.connection().body_pace(), backend, now);
    admitted.end_at(Deadline::Body, now + upload.left);
    context.upload = Some(upload);
}

/// Another piece has come, or the last.
pub(crate) fn came(upload: &mut Option<Upload>, admitted: &Admitted, bytes: usize, whole: bool) {
    let Some(upload) = upload else { return };
    if whole {
        admitted.lift(Deadline::Body);
    } else {
        admitted.end_at(Deadline::Body, upload.came(bytes, Instant::now()));
    }
}

/// How long a client on HTTP/2 may take for one piece of what it asked for: its window is its own to open.
pub(crate) fn for_a_piece(pace: BodyPace) -> Duration {
    pace.grace.saturating_add(pace.time_for(PIECE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_enough_goes_on_and_whoever_does_not_runs_into_the_deadline() {
        let seconds = Duration::from_secs;
        let pace = BodyPace { rate: 1000.try_into().unwrap(), grace: seconds(10) };
        for (bytes, every, lasts) in
            [(0, 1, Some(15)), (100, 1, Some(16)), (1000, 1, None), (14_000, 14, None), (1 << 30, 16, Some(0))]
        {
            let start = Instant::now();
            let mut upload = Upload::new(pace, Some(seconds(5)), start);
            let (mut deadline, mut ended) = (start + upload.left, None);
            for step in 1..=1000 {
                let now = start + seconds(every * step);
                if now > deadline {
                    ended = Some(every * (step - 1));
                    break;
                }
                deadline = upload.came(bytes, now);
            }
            assert_eq!(ended, lasts, "{bytes} bytes every {every} s");
        }
    }
}
