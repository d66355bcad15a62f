use std::cmp::Reverse;

use terms::Period;

use crate::judge::NEVER;
use crate::numbers::Mode;
use crate::standing::{Level, Room, Source, Standing, whole_seconds};
use crate::{Limit, Limits, Numbers};

/// The fields of draft-ietf-httpapi-ratelimit-headers-10. None tells what the key is (`pk`): that would say how others are
/// counted. Limits that only look are not told of, and neither are those that stand in a store which could not be asked, nor how many wrong answers are left before a lock.
impl Limits {
    /// The value of `RateLimit-Policy`: what each limit of the route promises, as the policy file states it. Empty if there
    /// is none to tell of.
    ///
    /// A burst that differs from the rate's own number is told in `cloister-burst`: paced evenly, all of `q` fits into
    /// `w`, but only so many fit at once.
    #[must_use]
    pub fn policy_field(&self, standing: &Standing) -> String {
        let mut field = String::new();
        for item in told(standing).filter_map(|level| self.policy_item(level)).filter(|item| !item.is_empty()) {
            if !field.is_empty() {
                field.push_str(", ");
            }
            field.push_str(item);
        }
        field
    }

    /// The value of `RateLimit`: where the asker stands in the tightest limit. `t` is when there is more to spend.
    #[must_use]
    pub fn standing_field(&self, standing: &Standing) -> String {
        let Some(level) = self.tightest(standing) else { return String::new() };
        let Some(limit) = self.limit(level.limit) else { return String::new() };
        let Level { remaining, next, .. } = level;
        match *next {
            NEVER => format!("\"{}\";r={remaining}", limit.id),
            next => format!("\"{}\";r={remaining};t={}", limit.id, whole_seconds(next)),
        }
    }

    /// What the older fields `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` say of the tightest limit: how much
    /// there is, how much is left, and in how many seconds all of it is there again.
    #[must_use]
    pub fn older_fields(&self, standing: &Standing) -> Option<[u64; 3]> {
        let level = self.tightest(standing).filter(|level| level.reset != NEVER)?;
        let reset = level.reset.as_secs().saturating_add(u64::from(level.reset.subsec_nanos() > 0));
        Some([self.whole(level)?, level.remaining, reset])
    }

    /// The level that refuses, or will refuse first: the fewest left, and of those the one that needs longest for more.
    pub(crate) fn tightest<'s>(&self, standing: &'s Standing) -> Option<&'s Level> {
        let shown = told(standing).filter(|level| self.policy_item(level).is_some_and(|item| !item.is_empty()));
        shown.min_by_key(|level| (level.room != Room::Refuses, level.remaining, Reverse(level.next)))
    }
}

fn told(standing: &Standing) -> impl Iterator<Item = &Level> {
    standing.levels().iter().filter(|level| level.source == Source::Itself)
}

/// One item of `RateLimit-Policy`; empty for a limit that clients are not told of. A limit's name has no character that a
/// Structured Field string would escape.
pub(crate) fn policy_item(limit: &Limit, numbers: &Numbers) -> String {
    let id = &limit.id;
    match (limit.mode, numbers) {
        (Mode::Shadow, _) | (Mode::Enforce, Numbers::Failures(_)) => String::new(),
        (Mode::Enforce, Numbers::Bytes { rate, burst }) => {
            let item = format!("\"{id}\";q={};qu=\"content-bytes\";w={}", rate.bytes, whole_seconds(rate.per));
            if *burst == rate.bytes.get() { item } else { format!("{item};cloister-burst={burst}") }
        }
        (Mode::Enforce, Numbers::Concurrency(most)) => format!("\"{id}\";q={most};qu=\"concurrent-requests\""),
        // A month is told as the longest that there is.
        (Mode::Enforce, Numbers::Quota { count, per: Period::Day }) => format!("\"{id}\";q={count};w=86400"),
        (Mode::Enforce, Numbers::Quota { count, per: Period::Month }) => format!("\"{id}\";q={count};w=2678400"),
        (Mode::Enforce, Numbers::Rate { burst: 0, .. }) => format!("\"{id}\";q=0"),
        (Mode::Enforce, Numbers::Rate { rate, burst }) => {
            let item = format!("\"{id}\";q={};w={}", rate.count, whole_seconds(rate.per));
            if *burst == rate.count.get() { item } else { format!("{item};cloister-burst={burst}") }
        }
    }
}
