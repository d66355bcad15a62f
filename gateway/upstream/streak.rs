use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Failures in a row at one address. Those of one tenant alone do not count, unless no connection stood: what a tenant asks
/// for may be what fails. Workers that count at the same moment may be off by one or two, which nobody will notice.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    failed: AtomicU32,
    /// Whose: a bit for each lane. Tenants that share a lane count as one.
    lanes: AtomicU64,
    unconnected: AtomicU32,
}

impl Streak {
    /// One more, of this lane; of none, if no connection stood. Says how many count.
    pub(crate) fn fail(&self, lane: Option<u32>) -> u32 {
        match lane {
            Some(lane) => {
                self.lanes.fetch_or(1 << (lane % u64::BITS), Ordering::Relaxed);
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                self.unconnected.fetch_add(1, Ordering::Relaxed);
            }
        }
        let several = self.lanes.load(Ordering::Relaxed).count_ones() > 1;
        let failed = if several { self.failed.load(Ordering::Relaxed) } else { 0 };
        failed.saturating_add(self.unconnected.load(Ordering::Relaxed))
    }

    /// Something went well. Nothing is written while all goes well.
    pub(crate) fn forget(&self) {
        if self.failed.load(Ordering::Relaxed) != 0 {
            self.failed.store(0, Ordering::Relaxed);
            self.lanes.store(0, Ordering::Relaxed);
        }
        if self.unconnected.load(Ordering::Relaxed) != 0 {
            self.unconnected.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_tenant_alone_do_not_count_and_those_of_two_do() {
        let streak = Streak::default();
        assert_eq!((0..10).map(|_| streak.fail(Some(3))).max(), Some(0));
        assert_eq!(streak.fail(Some(4)), 11);
    }

    #[test]
    fn connections_that_did_not_stand_count_whoever_asked() {
        let streak = Streak::default();
        assert_eq!([None, Some(1), None].map(|lane| streak.fail(lane)), [1, 1, 2]);
    }

    #[test]
    fn what_goes_well_ends_the_row() {
        let streak = Streak::default();
        for lane in [Some(1), Some(2), None] {
            streak.fail(lane);
        }
        streak.forget();
        assert_eq!([Some(1), None].map(|lane| streak.fail(lane)), [0, 1]);
    }
}
