use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, UNIX_EPOCH};

use terms::{Reason, Zone};

use crate::held::Held;
use crate::judge::{Judged, Moment};
use crate::key::Fingerprint;
use crate::limits::{Kept, Limits, MAX_LEVELS, Spent, reason};
use crate::near::Mark;
use crate::numbers::{Mode, OnLoss, Scope};
use crate::pace::Pace;
use crate::standing::{Level, Room, Source, Standing, deciding};
use crate::table::Budget;
use crate::used::Used;
use crate::{Asker, Exceeded};

/// Which limits of a route are charged in process, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Charging {
    /// All of them: those that stand in a store by this gateway's share, if they go by that while it cannot be asked.
    InPlace,
    /// Those that stand in no store.
    Own,
    /// Those that stand in a store which has let the request through: so that it is known here what was spent, when the store
    /// cannot be asked any more.
    Warm,
}

impl Charging {
    fn concerns(self, scope: Scope) -> bool {
        match (self, scope) {
            (Self::InPlace | Self::Own, Scope::Gateway) | (Self::Warm, Scope::Store { .. }) => true,
            (Self::InPlace, Scope::Store { on_loss, .. }) => on_loss != OnLoss::Allow,
            (Self::Own, Scope::Store { .. }) | (Self::Warm, Scope::Gateway) => false,
        }
    }
}

impl Limits {
    /// Charges one request of this cost to each limit in `which` (places in the list that this was made of), or to none of
    /// them. Limits that only look are charged where it fits, and refuse nothing. Those that stand in a store go by this
    /// gateway's share: see [`Limits::ask`].
    ///
    /// `now` is the time of the request; a limit that stands in `which` twice counts once.
    ///
    /// # Errors
    /// At least one of them has no room for it.
    pub fn spend(
        self: &Arc<Self>,
        which: &[usize],
        asker: &Asker<'_>,
        cost: NonZeroU32,
        now: Instant,
    ) -> Result<Spent, Exceeded> {
        self.charge(which, asker, cost, self.at(asker, now), Charging::InPlace)
    }

    /// When somebody asks.
    pub(crate) fn at<'a>(&self, asker: &Asker<'a>, now: Instant) -> Moment<'a> {
        let since = asker.at.duration_since(UNIX_EPOCH);
        Moment {
            calendar: since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX)),
            zone: asker.zone.unwrap_or_else(|| Zone::utc()),
            ..self.moment(now)
        }
    }

    pub(crate) fn charge(
        self: &Arc<Self>,
        which: &[usize],
        asker: &Asker<'_>,
        cost: NonZeroU32,
        now: Moment<'_>,
        charging: Charging,
    ) -> Result<Spent, Exceeded> {
        let plan = self.plan(asker);
        let mut order = [usize::MAX; MAX_LEVELS];
        let Some(order) = order.get_mut(..which.len()) else {
            return Err(Exceeded::broken()); // FAIL CLOSED: not judged is not allowed
        };
        order.copy_from_slice(which);
        // ORDER: everybody takes the locks in one order, also under an older set of files, whose list may be arranged
        // otherwise. The tables are the same ones there, so their addresses are an order that all agree on.
        order.sort_unstable_by_key(|place| self.kept.get(*place).map(|kept| Arc::as_ptr(&kept.table).addr()));

        // Locks are held from here to the end: a few sets, some hundred nanoseconds, no waiting inside.
        let mut questions: [Option<Question<'_>>; MAX_LEVELS] = Default::default();
        let mut fits = true;
        let mut last = None;
        for (place, question) in order.iter().copied().zip(&mut questions) {
            if last.replace(place) == Some(place) {
                continue;
            }
            let Some(kept) = self.kept.get(place) else {
                return Err(Exceeded::broken()); // FAIL CLOSED: a limit that is not there has no room
            };
            if !charging.concerns(kept.limit.scope) {
                continue;
            }
            let key = match kept.limit.key.as_slice() {
                [] => None,
                parts => Fingerprint::of(parts, asker, self.seed),
            };
            let tier = kept.tiers.of_asker(asker.tenant, plan);
            let Some(pace) = kept.tiers.pace(tier) else {
                return Err(Exceeded::broken()); // FAIL CLOSED: a limit without numbers has no room
            };
            let budget = kept.table.budget(key, pace.stale(now));
            let mut judged = pace.judge(budget.value(), now, cost);
            if charging == Charging::Warm {
                judged.after = Some(pace.charged_in_any_case(budget.value(), now, cost.get()));
            }
            fits &= judged.after.is_some() || kept.limit.mode == Mode::Shadow;
            *question = Some(Question { place, tier, kept, key, pace, budget, judged });
        }

        let mut standing = Standing::default();
        let mut held = Held::nothing();
        for question in questions.iter_mut().flatten() {
            let Question { place, tier, kept, key, pace, budget, judged } = question;
            let room = match (judged.after, kept.limit.mode) {
                (Some(_), _) => Room::Fits,
                (None, Mode::Enforce) => Room::Refuses,
                (None, Mode::Shadow) => Room::WouldRefuse,
            };
            let level = match judged.after {
                Some(after) if fits => {
                    if charging != Charging::Warm
                        && let Some(mark) = pace.mark(Used::read(budget.value()), Used::read(after), now.calendar)
                    {
                        self.comes_near(kept, asker, mark);
                    }
                    budget.set(after);
                    if pace.minds_the_end() {
                        held.hold(self, *place, *tier, key.filter(|_| budget.is_own()));
                    }
                    judged.charged
                }
                Some(_) | None => {
                    // Who shares a budget may have other numbers, so there it stays as it is.
                    if budget.is_own() && judged.before < budget.value() {
                        budget.set(judged.before);
                    }
                    judged.uncharged
                }
            };
            kept.count(room, fits);
            let source = if kept.limit.scope == Scope::Gateway { Source::Itself } else { Source::InPlace };
            standing.push(Level { limit: *place, tier: *tier, room, source, ..level });
        }
        standing.arrange();
        if fits {
            return Ok(Spent { standing, held });
        }
        Err(self.exceeded(standing))
    }

    /// Gives back to the limits that were charged in process what a request was charged that does not begin.
    pub(crate) fn refund(
        &self,
        charged: impl Iterator<Item = usize>,
        asker: &Asker<'_>,
        cost: NonZeroU32,
        now: Moment<'_>,
    ) {
        let plan = self.plan(asker);
        for kept in charged.filter_map(|place| self.kept.get(place)) {
            let Some(pace) = kept.tiers.pace(kept.tiers.of_asker(asker.tenant, plan)) else { continue };
            let key = match kept.limit.key.as_slice() {
                [] => None,
                parts => Fingerprint::of(parts, asker, self.seed),
            };
            let mut budget = kept.table.budget(key, pace.stale(now));
            let value = budget.value();
            budget.set(pace.refunded(value, now, cost.get()));
        }
    }

    pub(crate) fn comes_near(&self, kept: &Kept, asker: &Asker<'_>, mark: Mark) {
        kept.counts.near(mark);
        self.near.note(&kept.limit.id, asker.tenant, mark);
    }

    /// Why a request is refused where these levels have no room.
    pub(crate) fn exceeded(&self, standing: Standing) -> Exceeded {
        let reason = deciding(&standing).and_then(|level| self.limit(level.limit)).map_or(Reason::Internal, reason);
        Exceeded::of(standing, reason)
    }
}

impl Kept {
    /// Counts what a level says of a request that all of them together let through, or not.
    pub(crate) fn count(&self, room: Room, fits: bool) {
        match room {
            Room::Refuses => drop(self.counts.refused.fetch_add(1, Ordering::Relaxed)),
            Room::WouldRefuse if fits => drop(self.counts.would_refuse.fetch_add(1, Ordering::Relaxed)),
            Room::Fits | Room::WouldRefuse => {}
        }
    }
}

struct Question<'a> {
    place: usize,
    tier: u16,
    kept: &'a Kept,
    key: Option<Fingerprint>,
    pace: &'a Pace,
    budget: Budget<'a>,
    judged: Judged,
}
