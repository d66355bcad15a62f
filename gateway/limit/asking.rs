use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use terms::{Reason, TenantId};

use crate::charge::Charging;
use crate::held::Settling;
use crate::judge::{Ended, Moment};
use crate::key::{KeyPart, shared_name};
use crate::limits::{Limits, MAX_LEVELS, Spent};
use crate::numbers::{Mode, OnLoss, Scope};
use crate::pace::{MICRO, Pace};
use crate::standing::{Level, Room, Source, Standing};
use crate::used::Used;
use crate::{Asker, Exceeded};

/// A request that waits for what a store says of some of its limits. Those that stand in no store are charged already; of this,
/// [`Asking::answered`] or [`Asking::unanswered`] makes what the request gets.
#[derive(Debug)]
pub struct Asking {
    limits: Arc<Limits>,
    which: [usize; MAX_LEVELS],
    count: usize,
    cost: NonZeroU32,
    now: Instant,
    own: Spent,
    demands: Vec<Demand>,
}

/// One level, as a store is asked about it.
#[derive(Clone, Debug)]
pub struct Demand {
    place: usize,
    tier: u16,
    pace: Pace,
    /// By the calendar of the asker.
    at: u32,
    ends: u32,
    name: Name,
    mode: Mode,
}

/// What the budget of a level is called in a store. Gateways with the same limits call it the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    /// What has the same is kept in one place: the tenant, where it is in the key.
    pub tag: String,
    /// The limit, its kind, and who has the budget.
    pub rest: String,
}

/// How a store judges one level. Times are in microseconds, where nothing else is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// It has room while less than this was overdrawn.
    Bytes {
        /// How long until a whole budget is back.
        whole: u64,
    },
    /// So many at once.
    Concurrency {
        /// So many.
        most: u32,
    },
    /// So many that failed, or may.
    Failures {
        /// So many.
        most: u16,
        /// In seconds.
        within: u64,
    },
    /// Nothing passes.
    Nothing,
    /// So many until the end of a period of the calendar.
    Quota {
        /// So many.
        count: u32,
        /// When the period ends, in seconds since the Unix epoch.
        ends: u32,
        /// When it is asked for, by the clock that says when the period ends.
        at: u32,
    },
    /// GCRA.
    Rate {
        /// Until one is back.
        interval: u64,
        /// At once.
        burst: u32,
    },
}

/// What a level is charged, or given back, when its request is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// Its place among those in flight.
    Place,
    /// How long the bytes need to come back, in microseconds.
    Bytes {
        /// So long.
        micros: u64,
    },
    /// What was charged to a quota is given back.
    QuotaBack {
        /// So many.
        count: u32,
        /// Of the period that lasts at this second.
        at: u32,
    },
    /// What was charged to a rate is given back.
    RateBack {
        /// As long as it needs to come back.
        micros: u64,
    },
    /// A try is over.
    Try {
        /// Whether it was one that counts.
        failed: bool,
        /// So many lock.
        most: u16,
        /// Within so many seconds.
        within: u64,
        /// For so many seconds.
        lock: u64,
    },
}

/// What a store says of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Of all levels together.
    pub verdict: Verdict,
    /// Of each demand what it has seen; nothing of those that it was not asked about any more.
    pub seen: Vec<Option<Seen>>,
}

/// Whether a request fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It does, and is charged to every level that fits.
    Fits,
    /// It does not, and is charged to none.
    Refused,
}

/// What a store has seen of one level, before the request was charged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// When, in microseconds since the Unix epoch.
    pub now: u64,
    /// Rates and bytes: up to when it has spent. In flight: how many. Quotas: when the period ends. Failures: until when they count.
    pub one: u64,
    /// Quotas: how much was used. Failures: as `lockout.rs` packs them.
    pub two: u64,
    /// Whether the request fits here.
    pub fits: bool,
}

impl Limits {
    /// Whether one of these limits stands in a store.
    #[must_use]
    pub fn stand_in_store(&self, which: &[usize]) -> bool {
        which.iter().any(|place| self.kept.get(*place).is_some_and(|kept| kept.limit.scope != Scope::Gateway))
    }

    /// Charges one request of this cost to those limits in `which` that stand in no store, and says what a store is to be asked
    /// about the others.
    ///
    /// # Errors
    /// At least one has no room for it; the store need not be asked.
    pub fn ask(
        self: &Arc<Self>,
        which: &[usize],
        asker: &Asker<'_>,
        cost: NonZeroU32,
        now: Instant,
    ) -> Result<Asking, Exceeded> {
        let moment = self.at(asker, now);
        let own = self.charge(which, asker, cost, moment, Charging::Own)?;
        let plan = self.plan(asker);
        let (mut places, mut demands) = ([usize::MAX; MAX_LEVELS], Vec::new());
        for (slot, place) in places.iter_mut().zip(which) {
            *slot = *place;
            let Some(kept) = self.kept.get(*place).filter(|kept| kept.limit.scope != Scope::Gateway) else { continue };
            if demands.iter().any(|demand: &Demand| demand.place == *place) {
                continue;
            }
            let tier = kept.tiers.of_asker(asker.tenant, plan);
            let Some(pace) = kept.tiers.shared(tier).copied() else {
                return Err(Exceeded::broken()); // FAIL CLOSED: a limit without numbers has no room
            };
            let ends = match pace {
                Pace::Quota { per, .. } => moment.zone.end_of(per, moment.calendar),
                Pace::Bytes(_) | Pace::Concurrency(_) | Pace::Failures(_) | Pace::Nothing | Pace::Rate(_) => 0,
            };
            let name = Name::of(kept.limit.id.as_str(), &kept.limit.key, &pace, asker);
            demands.push(Demand { place: *place, tier, pace, at: moment.calendar, ends, name, mode: kept.limit.mode });
        }
        Ok(Asking { limits: Arc::clone(self), which: places, count: which.len(), cost, now, own, demands })
    }

    /// For each way to do without the store, how many requests were judged in it.
    pub fn lost(&self) -> impl Iterator<Item = (OnLoss, u64)> {
        let ways = [OnLoss::Deny, OnLoss::LocalShare, OnLoss::Allow];
        ways.into_iter().zip(self.lost.iter()).map(|(way, count)| (way, count.load(Ordering::Relaxed)))
    }

    /// Whether a limit refuses while its store cannot be asked.
    #[must_use]
    pub fn deny_without_store(&self) -> bool {
        let denies = |scope: Scope| matches!(scope, Scope::Store { on_loss: OnLoss::Deny, .. });
        self.kept.iter().any(|kept| kept.limit.mode == Mode::Enforce && denies(kept.limit.scope))
    }
}

impl Asking {
    /// What a store is to be asked. Never empty where [`Limits::stand_in_store`] says so.
    #[must_use]
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// What the request costs, where that counts.
    #[must_use]
    pub const fn cost(&self) -> NonZeroU32 {
        self.cost
    }

    /// What the request gets by what the store has said. `settling` hears of its end.
    ///
    /// # Errors
    /// A level has no room. Nothing is charged.
    pub fn answered(
        self,
        asker: &Asker<'_>,
        reply: &Reply,
        settling: Option<Box<dyn Settling>>,
    ) -> Result<Spent, Exceeded> {
        let Self { ref limits, cost, now, ref demands, .. } = self;
        let (moment, fits) = (limits.at(asker, now), reply.verdict == Verdict::Fits);
        let mut standing = self.own.standing;
        for (demand, seen) in demands.iter().zip(&reply.seen) {
            let (Some(seen), Some(kept)) = (seen, limits.kept.get(demand.place)) else { continue };
            let now = Moment { nanos: seen.now.saturating_mul(MICRO), ..moment };
            let judged = demand.pace.judge(demand.value(*seen), now, cost);
            let room = match (seen.fits, demand.mode) {
                (true, _) => Room::Fits,
                (false, Mode::Enforce) => Room::Refuses,
                (false, Mode::Shadow) => Room::WouldRefuse,
            };
            kept.count(room, fits);
            if let (true, Some(after)) = (fits && seen.fits, judged.after) {
                let mark = demand.pace.mark(Used::read(demand.value(*seen)), Used::read(after), now.calendar);
                mark.into_iter().for_each(|mark| limits.comes_near(kept, asker, mark));
            }
            let level = if fits && seen.fits { judged.charged } else { judged.uncharged };
            standing.push(Level { limit: demand.place, tier: demand.tier, room, ..level });
        }
        standing.arrange();
        if !fits {
            let exceeded = limits.exceeded(standing);
            self.give_back(asker);
            return Err(exceeded);
        }
        // What others have let through is known here, too, for when they cannot be asked any more.
        let warm = limits.charge(self.which(), asker, cost, moment, Charging::Warm)?;
        let Self { own: Spent { mut held, .. }, .. } = self;
        held.join(warm.held, settling);
        Ok(Spent { standing, held })
    }

    /// What the request gets though the store could not be asked. `settling` tells the store of its end once it can be.
    ///
    /// # Errors
    /// A level has no room, or refuses what it cannot judge.
    pub fn unanswered(self, asker: &Asker<'_>, settling: Option<Box<dyn Settling>>) -> Result<Spent, Exceeded> {
        let limits = Arc::clone(&self.limits);
        let (which, count, cost, now) = (self.which, self.count, self.cost, self.now);
        let which = which.get(..count).unwrap_or_default();
        let mut denied = Standing::default();
        let mut lost = OnLoss::Deny;
        for demand in &self.demands {
            let Some(kept) = limits.kept.get(demand.place) else { return Err(Exceeded::broken()) };
            let Scope::Store { on_loss, .. } = kept.limit.scope else { return Err(Exceeded::broken()) };
            lost = lost.max(on_loss);
            if on_loss == OnLoss::Deny && demand.mode == Mode::Enforce {
                // FAIL CLOSED: what nobody can judge is an outage of ours.
                let level = Level::new(0, A_WHILE, A_WHILE);
                let source = Source::InPlace;
                denied.push(Level { limit: demand.place, tier: demand.tier, room: Room::Refuses, source, ..level });
            }
        }
        self.give_back(asker);
        if !denied.levels().is_empty() {
            denied.arrange();
            denied.lose(OnLoss::Deny);
            limits.count_lost(OnLoss::Deny);
            return Err(Exceeded::of(denied, Reason::LimitUnavailable));
        }
        limits.count_lost(lost);
        match limits.charge(which, asker, cost, limits.at(asker, now), Charging::InPlace) {
            Ok(mut spent) => {
                spent.standing.lose(lost);
                spent.held.join(crate::Held::nothing(), settling);
                Ok(spent)
            }
            Err(exceeded) => Err(exceeded.without_store(lost)),
        }
    }

    fn which(&self) -> &[usize] {
        self.which.get(..self.count).unwrap_or_default()
    }

    /// Nothing is charged to a request that does not begin. What minds its end gives back as it is dropped.
    fn give_back(self, asker: &Asker<'_>) {
        let charged =
            self.own.standing.levels().iter().filter(|level| level.room == Room::Fits).map(|level| level.limit);
        self.limits.refund(charged, asker, self.cost, self.limits.at(asker, self.now));
    }
}

/// How long whoever could not be judged is asked to wait.
const A_WHILE: Duration = Duration::from_secs(1);

impl Limits {
    fn count_lost(&self, way: OnLoss) {
        let place = match way {
            OnLoss::Deny => 0,
            OnLoss::LocalShare => 1,
            OnLoss::Allow => 2,
        };
        if let Some(count) = self.lost.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Demand {
    /// What its budget is called.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it refuses.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How it is judged.
    #[must_use]
    pub fn measure(&self) -> Measure {
        match &self.pace {
            Pace::Bytes(volume) => Measure::Bytes { whole: volume.whole / MICRO },
            Pace::Concurrency(most) => Measure::Concurrency { most: *most },
            Pace::Failures(failures) => Measure::Failures { most: failures.most, within: seconds(failures.within) },
            Pace::Nothing => Measure::Nothing,
            Pace::Quota { count, .. } => Measure::Quota { count: *count, ends: self.ends, at: self.at },
            Pace::Rate(steady) => Measure::Rate { interval: steady.interval.get() / MICRO, burst: steady.burst.get() },
        }
    }

    /// What is due when its request ends; nothing, where that does not matter.
    #[must_use]
    pub fn due(&self, ended: &Ended) -> Option<Due> {
        match &self.pace {
            Pace::Bytes(volume) => {
                (ended.bytes > 0).then(|| Due::Bytes { micros: volume.time_of(ended.bytes).div_ceil(MICRO) })
            }
            Pace::Concurrency(_) => Some(Due::Place),
            Pace::Failures(failures) => Some(Due::Try {
                failed: ended.status.is_some_and(|status| failures.statuses.contains(&status)),
                most: failures.most,
                within: seconds(failures.within),
                lock: seconds(failures.lock),
            }),
            Pace::Nothing | Pace::Quota { .. } | Pace::Rate(_) => None,
        }
    }

    /// What is due when its request was charged here and does not begin.
    #[must_use]
    pub fn back(&self, cost: NonZeroU32) -> Option<Due> {
        match &self.pace {
            Pace::Rate(steady) => {
                let micros = (steady.interval.get() / MICRO).saturating_mul(cost.get().into());
                Some(Due::RateBack { micros })
            }
            Pace::Quota { .. } => Some(Due::QuotaBack { count: cost.get(), at: self.at }),
            Pace::Bytes(_) | Pace::Concurrency(_) | Pace::Failures(_) | Pace::Nothing => self.due(&Ended::default()),
        }
    }

    /// The number of the key, as it would be in process.
    fn value(&self, seen: Seen) -> u64 {
        match self.pace {
            Pace::Bytes(_) | Pace::Rate(_) => seen.one.saturating_mul(MICRO),
            Pace::Concurrency(_) => seen.one,
            Pace::Failures(_) | Pace::Quota { .. } => (seen.one << 32) | (seen.two & u64::from(u32::MAX)),
            Pace::Nothing => 0,
        }
    }
}

/// Rounded up, and at least one.
fn seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

impl Name {
    /// Nobody who does not know a name learns it from the store: who has a budget is in it as a hash. Only tenants are told,
    /// so that what is theirs is kept in one place, and can be found.
    fn of(limit: &str, key: &[KeyPart], pace: &Pace, asker: &Asker<'_>) -> Self {
        let kind = match pace {
            Pace::Bytes(_) => "bytes",
            Pace::Concurrency(_) => "concurrency",
            Pace::Failures(_) => "failures",
            Pace::Nothing => "nothing",
            Pace::Quota { per, .. } => per.as_str(),
            Pace::Rate(_) => "rate",
        };
        let Some(name) = shared_name(key, asker) else {
            // FAIL CLOSED: without a key there is one budget for all such, not none at all.
            return Self { tag: format!("{limit}:{kind}"), rest: format!("{limit}:{kind}:nobody") };
        };
        let tenant = asker.tenant.filter(|_| key.contains(&KeyPart::Tenant)).map(TenantId::as_str);
        let tag = tenant.map_or_else(|| format!("{name:032x}"), str::to_owned);
        Self { tag, rest: format!("{limit}:{kind}:{name:032x}") }
    }
}
