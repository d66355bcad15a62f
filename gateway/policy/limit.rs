use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteRate, LimitId, Period, Place, PlanId, Rate, Span, TenantId};

/// A limit as the files define it. `limit` keeps the counts.
#[derive(Clone, Debug)]
pub struct LimitRule {
    /// What the files call it.
    pub id: LimitId,
    /// Who shares a budget: requests that are the same in all of these. Never empty, none twice.
    pub key: Vec<KeyPart>,
    /// Whether it refuses.
    pub mode: LimitMode,
    /// Where it is counted.
    pub scope: LimitScope,
    /// How much there is for whoever nothing else is said about.
    pub amount: Amount,
    /// How much there is for tenants of these plans. Of the same kind.
    pub plans: Vec<(PlanId, Amount)>,
    /// How much there is for these tenants, whatever their plans. Of the same kind.
    pub tenants: Vec<(TenantId, Amount)>,
    /// Where it stands.
    pub place: Place,
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// It does.
    #[default]
    Enforce,
    /// It is judged and counted, its record says what it would have refused, and it refuses nothing.
    Shadow,
}

/// Where a limit is counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LimitScope {
    /// In each gateway by itself.
    #[default]
    Gateway,
    /// By all gateways together, in the store that cloister.yaml names.
    Shared(OnStoreLoss),
}

/// What a limit that gateways share does while its store cannot be asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreLoss {
    /// It refuses nothing.
    Allow,
    /// It refuses with 503.
    Deny,
    /// Each gateway gives its share of what there is.
    #[default]
    LocalShare,
}

impl OnStoreLoss {
    /// The word in files.
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
pub enum Amount {
    /// Bytes of bodies, both ways.
    Bytes(ByteRate),
    /// Requests in flight.
    Concurrency(u32),
    /// Answers that say no.
    Failures {
        /// So many lock.
        most: u16,
        /// Within so long of the first.
        within: Duration,
        /// For so long.
        lock: Duration,
        /// The statuses that count; 0 where there are fewer.
        statuses: [u16; 4],
    },
    /// Requests in each day or month of the tenant's calendar.
    Quota {
        /// So many.
        count: u32,
        /// In which stretch.
        per: Period,
    },
    /// Requests, at a rate.
    Rate {
        /// How fast a bucket refills.
        rate: Rate,
        /// How many requests a full bucket holds.
        burst: u32,
    },
}

/// One thing that requests must have in common to share a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyPart {
    /// The API key. Not on a public route.
    ApiKey,
    /// A claim of the token, by its place among those that tokens are asked for. Not on a public route.
    Claim(usize),
    /// The address of the client.
    ClientIp,
    /// Who vouches for the caller. Not on a public route.
    Issuer,
    /// What the request names somewhere, by its place in [`crate::Policy::sources`]. Nobody has verified it.
    Named(usize),
    /// The role whose grant lets the caller in. Not on a public route.
    Role,
    /// The route.
    Route,
    /// The tenant. Not on a public route.
    Tenant,
    /// The subject of the token, within its issuer. Not on a public route.
    User,
}

/// Where a request names what a limit counts by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// In this field, in lower case.
    Header(Box<str>),
    /// In the segment of the path that its route calls so.
    Path(Box<str>),
}

impl KeyPart {
    /// Those that are one word, as files write them.
    pub(crate) const WORDS: [(&'static str, Self); 7] = [
        ("api_key", Self::ApiKey),
        ("client_ip", Self::ClientIp),
        ("issuer", Self::Issuer),
        ("role", Self::Role),
        ("route", Self::Route),
        ("tenant", Self::Tenant),
        ("user", Self::User),
    ];

    /// Whether it is known only once somebody has shown a token.
    pub(crate) const fn needs_caller(&self) -> bool {
        match self {
            Self::ClientIp | Self::Named(_) | Self::Route => false,
            Self::ApiKey | Self::Claim(_) | Self::Issuer | Self::Role | Self::Tenant | Self::User => true,
        }
    }
}

impl LimitRule {
    /// How much there is for a tenant of this plan.
    pub(crate) fn amount_for(&self, tenant: Option<&TenantId>, plan: Option<&PlanId>) -> Amount {
        let own = self.tenants.iter().find(|(known, _)| Some(known) == tenant).map(|(_, amount)| *amount);
        let of_plan = || self.plans.iter().find(|(known, _)| Some(known) == plan).map(|(_, amount)| *amount);
        own.or_else(of_plan).unwrap_or(self.amount)
    }

    /// Whether it counts what requests cost.
    pub(crate) const fn counts_cost(&self) -> bool {
        matches!(self.amount, Amount::Quota { .. } | Amount::Rate { .. })
    }

    /// The least that anybody has who has anything at all, if it counts what requests cost.
    pub(crate) fn smallest(&self) -> Option<NonZeroU32> {
        let all = self.plans.iter().map(|(_, amount)| amount).chain(self.tenants.iter().map(|(_, amount)| amount));
        let burst = |amount: &Amount| match amount {
            Amount::Rate { burst: most, .. } | Amount::Quota { count: most, .. } => NonZeroU32::new(*most),
            Amount::Bytes(_) | Amount::Concurrency(_) | Amount::Failures { .. } => None,
        };
        all.chain([&self.amount]).filter_map(burst).min()
    }
}

impl Amount {
    /// The word for its kind.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Concurrency(_) => "concurrency",
            Self::Failures { .. } => "failures",
            Self::Quota { .. } => "quota",
            Self::Rate { .. } => "rate",
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(rate) => write!(f, "{rate}"),
            Self::Concurrency(most) => write!(f, "{most} at once"),
            Self::Failures { most, within, lock, .. } => {
                write!(f, "{most} failures within {} lock for {}", Span(*within), Span(*lock))
            }
            Self::Quota { count, per } => write!(f, "{count} per {}", per.as_str()),
            Self::Rate { rate, burst } => write!(f, "{rate}, {burst} at once"),
        }
    }
}
