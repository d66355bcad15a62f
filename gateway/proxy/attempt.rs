use std::time::{Duration, Instant};

use audit::End;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::proxy::Session;
use policy::Repeat;
use terms::Reason;
use upstream::{Backoff, Bound, Open, Shed, Unavailable, Went};

use crate::backends::Backend;
use crate::context::{Context, Stage};
use crate::proxy::Proxy;
use crate::retry::{Body, Connection, Failure};
use crate::{deadline, patience};

impl Proxy {
    /// Begins the next attempt of a permitted request: it waits until it may, has a place, and knows where to.
    pub(crate) async fn attempt(&self, session: &Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no peer");
        };
        if context.effort.backend.is_none() {
            context.effort.backend = self.backends().named(admitted.permit.upstream()).cloned();
        }
        let Some(backend) = context.effort.backend.clone() else {
            return Error::e_explain(ErrorType::InternalError, "rules and backends do not fit together");
        };
        let backend = &*backend;
        let (defence, id) = (backend.defence(), backend.upstream().id());
        context.chosen = None; // what an earlier attempt held
        context.effort.pass = None;
        context.received = 0; // a body that is sent again is counted again
        if let Some(pause) = context.effort.pause.take() {
            tokio::time::sleep(pause).await;
        }
        let tenant = admitted.permit.member().map(|member| member.membership().tenant());
        if context.effort.place.is_none() {
            let came = Instant::now();
            if let Err(open) = defence.breaker().check(came) {
                return Err(self.open(context, backend, open));
            }
            context.effort.until = deadline::of(session, admitted, backend);
            let place = defence.bulkhead().enter(tenant, admitted.permit.weight(), context.effort.left(came)).await;
            self.metrics().waited(id, came.elapsed());
            match place {
                Ok(place) => context.effort.place = Some(place),
                Err(shed) => return Err(self.shed(context, backend, shed)),
            }
            defence.budget().earn();
        }
        let now = Instant::now();
        match defence.breaker().pass(tenant, now) {
            Ok(pass) => context.effort.pass = Some(pass),
            Err(open) => return Err(self.open(context, backend, open)),
        }
        let chosen = backend.upstream().choose(tenant, &context.tried, now);
        if let Err(Unavailable::Unhealthy { retry_after }) = chosen {
            return Err(self.unhealthy(context, backend, retry_after));
        }
        context.attempts = context.attempts.saturating_add(1);
        context.forwarded.get_or_insert(now);
        match chosen {
            Ok(chosen) => {
                let times = deadline::times(admitted, backend);
                let mut peer = backend.peer(&chosen, tenant, times);
                context.backend_takes = peer.options.write_timeout;
                context.effort.connects_within = peer.options.total_connection_timeout;
                context.effort.first_byte = deadline::first_byte(times, backend);
                deadline::bound(&mut peer, context.effort.until)?;
                patience::bound(&mut peer, admitted)?;
                context.tried.note(&chosen);
                context.chosen = Some(chosen);
                context.reported = false;
                Ok(Box::new(peer))
            }
            Err(unavailable) => Error::e_because(ErrorType::ConnectError, "nowhere to connect to", unavailable)
                .map_err(|error: Box<Error>| error.into_up()),
        }
    }

    /// Whether a failed attempt is followed by another one. If so, that one is paid for.
    pub(crate) fn again(&self, session: &Session, context: &mut Context, failure: Failure) -> bool {
        let Stage::Admitted(admitted) = &context.stage else { return false };
        let Some(backend) = context.effort.backend.clone() else { return false };
        let (defence, id) = (backend.defence(), backend.upstream().id());
        let retries = defence.retries();
        let body = match context.received {
            0 => Body::Unsent,
            _ if session.as_ref().retry_buffer_truncated() => Body::Lost,
            _ => Body::Kept,
        };
        let over = context.effort.begun || context.attempts >= retries.attempts.get();
        let route = admitted.permit.route();
        if over || route.repeat == Repeat::Never || !failure.allows_another(&session.req_header().method, body) {
            return false;
        }
        let now = Instant::now();
        if defence.breaker().check(now).is_err() || backend.upstream().is_out(now) {
            return false; // the client hears of this failure, not of the breaker or of checks
        }
        let pause = match failure {
            Failure::Stale => Duration::ZERO, // nobody is asked twice: that connection had ended before
            Failure::Answered
            | Failure::Broke
            | Failure::Garbage
            | Failure::Late
            | Failure::Refused
            | Failure::Unconnected => pause(retries.backoff, context.attempts),
        };
        if context.effort.left(now) <= pause {
            self.metrics().retried(id, "no_time");
            return false;
        }
        if defence.budget().spend(now).is_err() {
            self.metrics().retried(id, "no_budget");
            return false;
        }
        self.metrics().retried(id, "made");
        context.effort.pause = Some(pause);
        true
    }

    /// Takes note of an attempt for which no connection stood. `true`: another one follows.
    pub(crate) fn unconnected(&self, session: &Session, context: &mut Context, peer: &HttpPeer, error: &Error) -> bool {
        let went =
            went_unconnected(error.etype(), peer.options.total_connection_timeout, context.effort.connects_within);
        self.report(context, went);
        self.again(session, context, Failure::Unconnected)
    }

    /// Takes note of an attempt that failed after its connection stood. `true`: another one follows.
    pub(crate) fn failed(&self, session: &Session, context: &mut Context, error: &Error, from: Connection) -> bool {
        let Some(failure) = Failure::of(error, from) else { return false };
        match failure {
            Failure::Late => self.report(context, Went::Late),
            Failure::Broke | Failure::Garbage => self.report(context, Went::Broke),
            // Nothing was asked of the backend, or what it answered is noted already.
            Failure::Answered | Failure::Refused | Failure::Stale | Failure::Unconnected => {}
        }
        self.again(session, context, failure)
    }

    /// Notes that a request has its response, if not at the first attempt.
    pub(crate) fn recovered(&self, context: &Context) {
        if let (true, Stage::Admitted(admitted)) = (context.attempts > 1, &context.stage) {
            self.metrics().retried(admitted.permit.upstream(), "recovered");
        }
    }

    /// Whether this status is put aside for another attempt: the client never sees it.
    pub(crate) fn puts_aside(&self, session: &Session, context: &mut Context, status: u16) -> bool {
        let Some(backend) = &context.effort.backend else { return false };
        let listed = backend.defence().retries().statuses.contains(&status);
        context.effort.put_aside = listed && self.again(session, context, Failure::Answered);
        context.effort.put_aside
    }

    /// Tells address and breaker how the attempt went that is under way. The first word counts for the address: what comes
    /// after a response has begun says nothing about it.
    pub(crate) fn report(&self, context: &mut Context, went: Went) {
        let now = Instant::now();
        if let Some(pass) = &mut context.effort.pass {
            pass.report(went.verdict(), now);
        }
        let Context { stage, chosen, effort, reported, .. } = context;
        if let (Stage::Admitted(admitted), Some(chosen), Some(backend), false) =
            (stage, chosen, &effort.backend, *reported)
        {
            let tenant = admitted.permit.member().map(|member| member.membership().tenant());
            backend.upstream().report(chosen, tenant, went, now);
            *reported = true;
        }
    }

    fn open(&self, context: &mut Context, backend: &Backend, open: Open) -> Box<Error> {
        self.metrics().shed(backend.upstream().id(), "open");
        turn_away(context, Reason::UpstreamOpen, open.retry_after)
    }

    /// Nobody was asked, so that the breaker has nothing to count.
    fn unhealthy(&self, context: &mut Context, backend: &Backend, retry_after: Duration) -> Box<Error> {
        context.effort.pass = None;
        self.metrics().shed(backend.upstream().id(), "unhealthy");
        turn_away(context, Reason::UpstreamUnhealthy, retry_after)
    }

    fn shed(&self, context: &mut Context, backend: &Backend, shed: Shed) -> Box<Error> {
        let Shed { bound, retry_after } = shed;
        let (why, reason) = match bound {
            Bound::Share => ("share", Reason::LimitShare),
            Bound::Tenant => ("tenant", Reason::LimitConcurrency),
            Bound::Upstream => ("upstream", Reason::UpstreamBusy),
        };
        self.metrics().shed(backend.upstream().id(), why);
        turn_away(context, reason, retry_after)
    }
}

/// Ends a request that no backend was asked for: it is answered at once, and may be asked again.
fn turn_away(context: &mut Context, reason: Reason, retry_after: Duration) -> Box<Error> {
    context.failed = Some((reason, End::Complete));
    context.effort.retry_after = Some(retry_after);
    Error::explain(ErrorType::new("turned away"), reason.as_str())
}

fn pause(backoff: Backoff, attempts: u8) -> Duration {
    backoff.before(u32::from(attempts), fastrand::u32(..))
}

/// A connection that was given less than its whole time says nothing of the backend alone: a client that has no patience
/// could do that on purpose, for everybody.
fn went_unconnected(error: &ErrorType, given: Option<Duration>, whole: Option<Duration>) -> Went {
    let late = matches!(error, ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout);
    if late && given < whole { Went::Late } else { Went::Unconnected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_had_less_than_its_time_is_late_and_says_nothing_of_the_backend_alone() {
        let (short, whole) = (Some(Duration::from_millis(1)), Some(Duration::from_secs(1)));
        for (error, given, expected) in [
            (ErrorType::ConnectTimedout, short, Went::Late),
            (ErrorType::TLSHandshakeTimedout, short, Went::Late),
            (ErrorType::ConnectTimedout, whole, Went::Unconnected),
            (ErrorType::ConnectRefused, short, Went::Unconnected),
        ] {
            assert_eq!(went_unconnected(&error, given, whole), expected, "{error:?} {given:?}");
        }
    }
}
