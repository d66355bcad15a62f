use std::num::{NonZeroU8, NonZeroU32};

use upstream::{Backoff, BreakerSettings, BudgetSettings, Caps, DefenceSettings, Retries};
use yaml::At;

use super::Compiler;
use crate::settings::file;

/// The most attempts that one request may have: the proxy's framework is told not to stop before.
pub(crate) const MOST_ATTEMPTS: u8 = 5;

/// What a backend takes at once, if nothing is said.
const IN_FLIGHT: u32 = 4_096;
const IN_FLIGHT_PER_TENANT: u32 = 1_024;

impl Compiler<'_> {
    pub(super) fn defence(
        &mut self,
        retries: file::Retries,
        breaker: file::Breaker,
        caps: (Option<At<u32>>, Option<At<u32>>, file::Queue),
    ) -> Option<DefenceSettings> {
        let (retries, budget) = self.retries(retries)?;
        Some(DefenceSettings { retries, budget, breaker: self.breaker(breaker)?, caps: self.caps(caps)? })
    }

    fn retries(&mut self, entry: file::Retries) -> Option<(Retries, BudgetSettings)> {
        let file::Retries { attempts, percent, per_second, wait, longest_wait, statuses } = entry;
        let attempts = match attempts {
            None => NonZeroU8::new(3),
            Some(written) => {
                let attempts = NonZeroU8::new(written.value).filter(|attempts| attempts.get() <= MOST_ATTEMPTS);
                if attempts.is_none() {
                    self.error(&written, format!("`{}` attempts cannot be", written.value), "from 1 (no retry) to 5");
                }
                attempts
            }
        };
        let percent = self.percent(percent, 20);
        let per_second = self.count(per_second, 3, "write `attempts: 1` for no retries");
        for status in statuses.iter().filter(|status| !matches!(status.value, 502..=504)) {
            let message = format!("`{}` does not say that the backend has not done what was asked", status.value);
            self.error(status, message, "502, 503 and 504 may be listed here");
        }
        let statuses = statuses.into_iter().map(|status| status.value).collect();
        let backoff = Backoff { first: wait.0, longest: longest_wait.0 };
        let budget = BudgetSettings { percent: percent?, per_second: per_second? };
        Some((Retries { attempts: attempts?, backoff, statuses }, budget))
    }

    fn breaker(&mut self, entry: file::Breaker) -> Option<BreakerSettings> {
        let file::Breaker { consecutive, percent, minimum, window, open, tries } = entry;
        let help = "a breaker that opens for nothing lets nothing through";
        let (consecutive, minimum) = (self.count(consecutive, 10, help), self.count(minimum, 20, help));
        let tries = self.count(tries, 3, "without a try it never closes");
        let percent = match percent {
            Some(zero) if zero.value == 0 => {
                self.error(&zero, "a share of zero is always reached".into(), help);
                None
            }
            percent => self.percent(percent, 50),
        };
        Some(BreakerSettings {
            consecutive: consecutive?,
            percent: percent?,
            minimum: minimum?,
            window: window.0,
            open: open.0,
            tries: tries?,
        })
    }

    fn caps(&mut self, entry: (Option<At<u32>>, Option<At<u32>>, file::Queue)) -> Option<Caps> {
        let (in_flight, per_tenant, file::Queue { length, wait }) = entry;
        let help = "zero lets nothing through; leave it out for the default";
        let in_flight = self.count(in_flight, IN_FLIGHT, help);
        let default = in_flight.map_or(IN_FLIGHT_PER_TENANT, |all| all.get().min(IN_FLIGHT_PER_TENANT));
        let per_tenant = self.count(per_tenant, default, help);
        Some(Caps { in_flight: in_flight?, per_tenant: per_tenant?, waiting: length, wait: wait.0 })
    }

    pub(super) fn count(&mut self, written: Option<At<u32>>, default: u32, help: &str) -> Option<NonZeroU32> {
        let Some(written) = written else { return NonZeroU32::new(default) };
        let count = NonZeroU32::new(written.value);
        if count.is_none() {
            self.error(&written, "this cannot be zero".into(), help);
        }
        count
    }

    fn percent(&mut self, written: Option<At<u32>>, default: u32) -> Option<u32> {
        let Some(written) = written else { return Some(default) };
        if written.value > 100 {
            self.error(&written, format!("`{}` is more than all of them", written.value), "in percent, 100 at most");
            return None;
        }
        Some(written.value)
    }
}
