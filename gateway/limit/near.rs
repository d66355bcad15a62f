use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use terms::{LimitId, TenantId};

use crate::pace::Pace;
use crate::used::Used;

/// How far a key has come in a quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// To four fifths.
    Nearly,
    /// To the end.
    UsedUp,
}

/// A key that came to a mark. Told once in each period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Near {
    /// The quota.
    pub limit: LimitId,
    /// Whose it is, if it is a tenant's.
    pub tenant: Option<TenantId>,
    /// How far.
    pub mark: Mark,
}

/// What is to be told of keys that came to a mark. More than fit between two looks are counted and not told.
#[derive(Debug, Default)]
pub(crate) struct NearLimit(Mutex<VecDeque<Near>>);

/// How many wait to be told.
const WAITING: usize = 1_024;

impl Mark {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nearly => "80%",
            Self::UsedUp => "100%",
        }
    }
}

impl Pace {
    /// The mark that a key has come to with what it has used now.
    pub(crate) fn mark(&self, before: Used, after: Used, now: u32) -> Option<Mark> {
        let Self::Quota { count, .. } = self else { return None };
        let before = if before.ends > now { before.count } else { 0 };
        let nearly = (u64::from(*count) * 4).div_ceil(5);
        if after.count >= *count {
            Some(Mark::UsedUp)
        } else if u64::from(before) < nearly && u64::from(after.count) >= nearly {
            Some(Mark::Nearly)
        } else {
            None
        }
    }
}

impl NearLimit {
    pub(crate) fn note(&self, limit: &LimitId, tenant: Option<&TenantId>, mark: Mark) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push_back(Near { limit: limit.clone(), tenant: tenant.cloned(), mark });
        }
    }

    pub(crate) fn take(&self) -> VecDeque<Near> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
