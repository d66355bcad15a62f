use std::sync::Arc;
use std::time::Instant;

use audit::Glass;
use limit::{Ended, Spent, Standing};
use policy::Route;
use terms::{Reason, UpstreamId, Weight};

use crate::room::Lodged;
use crate::{Member, Rules};

/// The right to forward one request. Only the last step of [`crate::Gate::admit`] makes one, and by then the decision is
/// in the journal.
#[derive(Debug)]
pub struct Permit {
    rules: Arc<Rules>,
    route: Arc<Route>,
    member: Option<Member>,
    upstream: UpstreamId,
    spent: Spent,
    open: audit::Open,
    would: Option<Reason>,
    glass: Glass,
    _lodged: Lodged,
}

impl Permit {
    pub(crate) const fn new(
        rules: Arc<Rules>,
        route: Arc<Route>,
        member: Option<Member>,
        upstream: UpstreamId,
        spent: Spent,
        open: audit::Open,
        lodged: Lodged,
    ) -> Self {
        Self { rules, route, member, upstream, spent, open, would: None, glass: Glass::Whole, _lodged: lodged }
    }

    /// The same permit, which authorisation would not have given.
    pub(crate) fn in_shadow_of(self, shadow: Option<audit::Shadow>) -> Self {
        Self { would: shadow.and_then(|shadow| shadow.would), ..self }
    }

    /// The same permit, which no role grants, or some does.
    pub(crate) fn by(self, glass: Glass) -> Self {
        Self { glass, ..self }
    }

    /// Whether roles grant it.
    #[must_use]
    pub const fn glass(&self) -> Glass {
        self.glass
    }

    /// Why authorisation would have refused the request, if its route were not in shadow.
    #[must_use]
    pub const fn would(&self) -> Option<Reason> {
        self.would
    }

    /// The route.
    #[must_use]
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Who asks; nobody on a public route.
    #[must_use]
    pub const fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Where it may go, and nowhere else.
    #[must_use]
    pub const fn upstream(&self) -> &UpstreamId {
        &self.upstream
    }

    /// What the backend may be told about who asks; nothing on a public route.
    #[must_use]
    pub fn identity(&self) -> Option<assertion::Identity<'_>> {
        let member = self.member.as_ref()?;
        let (caller, membership) = (member.caller(), member.membership());
        let token = caller.token();
        Some(assertion::Identity {
            tenant: membership.tenant(),
            issuer: caller.vouched_by(),
            subject: caller.subject(),
            roles: membership.roles(),
            acr: token.and_then(|token| token.acr()),
            amr: token.map_or(&[], |token| token.amr()),
            auth_time: token.and_then(|token| token.auth_time()),
            claimed: token.map_or(&[], |token| token.claimed()),
            expires_at: caller.good_until(),
            token: caller.fingerprint(),
        })
    }

    /// How much of what is short its tenant gets.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.rules.weight(self.member().map(|member| member.membership().tenant()))
    }

    /// What the limits still have.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.spent.standing
    }

    /// The rules that it was judged by.
    #[must_use]
    pub const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Where the record of this request is kept, to say in the log that it runs long.
    #[must_use]
    pub fn witness(&self) -> audit::Witness {
        self.open.witness()
    }

    /// Ends the request: writes how it went into its record.
    pub fn finish(mut self, outcome: &audit::Outcome) {
        self.settle(outcome);
        self.open.finish(outcome);
    }

    /// The request is dropped before its end: its record says what is known by then.
    pub fn break_off(mut self, so_far: audit::Outcome) {
        self.settle(&so_far);
        self.open.break_off(so_far);
    }

    /// Tells the limits how the request has ended. A permit that is dropped without a word gives back its place all the same.
    fn settle(&mut self, outcome: &audit::Outcome) {
        let bytes = outcome.bytes_in.saturating_add(outcome.bytes_out);
        self.spent.held.ends(Ended { bytes, status: outcome.status }, Instant::now());
    }
}
