use audit::{End, Outcome};
use gate::{Cause, Refusal};
use pingora::http::RequestHeader;
use policy::Echoed;
use terms::Reason;

use crate::context::{Admitted, Context, Stage};
use crate::proxy::Proxy;

/// The status that metrics count for who got none: the client was gone, or was not told.
const UNTOLD: u16 = 499;

impl Proxy {
    /// Completes the record of a request that is over, and counts it. What `outcome` says is of requests that were
    /// admitted; the time that it took is filled in here.
    pub(crate) fn close(&self, stage: Stage, outcome: Outcome, head: &RequestHeader) {
        match stage {
            Stage::Admitted(admitted) => self.close_admitted(*admitted, outcome),
            Stage::Refused { arrival, reason, route } => {
                let route = route.as_ref().map(|route| &route.id);
                self.metrics().answered(route, outcome.status.unwrap_or(UNTOLD), reason);
                self.metrics().finished(arrival.started.elapsed().as_secs_f64());
            }
            Stage::Arrived(arrival, _) => {
                // FAIL CLOSED: something ended this request before it was judged; it is on record all the same.
                let refusal = Refusal::new(Cause::Broken("filters"), self.gate().rules());
                let refused = self.refuse(&arrival, head, None, refusal);
                self.metrics().answered(None, outcome.status.unwrap_or(UNTOLD), refused.reason);
            }
            Stage::New | Stage::Recorded => {}
        }
    }

    /// Completes the record of a request that we have ended where it stood.
    pub(crate) fn cut(&self, mut context: Context, why: Reason) {
        let echo = self.echoed(&context);
        let outcome = Outcome { reason: Some(why), end: End::Cut, echo, ..context.so_far() };
        if let Some(stream) = context.stream.take() {
            stream.over(&outcome);
        }
        // INVARIANT: only what was admitted can be ended, see `running.rs`.
        if let Stage::Admitted(admitted) = std::mem::replace(&mut context.stage, Stage::Recorded) {
            self.close_admitted(*admitted, outcome);
        }
    }

    fn close_admitted(&self, admitted: Admitted, outcome: Outcome) {
        let Admitted { arrival, permit, .. } = admitted;
        let took = arrival.started.elapsed();
        let (status, reason) = (outcome.status.unwrap_or(UNTOLD), outcome.reason.unwrap_or(Reason::Allowed));
        self.metrics().answered(Some(&permit.route().id), status, reason);
        self.metrics().finished(took.as_secs_f64());
        permit.finish(&Outcome { took, ..outcome });
    }
    /// What the response said of its tenant, for the record. It is counted here, too.
    pub(crate) fn echoed(&self, context: &Context) -> Option<audit::Echo> {
        let said = context.watch.said()?;
        if let Stage::Admitted(admitted) = &context.stage
            && let Some((echo, _)) = admitted.echo()
        {
            self.metrics().echoed(echo.mode, said);
        }
        Some(recorded(said))
    }
}

/// What the record says of what a response said.
pub(crate) const fn recorded(said: Echoed) -> audit::Echo {
    match said {
        Echoed::Differs => audit::Echo::Differs,
        Echoed::Match => audit::Echo::Match,
        Echoed::Missing => audit::Echo::Missing,
        Echoed::Unreadable => audit::Echo::Unreadable,
    }
}
