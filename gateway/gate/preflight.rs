use std::num::NonZeroU32;
use std::sync::Arc;

use audit::Logs;
use canonical::CanonicalRequest;
use http::{HeaderName, HeaderValue};
use limit::Asker;
use policy::{Cors, Route};
use tally::Tally;

use crate::direct::Directed;
use crate::refusal::{Cause, Refusal};
use crate::{Arrival, Rules, Who, shared};

/// Proof that a browser asks whether a page may ask, and that the route says yes to it. It is answered without a token, which
/// browsers do not send with it, and by us alone: no backend hears of it. Only `Preflight::find` makes one.
#[derive(Debug)]
pub struct Preflight {
    rules: Arc<Rules>,
    route: Arc<Route>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Preflight {
    /// `None` for whatever is not such a request, and where the route that the page wants to ask says nothing of other
    /// origins: then it is a request like any other, and goes the way of all.
    pub(crate) fn find(directed: &Directed, request: &CanonicalRequest<'_>) -> Result<Option<Self>, Refusal> {
        let rules = directed.rules();
        let malformed = |malformed| Refusal::new(Cause::Malformed(malformed), Arc::clone(rules));
        let Some(asked) = request.preflight().map_err(malformed)? else { return Ok(None) };
        let path = request.decoded_path();
        // The route of what the page wants to ask, not of `OPTIONS`.
        let Some(matched) = rules.policy().route(request.host(), &path, asked.method) else { return Ok(None) };
        let Some(cors) = &matched.route.cors else { return Ok(None) };
        if !cors.allows(asked.origin, request.host()) || !cors.takes(asked.method, asked.fields) {
            let refusal = Refusal::new(Cause::Origin, Arc::clone(rules));
            return Err(refusal.on(Arc::clone(matched.route), Who::Nobody));
        }
        let fields = cors.preflight_fields(asked.origin);
        Ok(Some(Self { rules: Arc::clone(rules), route: Arc::clone(matched.route), fields }))
    }

    /// Takes from those limits of the route that count without a caller, and keeps the record.
    pub(crate) async fn answer(
        self,
        tally: Option<&Tally>,
        arrival: &Arrival,
        logs: &Logs,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let asker = Asker::stranger(arrival.client, Some(&self.route.id), arrival.at);
        let limits = self.route.cors.as_ref().map_or(&[][..], Cors::limits);
        let all = self.rules.limits();
        let spent = shared::spend(all, tally, limits, &asker, NonZeroU32::MIN, arrival.started).await;
        let refuse = |cause| Refusal::new(cause, Arc::clone(&self.rules)).on(Arc::clone(&self.route), Who::Nobody);
        spent.map_err(|exceeded| refuse(Cause::Limited(exceeded)))?;
        // FAIL CLOSED: an answer that cannot be kept is not given.
        crate::verdict::preflight(logs, arrival, request, &self.route, &self.rules)
            .map_err(|unavailable| refuse(Cause::Unrecorded(unavailable)))?;
        Ok(self)
    }

    /// The route that the page wants to ask.
    #[must_use]
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// What the answer says.
    #[must_use]
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }
}
