use std::time::{Duration, Instant};

use audit::End;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::proxy::Session;
use policy::Repeat;
use terms::Reason;
use upstream::{Backoff, Open, Shed, Verdict, Went};

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
        let Some(backend) = self.backends().named(admitted.permit.upstream()) else {
            return Error::e_explain(ErrorType::InternalError, "rules and backends do not fit together");
        };
        let (defence, id) = (backend.defence(), backend.upstream().id());
        context.chosen = None; // what an earlier attempt held
        context.effort.pass = None;
        context.received = 0; // a body that is sent again is counted again
        if let Some(pause) = context.effort.pause.take() {
            tokio::time::sleep(pause).await;
        }
        let tenant = admitted.permit.member().map(|member| member.membership().tenant());
        if context.effort.place.is_none() {
            if let Err(open) = defence.breaker().check(Instant::now()) {
                return Err(self.open(context, backend, open));
            }
            context.effort.until = deadline::of(session, admitted, backend);
            let came = Instant::now();
            let place = defence.bulkhead().enter(tenant, context.effort.left(came)).await;
            self.metrics().waited(id, came.elapsed());
            match place {
                Ok(place) => context.effort.place = Some(place),
                Err(shed) => return Err(self.shed(context, backend, shed)),
            }
            defence.budget().earn();
        }
        match defence.breaker().pass(tenant, Instant::now()) {
            Ok(pass) => context.effort.pass = Some(pass),
            Err(open) => return Err(self.open(context, backend, open)),
        }
        context.attempts = context.attempts.saturating_add(1);
        context.forwarded.get_or_insert_with(Instant::now);
        match backend.upstream().choose(tenant, &context.tried, Instant::now()) {
            Ok(chosen) => {
                let times = deadline::times(admitted, backend);
                let mut peer = backend.peer(&chosen, tenant, times);
                context.backend_takes = peer.options.write_timeout;
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
        let Some(backend) = self.backends().named(admitted.permit.upstream()) else { return false };
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
        if defence.breaker().check(now).is_err() {
            return false; // the client hears of this failure, not of the breaker
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
        let Stage::Admitted(admitted) = &context.stage else { return false };
        let Some(backend) = self.backends().named(admitted.permit.upstream()) else { return false };
        let listed = backend.defence().retries().statuses.contains(&status);
        context.effort.put_aside = listed && self.again(session, context, Failure::Answered);
        context.effort.put_aside
    }

    /// Tells address and breaker how the attempt went that is under way. The first word counts for the address: what comes
    /// after a response has begun says nothing about it.
    pub(crate) fn report(&self, context: &mut Context, went: Went) {
        let now = Instant::now();
        if let Some(pass) = &mut context.effort.pass {
            pass.report(verdict(went), now);
        }
        let (Stage::Admitted(admitted), Some(chosen)) = (&context.stage, &context.chosen) else { return };
        let backend = self.backends().named(admitted.permit.upstream());
        if let Some(backend) = backend.filter(|_| !context.reported) {
            backend.upstream().report(chosen, went, now);
            context.reported = true;
        }
    }

    fn open(&self, context: &mut Context, backend: &Backend, open: Open) -> Box<Error> {
        self.metrics().shed(backend.upstream().id(), "open");
        turn_away(context, Reason::UpstreamOpen, open.retry_after)
    }

    fn shed(&self, context: &mut Context, backend: &Backend, shed: Shed) -> Box<Error> {
        let (why, reason) = match shed {
            Shed::Tenant => ("tenant", Reason::LimitConcurrency),
            Shed::Upstream => ("upstream", Reason::UpstreamBusy),
        };
        self.metrics().shed(backend.upstream().id(), why);
        turn_away(context, reason, Duration::from_secs(1))
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

/// What an attempt says about the backend. A status says something only if it speaks of the backend and not of the request.
const fn verdict(went: Went) -> Verdict {
    match went {
        Went::Answered(502..=504) | Went::Broke | Went::Late => Verdict::Failed,
        Went::Answered(_) => Verdict::Fine,
        Went::Unconnected => Verdict::Unconnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_the_backend_counts_against_it() {
        for status in [200, 204, 301, 400, 401, 403, 404, 409, 429, 499, 500, 501, 505, 599] {
            assert_eq!(verdict(Went::Answered(status)), Verdict::Fine, "{status}");
        }
        for went in [Went::Answered(502), Went::Answered(503), Went::Answered(504), Went::Broke, Went::Late] {
            assert_eq!(verdict(went), Verdict::Failed, "{went:?}");
        }
        assert_eq!(verdict(Went::Unconnected), Verdict::Unconnected);
    }
}
