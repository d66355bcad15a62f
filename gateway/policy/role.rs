use std::collections::HashMap;
use std::sync::Arc;

use condition::Fault;
use terms::{Grant, Place, RoleName, TenantId};

use crate::condition::{Condition, OnRoute};
use crate::decide::RuleId;
use crate::glass::Justification;

/// The roles that tenants have made for their own members.
pub(crate) type Own = HashMap<TenantId, HashMap<RoleName, Role>>;

/// One role, compiled: what it grants and denies of the permissions that some route asks for, with what it inherits.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) allows: Rules,
    pub(crate) denies: Rules,
    /// What people may do beyond it who say why.
    pub(crate) glass: Rules,
    /// Itself, then what it inherits, nearest first: where explanations look grants up.
    pub(crate) lineage: Vec<RoleName>,
    pub(crate) written: Written,
}

/// What one role says itself.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) place: Place,
    pub(crate) allow: Vec<Clause>,
    pub(crate) deny: Vec<Clause>,
    /// What may be done by whoever says why.
    pub(crate) glass: Vec<Clause>,
}

/// One grant or deny as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) grant: Grant,
    pub(crate) place: Place,
    pub(crate) proviso: Proviso,
}

/// On what it counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proviso {
    pub(crate) of: Of,
    pub(crate) when: Option<Arc<Condition>>,
    /// What must be said, if it is a grant for whoever says why.
    pub(crate) justified: Option<Arc<Justification>>,
}

/// About whose resources it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Of {
    #[default]
    Everybody,
    /// The caller's own.
    Own,
}

impl Proviso {
    /// Whether it counts always.
    pub(crate) fn is_nothing(&self) -> bool {
        self.of == Of::Everybody && self.when.is_none() && self.justified.is_none()
    }

    /// Whether a grant counts, by whatever justification. What is nobody's is not the caller's own.
    pub(crate) fn lets(&self, facts: &OnRoute<'_>) -> Result<bool, Fault> {
        self.counts(facts, facts.is_own().unwrap_or(false))
    }

    /// Whether a deny counts.
    pub(crate) fn bars(&self, facts: &OnRoute<'_>) -> Result<bool, Fault> {
        // FAIL CLOSED: where nobody can say whose it is, it may be the caller's own.
        self.counts(facts, facts.is_own().unwrap_or(true))
    }

    fn counts(&self, facts: &OnRoute<'_>, is_own: bool) -> Result<bool, Fault> {
        match &self.when {
            _ if self.of == Of::Own && !is_own => Ok(false),
            Some(condition) => facts.holds(condition),
            None => Ok(true),
        }
    }
}

/// A rule of a role about one permission.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) proviso: Proviso,
}

/// A set of permissions and, for each in it, the rules that put it there.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// One bit for each permission of the policy.
    bits: Box<[u64]>,
    /// Sorted by permission; exactly those whose bit is set.
    rules: Box<[(usize, Rule)]>,
}

impl Rules {
    /// Of several rules for one permission all stay that count on something, and the first that counts always.
    pub(crate) fn new(permissions: usize, rules: impl IntoIterator<Item = (usize, Rule)>) -> Self {
        let mut sorted: Vec<(usize, Rule)> = rules.into_iter().collect();
        // Stable: the first of equals stays the first. What counts always comes before what must be asked.
        sorted.sort_by_key(|(permission, rule)| (*permission, !rule.proviso.is_nothing()));
        let mut settled = None;
        sorted.retain(|(permission, rule)| {
            let is_settled = settled == Some(*permission);
            if rule.proviso.is_nothing() {
                settled = Some(*permission);
            }
            !is_settled
        });
        let mut bits = vec![0_u64; permissions.div_ceil(64)];
        for (permission, _) in &sorted {
            if let Some(word) = bits.get_mut(permission / 64) {
                *word |= 1 << (permission % 64);
            }
        }
        Self { bits: bits.into(), rules: sorted.into() }
    }

    /// The rules for this permission.
    pub(crate) fn of(&self, permission: usize) -> impl Iterator<Item = &Rule> {
        let has = self.bits.get(permission / 64).is_some_and(|word| word & (1 << (permission % 64)) != 0);
        let start = if has { self.rules.partition_point(|(known, _)| *known < permission) } else { self.rules.len() };
        let rules = self.rules.get(start..).unwrap_or_default().iter();
        rules.take_while(move |(known, _)| *known == permission).map(|(_, rule)| rule)
    }

    /// Whether there is a rule for this permission, whatever it counts on.
    pub(crate) fn has(&self, permission: usize) -> bool {
        self.of(permission).next().is_some()
    }

    /// Whether there is one that counts always.
    pub(crate) fn always(&self, permission: usize) -> bool {
        self.of(permission).next().is_some_and(|rule| rule.proviso.is_nothing())
    }
}
