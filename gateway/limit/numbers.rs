use std::num::NonZeroU16;
use std::time::Duration;

use terms::{ByteRate, LimitId, Period, PlanId, Rate, TenantId};

use crate::KeyPart;

/// One limit as the policy files state it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// What the file calls it. Clients see it in the `RateLimit` fields.
    pub id: LimitId,
    /// What has a budget of its own: each combination of these. None at all: one budget for everybody.
    pub key: Vec<KeyPart>,
    /// Whether it refuses, or only says what it would refuse.
    pub mode: Mode,
    /// Where it is counted.
    pub scope: Scope,
    /// How much there is for whoever nothing else is said about.
    pub numbers: Numbers,
    /// How much there is for tenants of these plans. Of the same kind.
    pub plans: Vec<(PlanId, Numbers)>,
    /// How much there is for these tenants, whatever their plans. Of the same kind.
    pub tenants: Vec<(TenantId, Numbers)>,
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is judged, charged and counted, and refuses nothing.
    Shadow,
}

/// Where a limit is counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// In this process alone.
    #[default]
    Gateway,
    /// In a store, by several gateways together.
    Store {
        /// What becomes of requests while the store cannot be asked.
        on_loss: OnLoss,
        /// How many share what there is.
        gateways: NonZeroU16,
    },
}

/// What a limit that stands in a store does while the store cannot be asked.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum OnLoss {
    /// It refuses, as an outage of ours.
    Deny,
    /// It goes by this gateway's share of what there is, and by what this gateway has spent of it.
    #[default]
    LocalShare,
    /// It refuses nothing.
    Allow,
}

impl OnLoss {
    /// The word in files, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::LocalShare => "local_share",
        }
    }
}

/// What a limit counts, and how much of it there is. Zero is none, never unlimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Numbers {
    /// Bytes of bodies, of requests and responses together. They are charged when they are known, so that a budget may be
    /// overdrawn; then the next request waits until it is not any more.
    Bytes {
        /// How fast what was spent comes back.
        rate: ByteRate,
        /// How many bytes a rested budget has.
        burst: u64,
    },
    /// Requests in flight.
    Concurrency(u32),
    /// Answers that say no to a login.
    Failures(Failures),
    /// Requests in each day or month of the asker's calendar.
    Quota {
        /// So many.
        count: u32,
        /// In which stretch.
        per: Period,
    },
    /// Requests, at a rate.
    Rate {
        /// How fast what was spent comes back.
        rate: Rate,
        /// How much may be spent at once after a rest.
        burst: u32,
    },
}

/// How many answers of a kind lock a key out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failures {
    /// So many of them lock.
    pub most: u16,
    /// Within so long of the first.
    pub within: Duration,
    /// For so long.
    pub lock: Duration,
    /// The statuses that count; 0 where there are fewer.
    pub statuses: [u16; 4],
}

impl Numbers {
    /// The word for its kind, as files write it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bytes { .. } => "bytes",
            Self::Concurrency(_) => "concurrency",
            Self::Failures(_) => "failures",
            Self::Quota { .. } => "quota",
            Self::Rate { .. } => "rate",
        }
    }

    /// The less of both, in every respect. Of two kinds the first.
    pub(crate) fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bytes { rate, burst }, Self::Bytes { rate: rate_2, burst: burst_2 }) => {
                let one = u128::from(rate.bytes.get()) * rate_2.per.as_nanos();
                let two = u128::from(rate_2.bytes.get()) * rate.per.as_nanos();
                Self::Bytes { rate: if one <= two { rate } else { rate_2 }, burst: burst.min(burst_2) }
            }
            (Self::Concurrency(one), Self::Concurrency(two)) => Self::Concurrency(one.min(two)),
            (Self::Failures(one), Self::Failures(two)) => Self::Failures(Failures {
                most: one.most.min(two.most),
                within: one.within.max(two.within),
                lock: one.lock.max(two.lock),
                statuses: one.statuses,
            }),
            (Self::Quota { count, per }, Self::Quota { count: count_2, .. }) => {
                Self::Quota { count: count.min(count_2), per }
            }
            (Self::Rate { rate, burst }, Self::Rate { rate: rate_2, burst: burst_2 }) => {
                let one = u128::from(rate.count.get()) * rate_2.per.as_nanos();
                let two = u128::from(rate_2.count.get()) * rate.per.as_nanos();
                Self::Rate { rate: if one <= two { rate } else { rate_2 }, burst: burst.min(burst_2) }
            }
            (
                Self::Bytes { .. } | Self::Concurrency(_) | Self::Failures(_) | Self::Quota { .. } | Self::Rate { .. },
                _,
            ) => self,
        }
    }
}

/// Why a limit cannot be kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLimit {
    /// A name that stands for two limits.
    #[error("the limit `{0}` is defined twice")]
    Duplicate(LimitId),
    /// More than one per nanosecond.
    #[error("the limit `{0}` is faster than time can be measured; at most 1000000000/s can be kept")]
    Fast(LimitId),
    /// More than a store counts.
    #[error(
        "the limit `{0}` is faster than a store can count it for several gateways; at most 1000000/s can be shared"
    )]
    FastShared(LimitId),
    /// Numbers of a plan or a tenant that count something else.
    #[error("the limit `{0}` counts something else than its numbers for a plan or a tenant")]
    Kind(LimitId),
    /// An empty budget needs more than a year to be full again.
    #[error(
        "the limit `{0}` needs more than 366 days until its burst is whole again; lower the burst or raise the rate"
    )]
    Long(LimitId),
    /// More plans and tenants with numbers of their own than can be told apart.
    #[error("the limit `{0}` has numbers for more than 65534 plans and tenants")]
    Many(LimitId),
    /// A part of the key that stands there twice.
    #[error("the limit `{0}` names a part of its key twice")]
    Repeated(LimitId),
}

impl InvalidLimit {
    /// Which limit it is.
    #[must_use]
    pub const fn limit(&self) -> &LimitId {
        match self {
            Self::Duplicate(id)
            | Self::Fast(id)
            | Self::FastShared(id)
            | Self::Kind(id)
            | Self::Long(id)
            | Self::Many(id)
            | Self::Repeated(id) => id,
        }
    }
}
