use terms::{Grant, Place, RoleName};

use crate::decide::RuleId;

/// One role, compiled: what it grants and denies of the permissions that some route asks for, with what it inherits.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) allows: Rules,
    pub(crate) denies: Rules,
    /// Itself, then what it inherits, nearest first: where explanations look grants up.
    pub(crate) lineage: Vec<RoleName>,
    pub(crate) written: Written,
}

/// What one role says itself.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) place: Place,
    pub(crate) allow: Vec<(Grant, Place)>,
    pub(crate) deny: Vec<(Grant, Place)>,
}

/// A set of permissions and, for each in it, the rule that put it there.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// One bit for each permission of the policy.
    bits: Box<[u64]>,
    /// Sorted by permission; exactly those whose bit is set.
    rules: Box<[(usize, RuleId)]>,
}

impl Rules {
    /// Of several rules for one permission the first stays.
    pub(crate) fn new(permissions: usize, rules: impl IntoIterator<Item = (usize, RuleId)>) -> Self {
        let mut sorted: Vec<_> = rules.into_iter().collect();
        sorted.sort_by_key(|(permission, _)| *permission); // stable: the first of equals stays the first
        sorted.dedup_by_key(|(permission, _)| *permission);
        let mut bits = vec![0_u64; permissions.div_ceil(64)];
        for (permission, _) in &sorted {
            if let Some(word) = bits.get_mut(permission / 64) {
                *word |= 1 << (permission % 64);
            }
        }
        Self { bits: bits.into(), rules: sorted.into() }
    }

    /// The rule for this permission, if there is one.
    pub(crate) fn get(&self, permission: usize) -> Option<&RuleId> {
        let word = self.bits.get(permission / 64)?;
        if word & (1 << (permission % 64)) == 0 {
            return None;
        }
        let place = self.rules.binary_search_by_key(&permission, |(known, _)| *known).ok()?;
        self.rules.get(place).map(|(_, rule)| rule)
    }
}
