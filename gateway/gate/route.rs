use std::sync::Arc;

use canonical::{Body, CanonicalRequest};
use policy::{Route, Upgrade};

use crate::direct::Directed;
use crate::refusal::{Cause, Refusal};
use crate::{Rules, Who};

/// Proof that a request's host, path and method name one route of the rules. Only [`Routed::find`] makes one.
pub(crate) struct Routed<'r> {
    rules: Arc<Rules>,
    route: Arc<Route>,
    pub(crate) tenant_in_host: Option<&'r str>,
    pub(crate) tenant_in_path: Option<String>,
}

impl<'r> Routed<'r> {
    pub(crate) fn find(directed: Directed, request: &'r CanonicalRequest<'_>) -> Result<Self, Refusal> {
        let rules = directed.into_rules();
        // What a backend makes of the path, not how it is spelled: `/%40me` and `/@me` are one resource, so one route.
        let path = request.decoded_path();
        let Some(matched) = rules.policy().route(request.host(), &path, request.method().as_str()) else {
            return Err(Refusal::new(Cause::NoRoute, rules));
        };
        let route = Arc::clone(matched.route);
        let tenant_in_host = matched.tenant_in_host.and_then(|label| request.host().get(..label.len())); // its first label
        let tenant_in_path = matched.tenant_in_path.map(str::to_owned);
        Ok(Self { rules, route, tenant_in_host, tenant_in_path })
    }

    /// Refuses a body or an upgrade that the route does not take, before anything is spent on the request.
    pub(crate) fn fit(self, request: &CanonicalRequest<'_>) -> Result<Self, Refusal> {
        let wants_upgrade = request.upgrade().is_some();
        if wants_upgrade && self.route.upgrade != Upgrade::WebSocket {
            return Err(self.refuse(Cause::Upgrade));
        }
        match request.body() {
            Body::Length(bytes) if bytes > self.route.max_body.0 => Err(self.refuse(Cause::BodyTooLarge)),
            Body::Length(bytes) if self.route.body_digest.is_some_and(|bound| bytes > bound.0) => {
                Err(self.refuse(Cause::BodyBeyondDigest))
            }
            Body::None | Body::Length(_) | Body::Chunked => Ok(self), // a chunked body is counted as it comes
        }
    }

    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(crate) fn refuse(&self, cause: Cause) -> Refusal {
        self.refuse_as(cause, Who::Nobody)
    }

    pub(crate) fn refuse_as(&self, cause: Cause, who: Who) -> Refusal {
        Refusal::new(cause, Arc::clone(&self.rules)).on(Arc::clone(&self.route), who)
    }
}
