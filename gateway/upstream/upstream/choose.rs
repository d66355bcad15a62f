//! Which address is next, and what is learnt from how it went.

use super::*;

impl Upstream {
    /// The address for the next attempt of a request: one that was not tried yet, if there is one.
    ///
    /// # Errors
    /// There is no address to be asked.
    pub fn choose(&self, tenant: Option<&TenantId>, tried: &Tried, now: Instant) -> Result<Chosen, Unavailable> {
        let (list, now) = (self.list.glance(), self.since(now));
        let state = |address: &Address| address.condition().state(now, self.slow_return());
        let fresh = |address: &Address| !tried.has(address.socket());
        let has_its_share = |address: &Address| match state(address) {
            State::Available => true,
            State::Returning(part) => self.draws(tenant, address, part),
            State::Ejected | State::Unhealthy => false,
        };
        let pick = |fits: &dyn Fn(&Address) -> bool| self.balancer.pick(&list, tenant, fits);
        self.balancer
            .pick(&list, tenant, |address| fresh(address) && has_its_share(address))
            .or_else(|| pick(&|address| fresh(address) && !state(address).is_out()))
            .or_else(|| pick(&|address| !state(address).is_out()))
            // What became of requests is only a hint: it closes no upstream, whose breaker looks at the whole of it.
            // FAIL CLOSED: what became of checks is an answer, and the operator asked for it.
            .or_else(|| pick(&|address| state(address) != State::Unhealthy))
            .map(Chosen::new)
            .ok_or_else(|| self.unavailable(list.members().is_empty()))
    }

    fn unavailable(&self, empty: bool) -> Unavailable {
        match self.check() {
            Some(check) if !empty => Unavailable::Unhealthy { retry_after: check.every },
            Some(_) | None => Unavailable::NoAddress,
        }
    }

    /// Whether an address that gets only a part of its share gets this request. A tenant that has its own address goes back
    /// to it once, and stays there.
    fn draws(&self, tenant: Option<&TenantId>, address: &Address, part: f64) -> bool {
        match (self.balancer.balance(), tenant) {
            (Balance::Consistent, Some(tenant)) => lot(tenant, address) < part,
            (Balance::Consistent | Balance::LeastRequests | Balance::RoundRobin, _) => fastrand::f64() < part,
        }
    }

    /// Is told how an attempt went. An address at which too many in a row failed is left out for a while.
    pub fn report(&self, chosen: &Chosen, tenant: Option<&TenantId>, went: Went, now: Instant) {
        let (address, condition) = (chosen.address(), chosen.address().condition());
        let lane = match went.verdict() {
            Verdict::Fine => {
                condition.streak.forget();
                if condition.answers_again(self.since(now)) {
                    tracing::info!(upstream = %self.id, address = %address.socket(), "an address that was left out answers again");
                }
                return;
            }
            Verdict::Failed => Some((self.lanes.hash_one(tenant) % u64::from(u64::BITS)) as u32),
            Verdict::Unconnected => None,
        };
        if condition.streak.fail(lane) >= self.health.ejection.consecutive.get() {
            self.eject(address, self.since(now));
        }
    }

    /// Leaves an address out, if that leaves enough of them.
    fn eject(&self, address: &Arc<Address>, now: u64) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (list, ejection) = (self.list.glance(), &self.health.ejection);
        let is_out = |address: &Address| address.condition().state(now, self.slow_return()).is_out();
        let members = list.members().iter().map(|member| &member.address);
        let out = members.clone().filter(|member| is_out(member)).count() + 1;
        let most = ejection.max_share.of(members.len()).min(members.len().saturating_sub(1));
        if is_out(address) || out > most || !members.clone().any(|member| Arc::ptr_eq(member, address)) {
            return;
        }
        let (span, in_a_row) = address.condition().eject(ejection, self.slow_return(), now);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        let (socket, span) = (address.socket(), Span(span));
        tracing::warn!(
            upstream = %self.id, address = %socket, %span, in_a_row,
            "an address at which requests fail is left out for a while"
        );
    }

    /// Milliseconds since it was made.
    pub(super) fn since(&self, now: Instant) -> u64 {
        milliseconds(now.saturating_duration_since(self.origin))
    }

    pub(super) fn slow_return(&self) -> u64 {
        milliseconds(self.health.slow_return)
    }
}
