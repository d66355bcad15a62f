use std::collections::{BTreeMap, BTreeSet};

use terms::{Place, RouteId};

use crate::decide::RuleId;
use crate::policy::Policy;
use crate::role::{Clause, Role};

/// What the tests in the files have decided by, of all that there is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    /// Every route, with its place, and whether a test came to it.
    pub routes: Vec<(RouteId, Place, bool)>,
    /// Every grant and deny for each permission that some route asks for, `roles.yaml:7 clerk: order:write`, and whether it decided
    /// a test.
    pub rules: Vec<(String, bool)>,
}

impl Coverage {
    /// How many of the rules and routes there are, and how many a test has come to.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let seen = self.routes.iter().map(|(.., seen)| *seen).chain(self.rules.iter().map(|(_, seen)| *seen));
        (seen.clone().count(), seen.filter(|seen| *seen).count())
    }

    /// The share that a test has come to, in percent, rounded down; all of nothing.
    #[must_use]
    pub fn percent(&self) -> usize {
        let (all, seen) = self.counts();
        (seen * 100).checked_div(all).unwrap_or(100)
    }
}

impl Policy {
    /// What the tests in the files come to.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let mut routes = BTreeSet::new();
        let mut rules: BTreeMap<String, bool> = BTreeMap::new();
        let own = self.own_roles.values().flat_map(|roles| roles.iter());
        for (name, role) in self.roles.iter().chain(own) {
            let Role { written, .. } = role;
            for Clause { grant, place, .. } in written.allow.iter().chain(&written.deny).chain(&written.glass) {
                let rule = RuleId::new(place, name.as_str());
                let covered = self.permissions.iter().filter(|asked| grant.covers(asked));
                rules.extend(covered.map(|permission| (format!("{rule}: {permission}"), false)));
            }
        }
        for case in &self.cases {
            let verdict = self.judge(&case.question);
            let Some(matched) = verdict.matched else { continue };
            routes.insert(matched.route.id.clone());
            let asked = matched.route.permission(case.question.request.method(), &self.permissions);
            if let (Some(rule), Some(permission)) = (verdict.rule(), asked)
                && let Some(seen) = rules.get_mut(&format!("{rule}: {permission}"))
            {
                *seen = true;
            }
        }
        let of_routes = self.routes.iter();
        Coverage {
            routes: of_routes.map(|it| (it.id.clone(), it.place.clone(), routes.contains(&it.id))).collect(),
            rules: rules.into_iter().collect(),
        }
    }
}
