//! What checks say, and what is told of it.

use super::*;

/// How many addresses are named when all are out.
const NAMED: usize = 3;

impl Upstream {
    /// How its addresses are checked, if they are.
    #[must_use]
    pub const fn check(&self) -> Option<&CheckSettings> {
        self.health.check.as_ref()
    }

    /// Takes the result of a check of this address.
    pub(crate) fn checked(
        &self,
        address: &Address,
        settings: &CheckSettings,
        result: Result<(), ProbeError>,
        now: Instant,
    ) {
        let count = if result.is_ok() { &self.passed } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let result = result.map_err(|error| terms::chain(&error));
        let error = result.as_ref().err().cloned().unwrap_or_default();
        let (upstream, socket) = (&self.id, address.socket());
        match address.condition().check(result, settings, self.since(now)) {
            None => {}
            Some(Turn::Out) => {
                tracing::warn!(%upstream, address = %socket, error, "an address fails its checks and gets no requests");
            }
            Some(Turn::Back) => {
                tracing::info!(%upstream, address = %socket, "an address passes its checks and gets requests again");
            }
        }
    }

    /// Why requests cannot be sent there, if they cannot.
    #[must_use]
    pub fn ails(&self) -> Option<String> {
        let (list, now) = (self.list.glance(), Instant::now());
        if list.members().is_empty() {
            let errors: Vec<String> = self.entries.iter().filter_map(Entry::error).collect();
            return Some(if errors.is_empty() { "no name looked up yet".into() } else { errors.join(", ") });
        }
        if !self.is_out(now) {
            return None;
        }
        let why =
            |address: &Address| format!("{} ({})", address.socket(), address.condition().error().unwrap_or_default());
        let named = list.members().iter().take(NAMED).map(|member| why(&member.address)).collect::<Vec<_>>().join(", ");
        let more = list.members().len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("every address fails its checks: {named}{more}"))
    }

    /// Whether every address fails its checks, so that none is asked.
    #[must_use]
    pub fn is_out(&self, now: Instant) -> bool {
        let (list, now) = (self.list.glance(), self.since(now));
        let ill = |address: &Address| address.condition().state(now, self.slow_return()) == State::Unhealthy;
        !list.members().is_empty() && list.members().iter().all(|member| ill(&member.address))
    }

    /// How many addresses are in which state.
    #[must_use]
    pub fn states(&self, now: Instant) -> States {
        let (now, mut states) = (self.since(now), States::default());
        for member in self.list.glance().members() {
            let count = match member.address.condition().state(now, self.slow_return()) {
                State::Available => &mut states.available,
                State::Returning(_) => &mut states.returning,
                State::Ejected => &mut states.ejected,
                State::Unhealthy => &mut states.unhealthy,
            };
            *count += 1;
        }
        states
    }

    /// How many checks went well, and how many failed.
    #[must_use]
    pub fn checks(&self) -> (u64, u64) {
        (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// How often an address was left out for what became of requests.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Its addresses as they are now.
    pub(crate) fn members(&self) -> Vec<Arc<Address>> {
        self.list.glance().members().iter().map(|member| Arc::clone(&member.address)).collect()
    }

    pub(crate) fn has(&self, address: &Arc<Address>) -> bool {
        self.list.glance().members().iter().any(|member| Arc::ptr_eq(&member.address, address))
    }

    /// Resolves when it has other addresses than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
