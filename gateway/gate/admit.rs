use std::sync::Arc;

use apikey::ApiKeys;
use audit::Logs;
use canonical::CanonicalRequest;
use directory::Directory;
use policy::Access;
use subjects::Subjects;
use tally::Tally;
use tenancy::Revocations;
use terms::{Clients, Live};
use token::{Dpop, Verifier};

use crate::assured::Assured;
use crate::direct::{DemandingHosts, Directed};
use crate::grant::Granted;
use crate::holder::Held;
use crate::identify::Identified;
use crate::member::Entered;
use crate::origin::{Counted, Present, Welcome};
use crate::room::{Lodged, Room};
use crate::route::Routed;
use crate::valid::Valid;
use crate::veil::Veiled;
use crate::{Arrival, Cause, Permit, Preflight, Refusal, Rooms, Rules, Seen};

/// Judges requests, by the rules that are in force when they arrive.
#[derive(Debug)]
pub struct Gate {
    clients: Clients,
    rooms: Arc<Rooms>,
    demanding: DemandingHosts,
    rules: Arc<Live<Rules>>,
    tokens: Arc<Verifier>,
    dpop: Arc<Dpop>,
    keys: Arc<Live<ApiKeys>>,
    directory: Option<Directory>,
    tally: Option<Tally>,
    subjects: Option<Subjects>,
    revocations: Arc<Live<Revocations>>,
    logs: Arc<Logs>,
}

/// What a request may do that is not refused.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are permits, and a box would cost each of them an allocation"
)]
pub enum Admission {
    /// Be forwarded.
    Forward(Permit),
    /// Be answered by the gateway itself: it asks what a page in a browser may ask, and nothing else.
    Preflight(Preflight),
}

impl Gate {
    /// A gate for these clients with these rules, which may be replaced while it works.
    #[must_use]
    pub fn new(
        clients: Clients,
        rooms: Arc<Rooms>,
        rules: Arc<Live<Rules>>,
        tokens: Arc<Verifier>,
        dpop: Arc<Dpop>,
        logs: Arc<Logs>,
    ) -> Self {
        let (demanding, keys) = (DemandingHosts::default(), Arc::new(Live::new(ApiKeys::default())));
        let revocations = Arc::new(Live::new(Revocations::default()));
        Self {
            clients,
            rooms,
            demanding,
            rules,
            tokens,
            dpop,
            keys,
            directory: None,
            tally: None,
            subjects: None,
            revocations,
            logs,
        }
    }

    /// The same gate, for listeners that demand certificates of the clients of these hosts.
    #[must_use]
    pub fn demanding_certificates(self, demanding: DemandingHosts) -> Self {
        Self { demanding, ..self }
    }

    /// The same gate, which knows these API keys.
    #[must_use]
    pub fn knowing(self, keys: Arc<Live<ApiKeys>>) -> Self {
        Self { keys, ..self }
    }

    /// The same gate, which asks this directory in place of the members in the policy files.
    #[must_use]
    pub fn asking(self, directory: Option<Directory>) -> Self {
        Self { directory, ..self }
    }

    /// The same gate, whose limits stand in this store, where they say so.
    #[must_use]
    pub fn counting_in(self, tally: Option<Tally>) -> Self {
        Self { tally, ..self }
    }

    /// The same gate, whose records have of members what this says. Without it they are named by a keyed hash, and nothing of
    /// them can be forgotten.
    #[must_use]
    pub fn veiling(self, subjects: Option<Subjects>) -> Self {
        Self { subjects, ..self }
    }

    /// The same gate, which also knows of tokens that were taken back while it works.
    #[must_use]
    pub fn revoking(self, revocations: Arc<Live<Revocations>>) -> Self {
        Self { revocations, ..self }
    }

    /// Every check there is, in the order in which a request meets them. Each yields a proof that the next one takes;
    /// the first that fails ends it. What comes out has its record in the journal already.
    ///
    /// # Errors
    /// The refusal, with the last proof that the request reached. It is not recorded yet: see
    /// [`Gate::record`].
    pub async fn admit(&self, arrival: &Arrival, request: &CanonicalRequest<'_>) -> Result<Admission, Refusal> {
        let rules = self.rules.snapshot();
        let room = Room::take(&self.rooms, &rules)?; // there are not too many requests already
        let welcome = Welcome::check(&self.clients, arrival, rules)?; // clients may come from there
        let counted = Counted::spend(welcome, arrival)?; // its address does not come too often, whatever it asks for
        let directed = Directed::check(counted, &self.demanding, arrival, request)?; // the connection is for this host
        if let Some(preflight) = Preflight::find(&directed, request)? {
            return preflight.answer(self.tally.as_ref(), arrival, &self.logs, request).await.map(Admission::Preflight); // no token, and no backend
        }
        let routed = Routed::find(directed, request)?; // host, path and method name one route
        let routed = routed.vouch(arrival)?; // a certificate that the client has shown is good, and for this tenant
        let fitting = routed.fit(request)?; // the route takes such a body and such an upgrade
        let (granted, lodged) = match &fitting.route().access {
            Access::Public => {
                let lodged = Lodged::public(&fitting, room)?; // what no tenant asks for has not more than its share of all rooms
                (Granted::public(fitting)?, lodged)
            }
            Access::Guarded { .. } | Access::Services { .. } => {
                let identified =
                    Identified::verify(fitting, &self.tokens, &self.keys.glance(), arrival, request).await?; // a token, a key or a certificate names a caller
                let held = Held::check(identified, &self.dpop, arrival, request)?; // the token is in the hands that it was made out to
                let entered = Entered::enter(held, self.directory.as_ref(), arrival, request).await?; // the caller is inside the tenant that all name
                let (entered, lodged) = Lodged::check(entered, room)?; // its tenant has not more than its share of all rooms
                let veiled = Veiled::check(entered, self.subjects.as_ref(), arrival).await?; // the log has a name for it that can be forgotten
                let valid = Valid::check(veiled, &self.revocations.glance())?; // its token was not taken back
                let present = Present::check(valid, arrival)?; // its tenant lets members come from there
                let assured = Assured::check(present, arrival)?; // its user has proven itself well enough, and lately
                (Granted::decide(assured, arrival, request)?, lodged) // a role of the member grants it, and none denies it
            }
        };
        let placed = granted.place()?; // the route names an upstream for the tenant
        let limited = placed.spend(self.tally.as_ref(), arrival, request).await?; // all limits have room, and now have less
        let permit = limited.record(&self.logs, arrival, request, lodged).await?; // the decision is kept: a permit
        Ok(Admission::Forward(permit))
    }

    /// Keeps the record of a refusal, and gives the refusal that the client is to be told: another one if the record cannot
    /// be kept. To be called before the client is answered with `sent` bytes of body.
    pub fn record(&self, arrival: &Arrival, seen: Seen<'_>, refusal: Refusal, sent: u64) -> Refusal {
        match crate::verdict::refused(&self.logs, arrival, seen, &refusal, sent) {
            Ok(()) => refusal,
            Err(unavailable) => refusal.because(Cause::Unrecorded(unavailable)),
        }
    }

    /// What judges proofs of possession.
    #[must_use]
    pub const fn dpop(&self) -> &Arc<Dpop> {
        &self.dpop
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.snapshot()
    }

    /// The tokens that were taken back, besides those of the rules.
    #[must_use]
    pub fn revocations(&self) -> Arc<Revocations> {
        self.revocations.snapshot()
    }

    /// Where decisions are kept.
    #[must_use]
    pub const fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }
}
